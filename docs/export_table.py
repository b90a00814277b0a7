"""The tables of docs/export.md, from what ``benchmarks/export_matrix.py`` measured."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import foveate
from foveate.report.markdown import table

FILE = Path(__file__).parents[1] / "benchmarks" / "results" / "export_matrix.json"
NETWORKS = {
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "torchvision/mobilenet_v2": "MobileNetV2",
}
RUNTIMES = {
    "onnx": "ONNX Runtime",
    "openvino": "OpenVINO",
    "torch-export": "torch.export",
    "aoti": "AOTInductor",
}
NOT_RUN = "not run"
FORMS = ("gridsample", "gather", "deformconv", "half")


class Notes:
    """Reasons, each told once below the tables and numbered in their cells."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        """Return the number of a reason."""
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"


def parity() -> str:
    """The matrix: a table for each network, the other forms, what it came to, the reasons."""
    tree = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    cells: dict[str, dict[str, Any]] = tree.get("cells", {})
    notes, parts = Notes(), [_summary(cells), ""]
    for network, title in NETWORKS.items():
        rows = [
            [name, *(_cell(cells.get(f"{network}|{name}|{one}"), notes) for one in RUNTIMES)]
            for name in foveate.list_attentions()
        ]
        parts += [f"**{title}**", "", table(["attention", *RUNTIMES.values()], rows), ""]
    parts += ["**The forms of the deformable gate, and half precision**", "", _forms(cells, notes)]
    if notes.texts:
        parts += ["", *(f"[{number}] {text}  " for number, text in enumerate(notes.texts, 1))]
    if tree:
        commits = sorted({str(cell["commit"])[:10] for cell in cells.values()})
        parts += [*_own_errors(tree.get("own_error", {})), ""]
        parts += [_conditions(tree["conditions"], commits)]
        parts += _clocks(cells)
    return "\n".join(parts).rstrip()


def _summary(cells: dict[str, dict[str, Any]]) -> str:
    total = len(NETWORKS) * len(foveate.list_attentions()) * len(RUNTIMES)
    plain = [cell for name, cell in cells.items() if name.count("|") == 2]
    kinds = {kind: sum(c["status"] == kind for c in plain) for kind in ("passed", "failed")}
    cannot = sum(cell["status"] == "cannot" for cell in plain)
    text = (
        f"Of {total} cells {kinds['passed']} passed, {kinds['failed']} failed, {cannot} cannot be"
        f" built, {total - len(plain)} were not run. Of those that passed"
    )
    opened = [len(cell["dynamic"]) for cell in plain if cell["status"] == "passed"]
    text += (
        f" {opened.count(2)} leave batch and size open, {opened.count(1)} only the batch,"
        f" {opened.count(0)} nothing."
    )
    ratios = [
        f"{title} {statistics.median(found):.2f}x ({len(found)})"
        for one, title in RUNTIMES.items()
        if (
            found := [
                cell["ratio"]
                for name, cell in cells.items()
                if name.endswith(f"|{one}") and "ratio" in cell
            ]
        )
    ]
    return text + (f" Median latency ratios: {', '.join(ratios)}." if ratios else "")


def _cell(cell: dict[str, Any] | None, notes: Notes) -> str:
    if cell is None:
        return NOT_RUN
    if cell["status"] != "passed":
        word = "none" if cell["status"] == "cannot" else "**fails**"
        return f"{word} {notes.mark(cell['reason'])}"
    text = f"{cell['relative']:.0e}, {_ratio(cell)}"
    if len(cell["dynamic"]) < 2:
        opened, more = (
            ("only the batch stays open", "batch and size")
            if cell["dynamic"]
            else ("nothing stays open", "batch")
        )
        reason = cell["why_not_more"][more]
        text += f" {notes.mark(f'{opened}: {reason}')}"
    return text


def _ratio(cell: dict[str, Any]) -> str:
    return f"{cell['ratio']:.2f}x" if cell.get("ratio") is not None else "not timed"


def _forms(cells: dict[str, dict[str, Any]], notes: Notes) -> str:
    rows = []
    for network, title in NETWORKS.items():
        for name in ("das", "das_lite"):
            for one in ("onnx", "openvino", "torch-export"):
                given = {how: cells.get(f"{network}|{name}|{one}|{how}") for how in FORMS}
                plain = cells.get(f"{network}|{name}|{one}")
                if plain is not None and plain.get("deform"):
                    given[plain["deform"]] = plain
                if any(found is not None for found in given.values()):
                    shown = [_cell(given[how], notes) for how in FORMS]
                    rows.append([title, name, RUNTIMES[one], *shown])
    if not rows:
        return NOT_RUN
    return table(["network", "attention", "runtime", *FORMS[:3], "half"], rows)


def _own_errors(found: dict[str, float]) -> list[str]:
    """What the networks of failing cells are by themselves."""
    if not found:
        return []
    named = (pair.split("|") for pair in found)
    each = [
        f"{NETWORKS[network]} with {attention} {found[f'{network}|{attention}']:.0e}"
        for network, attention in named
    ]
    return [
        "",
        "PyTorch's own float32 is this far from its own float64 in the networks that fail in"
        f" float32: {', '.join(each)}. Where that is near the limit, no file can be held to it:"
        " these networks are not trained, and such networks enlarge roundings more than trained"
        " ones do.",
    ]


def _clocks(cells: dict[str, dict[str, Any]]) -> list[str]:
    timed = [cell for cell in cells.values() if "ratio" in cell]
    wall = sum(cell.get("clock") != "processor" for cell in timed)
    if not timed:
        return []
    return [
        f"Times are those of the processor, but of {wall} of {len(timed)} cells, which are by the"
        " clock and move with other load."
        if wall
        else "Times are those of the processor."
    ]


def _conditions(how: dict[str, Any], commits: list[str]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in how["versions"].items() if number)
    return (
        f"Measured on {how['processor']} ({how['cores']} cores, shared with other work),"
        f" {how['threads']} thread, {versions}; {_numbered(commits)},"
        f" {how['measured'][:10]}; `{how['command']}`. Images of {how['checked_at']} pixels are"
        f" compared, in three shapes where batch and size are open; one image of"
        f" {how['timed_at']} pixels is timed where the size is open, else one of"
        f" {how['checked_at']}."
    )


def _numbered(commits: list[str]) -> str:
    return f"commit{'s' if len(commits) > 1 else ''} {', '.join(commits)}"


GATE = FILE.with_name("export_forms.json")


def gate_forms() -> str:
    """The gate alone, in each form and runtime, on the maps of two networks."""
    if not GATE.is_file():
        return f"{NOT_RUN.capitalize()}: `python benchmarks/export_forms.py`"
    tree = json.loads(GATE.read_text(encoding="utf-8"))
    maps, how = tree["rows"], tree["conditions"]
    rows = []
    for one in ("onnx", "openvino", "torch-export"):
        for form in FORMS[:3]:
            found = [row["ratios"][f"{one}|{form}"] for row in maps.values()]
            mean = statistics.geometric_mean(found)
            rows.append([RUNTIMES[one], form, *(f"{x:.2f}x" for x in found), f"{mean:.2f}x"])
    versions = ", ".join(f"{name} {number}" for name, number in how["versions"].items())
    said = (
        f"Time of one call over that of the gate in eager PyTorch (the project's own fast one);"
        f" the last column is the geometric mean. {how['processor']}, 1 thread, {versions};"
        f" `{how['command']}`."
    )
    return table(["runtime", "form", *maps, "mean"], rows) + f"\n\n{said}"
