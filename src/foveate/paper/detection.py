"""Table 2: detectors, whose size is counted here, with the precision of finished runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foveate.accounting import Cost
from foveate.core import require
from foveate.paper.accuracy import Run
from foveate.paper.claims import claim_sections
from foveate.paper.counting import SIDE, Tell, count_model, quietly
from foveate.paper.precision import (
    Precision,
    elsewhere,
    find_detector_studies,
    find_detectors,
    left_out,
    precision_of,
    told,
)
from foveate.paper.published import (
    UNKNOWN,
    Figure,
    Figures,
    Group,
    PublishedRow,
    published_table,
)
from foveate.paper.rows import OURS, reports, study_section
from foveate.paper.selection import chosen_groups
from foveate.paper.table import NOT_RUN, Cells, Footnotes, PaperTable, Section
from foveate.report import StudyRecord
from foveate.report.table import points
from foveate.report.wording import measured_by, subject
from foveate.training import ModelSection
from foveate.training.starting import build

METRICS = {"ap": "AP", "ap50": "50", "ap75": "75", "aps": "S", "apm": "M", "apl": "L"}
CLASSES = 81
IMAGE = (3, 800, 1333)
_WIDTHS = [256, 512, 1024, 2048]


def table2(
    runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly
) -> PaperTable:
    """Table 2 beside ours.

    Args:
        runs: A folder with finished runs and studies, None for none.
        only: Must be empty: the table has one group of rows.
        tell: Told what is being counted, and the share that is done.
    """
    table = published_table("table2")
    marks = Footnotes()
    (group,) = chosen_groups(table, only)
    found, studies = find_detectors(runs), find_detector_studies(runs)
    rows, precisions = group.rows, _precisions(group, found)
    printed: list[Cells] = []
    counted: list[Cells] = []
    records = []
    for number, row in enumerate(rows):
        tell(f"counting {row.label}", number / len(rows))
        sizes, cost = detector_sizes(row.model), count_model(row.model, size=IMAGE)
        for turn, one in enumerate(reports(row)):
            cells = [OURS if row.ours else _bare(one.get(key)) for key in METRICS]
            sources = {marks.mark(one[key]) for key in METRICS if key in one}
            here = "" if turn else _here(precisions[row.label])
            printed.append(("" if turn else row.label, *cells, ", ".join(sorted(sources)), here))
            size = OURS if row.ours else marks.cell(one.get("params"))
            counted.append((row.label, size, *_costs(sizes, cost)) if not turn else ("", size))
        printed += _parts(precisions[row.label])
        records.append(_record(row, sizes, cost, precisions[row.label]))
    return PaperTable(
        name=table.name,
        title=table.title,
        sections=(
            Section(
                "Average precision, %",
                ("backbone", *METRICS.values(), "from", "here\nAP"),
                printed,
            ),
            Section(
                "Parameters of the detector (M), MACs of the backbone (G): printed, and here",
                (
                    *("backbone", "printed\nM", "as\nprinted\nM", "in full\nM"),
                    *("as\nprinted\nG", "in full\nG"),
                ),
                [row for row in counted if row[0] or "[" in row[1]],
            ),
            *claim_sections(table.name, {one["label"]: one["counted"] for one in records}),
            *(section for study in studies for section in _own(study)),
        ),
        notes=(*table.notes, *_run_notes(group, found, precisions, studies), *marks.lines()),
        records=tuple(records),
    )


def detector_sizes(model: ModelSection) -> tuple[int, int]:
    """Parameters of torchvision's Faster R-CNN with FPN on a ResNet.

    Args:
        model: The backbone, a ResNet of bottlenecks.

    Returns:
        All of them, and all but the kernels of deformable convolutions.

    Raises:
        ImportError: If torchvision is missing.
    """
    detection: Any = require("torchvision.models.detection", "models", "detector_sizes")
    blocks: Any = require("torchvision.models.detection.backbone_utils", "models", "detector_sizes")
    with torch.device("meta"):
        network = build(model, 1000, SIDE)
        stages = {f"layer{number}": str(number - 1) for number in (1, 2, 3, 4)}
        backbone = blocks.BackboneWithFPN(network, stages, _WIDTHS, 256)
        detector: nn.Module = detection.FasterRCNN(backbone, num_classes=CLASSES)
    everything = sum(weight.numel() for weight in detector.parameters())
    cost = count_model(model)
    return everything, everything - (cost.params - cost.params_published)


def _precisions(group: Group, runs: list[Run]) -> dict[str, Precision | None]:
    """What was run of each row, by its label."""
    experiment = group.experiment
    return {
        row.label: precision_of(row, experiment, runs) if experiment else None for row in group.rows
    }


def _here(precision: Precision | None) -> str:
    """Our AP."""
    ap = precision.means.get("ap") if precision else None
    return NOT_RUN if ap is None else points(ap.mean)


def _parts(precision: Precision | None) -> list[Cells]:
    """Our AP and its parts in the columns of the printed ones, and half the interval of AP."""
    if precision is None:
        return []
    means = (precision.means.get(key) for key in METRICS)
    cells = (UNKNOWN if mean is None else points(mean.mean) for mean in means)
    count = len(precision.runs)
    half = precision.means["ap"].half_width if "ap" in precision.means else None
    spread = "" if half is None else f"\N{PLUS-MINUS SIGN} {points(half)}"
    return [(f"here, {count} seed{'s' * (count > 1)}", *cells, "", spread)]


def _own(study: StudyRecord) -> list[Section]:
    """A study of our own: AP with its tests, then the further scores."""
    data, network = subject(study)
    recipe, measured = study.study["recipe"], measured_by(study)
    size, epochs = recipe["data"].get("size"), recipe.get("train", {}).get("epochs")
    title = (
        f"Measured here, on other data: {network} on {data}, {size} pixels, {epochs} epochs,"
        f" measured on {measured.get('images')} images; compares with no figure above:"
        f" {study.path}"
    )
    further = "By overlap and size of the same study, without tests"
    return [study_section(study, title), study_section(study, further, "further")]


def _run_notes(
    group: Group,
    runs: list[Run],
    precisions: Mapping[str, Precision | None],
    studies: list[StudyRecord],
) -> list[str]:
    """Which folders the precisions are from, and which runs are not comparable and why."""
    notes = [
        f"Runs of {label}: {', '.join(str(run.path) for run in one.runs.values())}"
        for label, one in precisions.items()
        if one
    ]
    notes += [
        f"Reduced or changed run, not comparable: {run.path}: {', '.join(reasons)}"
        for run, reasons in left_out(group, runs)
    ]
    notes += [
        f"Measured here, on other data: {told(run)}: {run.path}"
        for run in elsewhere(group, runs, studies)
    ]
    if not any(precisions.values()):
        notes.append("No run that could stand beside a published AP was found: not run.")
    return notes


def _costs(sizes: tuple[int, int], cost: Cost) -> Cells:
    numbers = (sizes[1] / 1e6, sizes[0] / 1e6, cost.macs_published / 1e9, cost.macs / 1e9)
    return tuple(f"{number:.2f}" for number in numbers)


def _bare(figure: Figure | None) -> str:
    """A figure without its origin, which stands in a column of its own."""
    return figure.text if figure else UNKNOWN


def _record(
    row: PublishedRow, sizes: tuple[int, int], cost: Cost, precision: Precision | None
) -> dict[str, Any]:
    def figures(one: Figures) -> dict[str, Any]:
        return {key: figure.record() for key, figure in one.items()}

    return {
        "label": row.label,
        "attention": row.model.attention,
        "ours": row.ours,
        "paper": figures(row.paper),
        "elsewhere": [figures(one) for one in row.elsewhere],
        "counted": {
            "params": sizes[0],
            "params_published": sizes[1],
            "backbone_macs": cost.macs,
            "backbone_macs_published": cost.macs_published,
        },
        "accuracy": precision.record() if precision else NOT_RUN,
    }
