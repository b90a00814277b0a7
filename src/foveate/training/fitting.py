"""The loop that all tasks share: Lightning does the work, a run folder holds what comes of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn

from foveate.core import Words, expected
from foveate.core.files import write_json
from foveate.models import save
from foveate.training import environment
from foveate.training.averaging import FollowAverage
from foveate.training.checkpoints import AtomicCheckpointIO, read_whole, sound_checkpoint
from foveate.training.data_module import KeyedData
from foveate.training.draws import mix
from foveate.training.keeper import Keeper
from foveate.training.launch import processes, share_batch_norms_, strategy
from foveate.training.opening import Opening
from foveate.training.phases import gates_first
from foveate.training.progress import Reporter, ShowProgress
from foveate.training.quiet import interruptible, quiet, seed_all, seeded
from foveate.training.random_states import RandomStates
from foveate.training.ranks import is_main_process, rank
from foveate.training.recipe import Recipe
from foveate.training.run_folder import RunFolder
from foveate.training.schedule import best_of
from foveate.training.starting import Start
from foveate.training.trainee import Trainee
from foveate.training.workers import told_by


@dataclass(frozen=True)
class Task:
    """What a task brings to a run.

    Attributes:
        data: The images.
        begun: The network.
        trainee: Makes the Lightning module once norms and layout are settled.
        callbacks: Makes callbacks of the task's own; they run before checkpoints are written.
        save: Writes a trained network into a folder.
        details: What the result says beyond the numbers of its epoch, given the trained network;
            it may write files of its own into the run folder.
    """

    data: KeyedData
    begun: Start
    trainee: Callable[[nn.Module], Trainee]
    callbacks: Callable[[Trainee], Sequence[Callback]] = lambda _: ()
    save: Callable[[nn.Module, Path], Any] = save
    details: Callable[[nn.Module, RunFolder], dict[str, Any]] = lambda *_: {}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM during a run; the message says what is kept and how to go on."""


class _Watch(Callback):  # type: ignore[misc]
    """Remembers a Ctrl-C that Lightning swallowed."""

    def __init__(self) -> None:
        self.interrupted = False

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Note a Ctrl-C."""
        self.interrupted = isinstance(exception, KeyboardInterrupt)


def train_in(
    run: RunFolder,
    recipe: Recipe,
    prepare: Callable[[], Task],
    *,
    resume: bool,
    progress: bool | Reporter,
) -> RunFolder:
    """Train what a task prepares in a run folder; a finished run is returned as it is.

    Args:
        run: The folder to make or to continue.
        recipe: What to do.
        prepare: Opens the data and makes the network, under the seed of the recipe.
        resume: Continue the unfinished run of the same recipe.
        progress: Show a progress bar; or the reporter to tell.

    Raises:
        ValueError: If the folder holds something else.
        Interrupted: On Ctrl-C or SIGTERM; the last checkpoint is kept.
    """
    main = is_main_process()
    if main:
        run.check(recipe, resume=resume)
    if run.is_finished:
        if main:
            run.tidy()
        return run
    with interruptible(), quiet(), seeded(recipe.seed):
        task = prepare()
        if main:
            run.start(recipe)
            _note_start(run, recipe)
        if isinstance(progress, Reporter):
            return _fit(run, recipe, task, progress)
        with Reporter(recipe.train.epochs, enabled=progress and main) as reporter:
            reporter.begin(recipe.name or recipe.model.attention, 1, recipe.train.epochs)
            finished = _fit(run, recipe, task, reporter)
            reporter.end()
            return finished


def _fit(run: RunFolder, recipe: Recipe, task: Task, reporter: Reporter) -> RunFolder:
    plan, data, network = recipe.train, task.data, task.begun.network
    devices, nodes = processes(plan)
    world = devices * nodes
    # Before a copy is averaged.
    if plan.sync_bn:
        share_batch_norms_(network, world, plan.accelerator)
    if plan.channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module = task.trainee(network)
    watch = _Watch()
    trainer = pl.Trainer(
        max_epochs=plan.epochs,
        accelerator=plan.accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy(world, plan),
        precision=_precision(plan.precision),
        gradient_clip_val=plan.clip_norm,
        accumulate_grad_batches=plan.accumulate,
        callbacks=[watch, *_callbacks(run, recipe, module, task, reporter)],
        plugins=[AtomicCheckpointIO()],
        logger=TensorBoardLogger(str(run.path), name="", version="tensorboard")
        if plan.tensorboard
        else False,
        default_root_dir=str(run.path),
        num_sanity_val_steps=-1 if plan.validate_start else 0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    checkpoint = sound_checkpoint(run)
    # The first weights must not decide what dropout draws: networks differ in how many they have.
    seed_all(recipe.seed if rank() == 0 else mix(recipe.seed, 0, rank()))
    started = time.perf_counter()
    try:
        with told_by((data.desks, data.val_desks), (data.train_set, data.val_set)):
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    except SystemExit:
        # Lightning leaves by this way, with status 0, after Ctrl-C and after SIGTERM.
        raise Interrupted(_how_to_go_on(run, recipe)) from None
    if watch.interrupted:
        raise Interrupted(_how_to_go_on(run, recipe))
    if trainer.is_global_zero:
        _finish(run, recipe, module, task, time.perf_counter() - started)
    return run


def _callbacks(
    run: RunFolder, recipe: Recipe, module: Trainee, task: Task, reporter: Reporter
) -> list[Callback]:
    """Return the callbacks in the order they must run: what writes checkpoints comes last."""
    plan, model = recipe.train, recipe.model
    callbacks: list[Callback] = [RandomStates(), ShowProgress(reporter)]
    if plan.gates_first:
        callbacks.append(gates_first(module.network, plan.gates_first, task.begun.fresh))
    if model.attention != "none" and model.start == "identity" and model.opening == "linear":
        networks = dict.fromkeys([module.network, module.kept])
        callbacks.append(Opening(list(networks), model.opening_epochs))
    if module.average is not None:
        callbacks.append(FollowAverage(module.network, module.average))
    return [*callbacks, *task.callbacks(module), Keeper(run)]


def _precision(name: str) -> Any:
    return "32-true" if name == "32" else name


def _finish(run: RunFolder, recipe: Recipe, module: Trainee, task: Task, seconds: float) -> None:
    """Write the weights and, as the last thing, the result."""
    best = best_of(recipe.train, module.history) + 1
    row = module.rows[-1]
    network = module.kept
    kept = recipe.train.keep
    if kept == "best" and best < len(module.rows):
        if _take_best(run, module, best):
            row = module.rows[best - 1]
        else:
            kept = "last"
    task.save(network.eval(), run.path)
    details = task.details(network, run)
    noted = run.environment or environment.describe(recipe.seed)
    write_json(run.environment_path, {**noted, "ended": environment.timestamp()})
    run.write_result(
        {
            **module.named(row),
            "images": module.val_images,
            "classes": list(task.data.classes),
            "unreadable": [
                {"name": name, "reason": reason} for name, reason in module.unreadable.items()
            ],
            "epochs": len(module.rows),
            "seconds": sum(entry["seconds"] for entry in module.rows),
            "seconds_here": seconds,
            "best_epoch": best,
            "weights": kept,
            "start": None if module.start is None else module.named(module.start),
            "params": sum(parameter.numel() for parameter in network.parameters()),
            **details,
        }
    )
    run.tidy()


def _take_best(run: RunFolder, module: Trainee, best: int) -> bool:
    """Load the weights of the best epoch; tell, and leave the last ones, where they are lost.

    A run killed at the wrong moment may do an epoch again, and on a GPU to another end.
    """
    try:
        checkpoint = read_whole(run.best_checkpoint)
        rows = checkpoint["foveate"].get("rows", [])
    except (OSError, ValueError):
        rows = []
    names = [name for name in module.rows[best - 1] if name != "seconds"]
    if len(rows) != best or any(rows[-1][name] != module.rows[best - 1][name] for name in names):
        warnings.warn(
            f"{run.best_checkpoint} does not hold epoch {best}, the best one: the run ends with the"
            " weights of its last epoch",
            stacklevel=2,
        )
        return False
    module.load_state_dict(checkpoint["state_dict"])
    return True


def _note_start(run: RunFolder, recipe: Recipe) -> None:
    """Record the conditions, or add to them that the run was resumed."""
    noted = run.environment
    if noted is None:
        devices, nodes = processes(recipe.train)
        noted = {**environment.describe(recipe.seed), "processes": devices * nodes}
    else:
        noted["resumed"] = [*noted.get("resumed", []), environment.timestamp()]
    write_json(run.environment_path, noted)


def _how_to_go_on(run: RunFolder, recipe: Recipe) -> str:
    """Say what an interrupted run has kept and how to continue it."""
    done = len(run.metrics)
    if not run.can_resume:
        kept = "no epoch was kept"
    else:
        kept = f"{done} of {recipe.train.epochs} epochs are finished"
    return expected(
        f"the run in {run.path}",
        f"{recipe.train.epochs} epochs",
        Words(f"an interruption ({kept})"),
        "pass --resume (resume=True) to continue it",
    )
