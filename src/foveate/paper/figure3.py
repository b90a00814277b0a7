"""Figure 3: what alpha costs, counted, and our own accuracies over alpha."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

from foveate.accounting import Cost
from foveate.core import require
from foveate.paper.accuracy import find_studies
from foveate.paper.counting import Tell, count_model, quietly
from foveate.paper.published import published_table
from foveate.paper.rows import COUNTED, cost_record, counted_cells, study_sections
from foveate.paper.selection import chosen_names
from foveate.paper.table import Cells, PaperTable, Section
from foveate.report import StudyRecord, rows_of
from foveate.report.reading import variants_of
from foveate.training import ModelSection

ALPHAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
NETWORKS = {"ResNet-18": "resnet18", "ResNet-50": "resnet50"}
OWN = "ablation-alpha"
"""The ablation of ours that asks what the figure asks."""

_COLORS = {"ResNet-18": "#0a84d6", "ResNet-50": "#d9541e"}
_TEXT, _GRID = "#7a828e", "#7a828e55"


def figure3(
    runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly
) -> PaperTable:
    """Figure 3 as numbers: cost over alpha in both conventions, and our own studies of alpha.

    Args:
        runs: A folder with studies made by ``foveate paper ablation-alpha``, None for none.
        only: ``"resnet18"`` or ``"resnet50"``; both if there are none.
        tell: Told what is being counted, and the share that is done.
    """
    table = published_table("figure3")
    cells: list[Cells] = []
    records: list[dict[str, Any]] = []
    for name, costs in alpha_costs(chosen_names(table.name, NETWORKS, only), tell).items():
        cells.append((name,))
        for alpha, cost in costs.items():
            counted = (*counted_cells(cost, published=True), *counted_cells(cost))
            cells.append((f"{alpha:g}", "unknown", *counted))
            records.append(
                {"network": NETWORKS[name], "alpha": alpha, "counted": cost_record(cost)}
            )
    title = "Parameters (M) and MACs (G) with four gates: printed, and counted here"
    sections = [Section(title, ("alpha", "printed", *COUNTED), cells)]
    found = study_sections(runs, OWN)
    missing = () if found else ("No study of alpha was found: our accuracy is not run.",)
    return PaperTable(
        name=table.name,
        title=table.title,
        sections=(*sections, *found),
        notes=(*table.notes, *missing),
        records=tuple(records),
    )


def alpha_costs(names: list[str], tell: Tell = quietly) -> dict[str, dict[float, Cost]]:
    """The cost of networks of ``NETWORKS`` by alpha."""
    costs: dict[str, dict[float, Cost]] = {}
    pairs = [(name, alpha) for name in names for alpha in ALPHAS]
    for number, (name, alpha) in enumerate(pairs):
        tell(f"counting {name} with alpha {alpha:g}", number / len(pairs))
        model = {"name": NETWORKS[name], "attention": "das", "options": {"alpha": alpha}}
        costs.setdefault(name, {})[alpha] = count_model(ModelSection.model_validate(model))
    return costs


def figure3_png(runs: Path | None = None, only: tuple[str, ...] = ()) -> bytes:
    """Draw cost, and the accuracy of our own studies, over alpha, as PNG.

    Args:
        runs: A folder with studies made by ``foveate paper ablation-alpha``, None for none.
        only: ``"resnet18"`` or ``"resnet50"``; both if there are none.

    Raises:
        ImportError: If matplotlib is missing.
    """
    figure_module: Any = require("matplotlib.figure", "train", "the picture")
    require("matplotlib.backends.backend_agg", "train", "the picture")
    studies = find_studies(runs, OWN)
    figure = figure_module.Figure(figsize=(10.5 if studies else 7, 3.8), dpi=120)
    axes = figure.subplots(1, 3 if studies else 2, squeeze=False)[0]
    for name, costs in alpha_costs(chosen_names("figure3", NETWORKS, only)).items():
        for ax, key, unit in ((axes[0], "params", 1e6), (axes[1], "macs", 1e9)):
            for suffix, style, words in (("", "-", "in full"), ("_published", "--", "as printed")):
                values = [getattr(cost, f"{key}{suffix}") / unit for cost in costs.values()]
                label = f"{name}, {words}"
                ax.plot(list(costs), values, style, color=_COLORS[name], marker=".", label=label)
    axes[0].set_ylabel("parameters, M", color=_TEXT)
    axes[1].set_ylabel("MACs at 224 x 224, G", color=_TEXT)
    axes[0].legend(fontsize=8, labelcolor=_TEXT, frameon=False)
    for number, study in enumerate(studies):
        _draw_study(axes[2], study, f"C{number}")
    if studies:
        axes[2].set_ylabel("our top-1, % (not the paper's data)", color=_TEXT)
        axes[2].legend(fontsize=8, labelcolor=_TEXT, frameon=False)
    for ax in axes:
        ax.set_xscale("log")
        ax.set_xlabel("alpha", color=_TEXT)
        ax.grid(True, which="major", color=_GRID, linewidth=0.6)
        ax.tick_params(which="both", colors=_TEXT)
        for side in ax.spines.values():
            side.set_color(_TEXT)
    figure.tight_layout(pad=0.8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return buffer.getvalue()


def _draw_study(ax: Any, study: StudyRecord, color: str) -> None:
    """Accuracy over alpha with intervals, and the plain network as a level line."""
    variants = variants_of(study.study)
    rows = {row.label: row for row in rows_of(study) if row.score}
    places = {
        variants[label]["options"]["alpha"]: row.score
        for label, row in rows.items()
        if label in variants and "alpha" in variants[label].get("options", {})
    }
    chosen = sorted((alpha, one) for alpha, one in places.items() if one)
    name = study.study["recipe"]["data"]["source"].partition(":")[0]
    ax.errorbar(
        [alpha for alpha, _ in chosen],
        [100 * one.mean for _, one in chosen],
        # One seed tells no spread: no interval, and not one of width 0.
        yerr=[math.nan if one.half_width is None else 100 * one.half_width for _, one in chosen],
        color=color,
        marker="o",
        capsize=3,
        label=f"das on {name}, {study.path.name}",
    )
    plain = rows.get("none")
    if plain and plain.score:
        ax.axhline(100 * plain.score.mean, color=color, linestyle=":", label="none")
