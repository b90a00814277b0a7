"""The table of a survey on disk: a row per image, network and layer, written batch by batch."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from foveate.core import Words, expected
from foveate.core.files import write_bytes, write_json, write_with
from foveate.core.reading import read_object, whole

KEYS = ("index", "image", "network", "seed", "layer", "truth", "said", "explained", "flag")
"""What a row is about; its other columns are scores."""

CONSTANT = "constant map"
UNKNOWN = "the network does not know the label"
_LEFT_OUT = ("index", "image", "reason")
_SETTINGS, _PRINTS = "survey.json", "prints"
# What a folder holds that belongs to something else, unless a survey was begun in it.
_TAKEN = ("scores.csv", "left-out.csv", "explain.json", "report.html", "config.toml", "study.toml",
          "model.json")  # fmt: skip

Row = dict[str, Any]


class Ledger:
    """``scores.csv``, ``left-out.csv`` and ``survey.json`` of a folder.

    A process that is killed leaves at most the rows of one batch half written; they are dropped
    when the survey goes on, which redoes that batch: images scored in other company may differ in
    their last digit.

    Args:
        folder: Made if missing.
        settings: What decides the scores; a folder that was begun with others is refused.
        each: Rows that every image has.
        batch: Images at a time; batches begin at its multiples.
        images: How many there are.
        prints: Fingerprints of what is looked at; one that changed is refused, one that is known
            on one side only is not.

    Raises:
        ValueError: If the folder holds a survey of other settings or things, or something else.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        each: int,
        *,
        batch: int = 1,
        images: int | None = None,
        prints: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.left_out_path = folder / "scores.csv", folder / "left-out.csv"
        _refuse_others(folder, settings, prints or {})
        counts = Counter(row["index"] for row in read_rows(self.path))
        self._left_out = {
            row["index"]: row for row in read_rows(self.left_out_path) if set(row) >= {*_LEFT_OUT}
        }
        whole = {int(index) for index, count in counts.items() if count == each}
        seen = Counter(index // batch for index in whole | {int(one) for one in self._left_out})
        end = math.inf if images is None else images
        full = {one for one, count in seen.items() if count == min(batch, end - one * batch)}
        self.done = {index for index in whole if index // batch in full}
        if counts.keys() != {str(index) for index in self.done} or _is_cut(self.path):
            self._drop_others()

    def add(self, rows: Sequence[Row]) -> None:
        """Append the rows of whole images; they are on their way to the disk when it returns."""
        if not rows:
            return
        fresh = not self.path.is_file() or self.path.stat().st_size == 0
        text = _as_csv(rows, header=fresh)
        with self.path.open("a", encoding="utf-8", newline="") as handle:
            handle.write(text)
        fresh_ones = {int(row["index"]) for row in rows}
        self.done |= fresh_ones
        # An image that could not be read before may have been mended.
        self._write_left_out({k: v for k, v in self._left_out.items() if int(k) not in fresh_ones})

    def leave_out(self, images: Mapping[int, tuple[str, str]]) -> None:
        """Note images that cannot be read: name and reason by index."""
        more = {
            str(index): {"index": str(index), "image": image, "reason": reason}
            for index, (image, reason) in images.items()
        }
        self._write_left_out({**self._left_out, **more})

    def _write_left_out(self, wanted: dict[str, dict[str, str]]) -> None:
        if wanted != self._left_out:
            text = _as_csv(list(wanted.values()), header=True) if wanted else ""
            write_bytes(self.left_out_path, text.encode())
            self._left_out = wanted

    @property
    def left_out(self) -> list[dict[str, str]]:
        """Images that could not be read: ``image`` and ``reason``."""
        return [{key: row[key] for key in _LEFT_OUT[1:]} for row in self._left_out.values()]

    def _drop_others(self) -> None:
        """Keep the rows of images that are done; row by row, for a table may be long."""

        def write(handle: IO[bytes]) -> None:
            header = True
            for row in read_rows(self.path):
                if int(row["index"]) in self.done:
                    handle.write(_as_csv([row], header=header).encode())
                    header = False

        write_with(self.path, write, "scores")


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table as text; a line that was cut off in the middle is passed over."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as handle, whole(str(path), "a table of scores"):
        # A line without its end may lack digits of its last number.
        for row in csv.DictReader(line for line in handle if line.endswith("\n")):
            if None not in row and None not in row.values() and _is_place(row.get("index", "")):
                yield row


def _is_place(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16


def printable(name: str) -> str:
    """A name of an image that every file and page can hold: control and stray bytes are escaped.

    Example:
        >>> printable("scenes/val/1.png")
        'scenes/val/1.png'
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in name
    )


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


def _refuse_others(folder: Path, settings: Mapping[str, Any], prints: Mapping[str, str]) -> None:
    """Write down what is asked, or check that it is what the folder was begun with."""
    who, path, remedy = f"a survey in {folder}", folder / _SETTINGS, "choose another folder"
    tree = json.loads(json.dumps({**settings, _PRINTS: dict(prints)}))
    if not path.is_file():
        taken = [name for name in _TAKEN if (folder / name).exists()]
        if taken or (folder.exists() and not folder.is_dir()):
            got = Words(f"one with {taken[0]}" if taken else "a file")
            raise ValueError(expected(who, "a folder of its own", got, remedy))
        write_json(path, tree)
        return
    try:
        before = read_object(path, "the settings of a survey")
        old = dict(before.pop(_PRINTS, {}))
    except (ValueError, TypeError, AttributeError) as error:
        remedy = f"{remedy}, or delete this one"
        raise ValueError(
            expected(who, "its settings", Words(f"a damaged {path}"), remedy)
        ) from error
    new = tree.pop(_PRINTS)
    told = [
        *(f"{k}: {before.get(k)} there, {tree.get(k)} asked" for k in sorted({*tree, *before})
          if tree.get(k) != before.get(k)),
        *(f"{k} changed" for k in sorted({*new} & {*old}) if new[k] != old[k]),
    ]  # fmt: skip
    if told:
        rule, remedy = "the settings that it was begun with", f"{remedy}, or delete this one"
        raise ValueError(expected(who, rule, Words("; ".join(told)), remedy))
