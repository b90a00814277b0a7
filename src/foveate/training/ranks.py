"""Which of several processes this one is, as its launcher says."""

from __future__ import annotations

import os

from foveate.core import Words, expected

# Names that Slurm gives to jobs that are a shell: what is started there by hand has no task.
_SHELLS = ("", "bash", "interactive", "sh", "zsh")


def launched() -> tuple[int, int] | None:
    """Return (processes of a node, nodes) as a launcher started them; None without a launcher.

    A launcher is ``torchrun``, or ``srun`` with one task for each device.

    Raises:
        ValueError: In a Slurm job of several tasks that was not started by ``srun``, and where
            the tasks do not spread evenly over the nodes.
    """
    environment = os.environ
    if "TORCHELASTIC_RUN_ID" in environment and "LOCAL_WORLD_SIZE" in environment:
        local = int(environment["LOCAL_WORLD_SIZE"])
        return local, int(environment["WORLD_SIZE"]) // local
    if environment.get("SLURM_JOB_NAME", "") in _SHELLS:
        return None
    if "SLURM_STEP_NUM_TASKS" not in environment:
        asked = environment.get("SLURM_NTASKS", "1")
        if asked != "1":
            got = Words("a process without srun")
            raise ValueError(expected(f"a Slurm job of {asked} tasks", "srun foveate ...", got))
        return None
    tasks = int(environment["SLURM_STEP_NUM_TASKS"])
    nodes = int(environment.get("SLURM_STEP_NUM_NODES", environment.get("SLURM_NNODES", "1")))
    if tasks % nodes:
        rule = "as many tasks on every node: --ntasks-per-node"
        raise ValueError(expected("srun", rule, Words(f"{tasks} on {nodes} nodes")))
    return tasks // nodes, nodes


def rank() -> int:
    """Return the number of this process among all, 0 where it is the only one.

    Where Lightning itself starts the others, the numbers of one node.
    """
    environment = os.environ
    by_slurm = launched() is not None and "TORCHELASTIC_RUN_ID" not in environment
    names = ("SLURM_PROCID",) if by_slurm else ("RANK", "LOCAL_RANK", "NODE_RANK")
    return next((int(environment[name]) for name in names if environment.get(name)), 0)


def is_main_process() -> bool:
    """Tell whether this process is the one that writes."""
    return rank() == 0
