"""Table 2: detectors, whose size is counted here and which nothing here trains yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from foveate.accounting import Cost
from foveate.core import require
from foveate.paper.claims import claim_sections
from foveate.paper.counting import SIDE, Tell, count_model, quietly
from foveate.paper.published import UNKNOWN, Figure, Figures, PublishedRow, published_table
from foveate.paper.rows import OURS, reports
from foveate.paper.selection import chosen_groups
from foveate.paper.table import NOT_RUN, Cells, Footnotes, PaperTable, Section
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
        runs: Not looked at: detectors have no runs yet.
        only: Must be empty: the table has one group of rows.
        tell: Told what is being counted, and the share that is done.
    """
    table = published_table("table2")
    marks = Footnotes()
    rows = [row for group in chosen_groups(table, only) for row in group.rows]
    printed: list[Cells] = []
    counted: list[Cells] = []
    records = []
    for number, row in enumerate(rows):
        tell(f"counting {row.label}", number / len(rows))
        sizes, cost = detector_sizes(row.model), count_model(row.model, size=IMAGE)
        for turn, one in enumerate(reports(row)):
            cells = [OURS if row.ours else _bare(one.get(key)) for key in METRICS]
            sources = {marks.mark(one[key]) for key in METRICS if key in one}
            here = "" if turn else NOT_RUN
            printed.append(("" if turn else row.label, *cells, ", ".join(sorted(sources)), here))
            size = OURS if row.ours else marks.cell(one.get("params"))
            counted.append((row.label, size, *_costs(sizes, cost)) if not turn else ("", size))
        records.append(_record(row, sizes, cost))
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
        ),
        notes=(*table.notes, *marks.lines()),
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


def _costs(sizes: tuple[int, int], cost: Cost) -> Cells:
    numbers = (sizes[1] / 1e6, sizes[0] / 1e6, cost.macs_published / 1e9, cost.macs / 1e9)
    return tuple(f"{number:.2f}" for number in numbers)


def _bare(figure: Figure | None) -> str:
    """A figure without its origin, which stands in a column of its own."""
    return figure.text if figure else UNKNOWN


def _record(row: PublishedRow, sizes: tuple[int, int], cost: Cost) -> dict[str, Any]:
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
        "accuracy": NOT_RUN,
    }
