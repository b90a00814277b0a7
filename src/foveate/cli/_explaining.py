"""What ``explain``, ``compare`` and ``paper`` share: explain networks, with progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foveate.data import ImageDataset
    from foveate.explain.regions import RegionSource
    from foveate.explain.subjects import Subject

NONE = "none"


def default_base(subjects: Sequence[Subject]) -> str | None:
    """The plain network of a study, which the others are compared with; None if there is none."""
    labels = {one.label for one in subjects}
    return NONE if NONE in labels and len(labels) > 1 else None


def find_regions(
    how: str,
    dataset: ImageDataset,
    cache: Path,
    *,
    device: str | None = None,
    **options: Any,
) -> RegionSource:
    """Where the object of each image lies; see :func:`foveate.explain.regions.open_regions`."""
    import torch

    from foveate.explain.regions import open_regions

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return open_regions(how, dataset=dataset, cache=cache, device=place, **options)


def explain_into(
    folder: Path,
    subjects: Sequence[Subject],
    dataset: ImageDataset,
    regions: RegionSource,
    source: str,
    *,
    quiet: bool,
    base: str | None = None,
    layers: tuple[str, ...] = (),
    title: str = "",
    pictures: int = 12,
    view: int = 4,
    **settings: Any,
) -> Path:
    """Explain networks into a folder, with a bar on the terminal, and write its report.

    Args:
        folder: Made if missing; one that was interrupted goes on.
        subjects: Networks.
        dataset: Images.
        regions: Where their objects lie.
        source: The images in a word.
        quiet: Show no progress.
        base: Label of the network that the others are compared with.
        layers: Maps to score; by default those of the last stages of the first network.
        title: Of the report.
        pictures: Images to draw.
        view: Images in the viewer.
        **settings: Of :class:`foveate.explain.survey.SurveySettings`.

    Returns:
        The report.
    """
    from foveate.explain.explanation import explain_images
    from foveate.explain.survey import SurveySettings, default_layers
    from foveate.report import write_explain_report

    first = subjects[0]
    asked = SurveySettings(layers=layers or default_layers(first.model, first.blank()), **settings)
    with progress(not quiet, folder) as tell:
        explain_images(
            subjects,
            dataset,
            regions,
            folder,
            asked,
            base=base,
            source=source,
            title=title,
            pictures=pictures,
            view=view,
            progress=tell,
        )
    return write_explain_report(folder)


@contextmanager
def progress(enabled: bool, folder: Path) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on the terminal for one kind of work after the other; nothing in a pipe.

    Raises:
        KeyboardInterrupt: With what is kept, when Ctrl-C is pressed.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    bar = Progress(
        *columns, console=console, transient=True, disable=not (enabled and console.is_terminal)
    )
    tasks: dict[str, Any] = {}

    def tell(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)

    try:
        with bar:
            yield tell
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; what is scored is kept in {folder}: give the same command again to go on"
        ) from None
