"""The table of a survey on disk: a row per image, network and layer, written batch by batch."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from foveate.core import Words, expected
from foveate.core.files import write_bytes, write_json

KEYS = ("index", "image", "network", "seed", "layer", "truth", "said", "explained", "flag")
"""What a row is about; its other columns are scores."""

CONSTANT = "constant map"
_LEFT_OUT = ("index", "image", "reason")

Row = dict[str, Any]


class Ledger:
    """``scores.csv``, ``left-out.csv`` and ``survey.json`` of a folder.

    A process that is killed leaves at most the rows of one batch half written; they are dropped
    when the survey goes on, which redoes those images.

    Args:
        folder: Made if missing.
        settings: What decides the scores; a folder that was begun with others is refused.
        each: Rows that every image has.

    Raises:
        ValueError: If the folder holds a survey of other settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], each: int) -> None:
        self.path, self.left_out_path = folder / "scores.csv", folder / "left-out.csv"
        self.each = each
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_others(folder / "survey.json", settings)
        rows = list(read_rows(self.path)) if self.path.is_file() else []
        counts = Counter(row["index"] for row in rows)
        self.done = {int(index) for index, count in counts.items() if count == each}
        kept = [row for row in rows if int(row["index"]) in self.done]
        if len(kept) < len(rows) or _is_cut(self.path):
            self._replace(kept)
        self._left_out = {row["index"]: row for row in read_rows(self.left_out_path)}

    def add(self, rows: Sequence[Row]) -> None:
        """Append the rows of whole images; they are on their way to the disk when it returns."""
        if not rows:
            return
        fresh = not self.path.is_file() or self.path.stat().st_size == 0
        text = _as_csv(rows, header=fresh)
        with self.path.open("a", encoding="utf-8", newline="") as handle:
            handle.write(text)
        self.done.update(int(row["index"]) for row in rows)

    def leave_out(self, index: int, image: str, reason: str) -> None:
        """Note an image that cannot be read."""
        self._left_out[str(index)] = {"index": str(index), "image": image, "reason": reason}
        write_bytes(
            self.left_out_path, _as_csv(list(self._left_out.values()), header=True).encode()
        )

    @property
    def left_out(self) -> list[dict[str, str]]:
        """Images that could not be read: ``image`` and ``reason``."""
        return [{key: row[key] for key in _LEFT_OUT[1:]} for row in self._left_out.values()]

    def _replace(self, rows: Sequence[Row]) -> None:
        write_bytes(self.path, _as_csv(rows, header=True).encode() if rows else b"")


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table as text; a line that was cut off in the middle is passed over."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as handle:
        # A line without its end may lack digits of its last number.
        for row in csv.DictReader(line for line in handle if line.endswith("\n")):
            if None not in row and None not in row.values() and row.get("index", "").isdigit():
                yield row


def as_number(text: str) -> float:
    """A score as it stands in the table; nothing stands for a score that is not defined."""
    return float(text) if text else math.nan


def _is_cut(path: Path) -> bool:
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as handle:
        handle.seek(-1, 2)
        return handle.read(1) != b"\n"


def _as_csv(rows: Sequence[Row], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(rows[0])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.7g}"
    return "" if value is None else value


def _refuse_others(path: Path, settings: Mapping[str, Any]) -> None:
    """Write down what is asked, or check that it is what the folder was begun with."""
    tree = json.loads(json.dumps(settings))
    if not path.is_file():
        write_json(path, tree)
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        before = {}
    changed = sorted(key for key in {*tree, *before} if tree.get(key) != before.get(key))
    if changed:
        got = Words("; ".join(f"{k}: {before.get(k)} there, {tree.get(k)} asked" for k in changed))
        raise ValueError(
            expected(
                f"a survey in {path.parent}",
                "the settings that it was begun with",
                got,
                "choose another folder, or delete this one",
            )
        )
