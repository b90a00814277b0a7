"""``foveate bench``: how fast the gate is here, beside what it is to beat."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

RESULTS = Path("benchmarks") / "results"


def bench(
    suites: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SUITE]...",
            help="gate, op, attention, network, memory, scaling; by default gate.",
        ),
    ] = None,
    vs: Annotated[
        str,
        typer.Option(
            help="Baselines with commas: torchvision, torchvision-compiled, deformops, conv."
        ),
    ] = "torchvision,conv",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; by default torch's.")] = None,
    dtype: Annotated[
        str, typer.Option(help="float32, bfloat16 (forward alone), or both with a comma.")
    ] = "float32",
    cases: Annotated[
        str, typer.Option(help="Only maps like these, with commas: '1x*,8x256x56x56'.")
    ] = "",
    attentions: Annotated[
        str, typer.Option(help="Only these attentions in the network suite, with commas.")
    ] = "",
    seconds: Annotated[
        float, typer.Option(min=0.001, help="Time for each variant, map and mode.")
    ] = 1.0,
    repeat: Annotated[int, typer.Option(min=1, help="Measure everything so often.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    quick: Annotated[
        bool, typer.Option("--quick", help="Toy sizes: shows that all runs, no number counts.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="The result file (JSON); whole tables have one by default."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say which backend would run and why; time nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Measure the gate beside torchvision's, a plain convolution and others.

    Every variant is checked against the reference, forward and all gradients, before it is timed;
    one that is wrong gets no number, and the command ends with 1. Ctrl-C keeps finished rows.

    Example:
        foveate bench gate memory --threads 2 --repeat 2
        foveate bench attention --cases '1x256x56x56'
    """
    from foveate.bench import Plan, Session, Settings

    if explain:
        _explain(_words(dtype), _device(device))
        return
    import torch

    settings = Settings(
        threads=threads or torch.get_num_threads(),
        seconds=0.01 if quick else seconds,
        device=_device(device),
        quick=quick,
    )
    plan = Plan(
        suites=tuple(dict.fromkeys(suites or ["gate"])),
        versus=tuple(_words(vs)),
        dtypes=tuple(_words(dtype)),
        patterns=tuple(_words(cases)),
        repeat=repeat,
        attentions=tuple(_words(attentions)),
    )
    # What is no whole table does not replace a published one unless it is told to.
    whole = not (quick or plan.patterns or plan.attentions)
    path = out or (_default_path(list(plan.suites), settings.device) if whole else None)
    session = Session(plan, settings, path)
    with _progress(not quiet) as tell:
        result = session.run(tell)
    _show(result, session.partial if result.conditions.interrupted else path)


def _show(result: Any, path: Path | None) -> None:
    """Print everything.

    Raises:
        KeyboardInterrupt: If the run was interrupted.
        Exit: With 1, if a row failed.
    """
    from rich.console import Console

    from foveate.bench.tables import show

    show(result, Console())
    if path is not None:
        typer.echo(f"{len(result.rows)} rows in {path}")
    if result.conditions.interrupted:
        kept = f"the {len(result.rows)} rows above are all that was finished"
        raise KeyboardInterrupt(f"interrupted; {kept}")
    if any(row.status.startswith("failed") for row in result.rows):
        raise typer.Exit(1)


def _explain(dtypes: list[str], device: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from foveate.bench.choices import choices
    from foveate.bench.session import DTYPES
    from foveate.core import check_choice

    for one in dtypes:
        check_choice("bench", "--dtype", one, DTYPES)
    table = Table("operator", "dtype", "backend", "verdict", title=f"on {device}")
    for choice in choices(dtypes, device):
        table.add_row(choice.operator, choice.dtype, choice.backend, choice.verdict)
    Console().print(table)


def _default_path(suites: list[str], device: str) -> Path:
    """The file in benchmarks/results if there is such a folder, else in the present one."""
    from foveate.bench.result import file_name
    from foveate.core.environment import machine

    name = file_name(suites, {**machine(), "device": device})
    return (RESULTS if RESULTS.is_dir() else Path()) / name


def _device(name: str) -> str:
    """Check the device.

    Raises:
        ValueError: If it is unknown or absent.
    """
    import torch

    from foveate.core import Words, check_choice, expected

    check_choice("bench", "--device", name, ("cpu", "cuda"))
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(expected("bench", "a CUDA device for --device cuda", Words("none")))
    return name


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


@contextmanager
def _progress(enabled: bool) -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal, a line per step elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(file=sys.stderr)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (enabled and console.is_terminal),
    )
    task = bar.add_task("starting", total=1.0)

    def tell(label: str, share: float) -> None:
        bar.update(task, description=label, completed=share)
        if enabled and not console.is_terminal:
            typer.echo(f"{100 * share:3.0f} % {label}", err=True)

    with bar:
        yield tell
