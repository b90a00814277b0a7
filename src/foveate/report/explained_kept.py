"""What is kept of a look at some networks: its numbers without the places of one machine."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foveate.core.files import write_bytes
from foveate.core.reading import whole
from foveate.report.copies import copy_pictures
from foveate.report.explained import KIND, Explained, read_explained
from foveate.report.explained_html import find_inside
from foveate.report.explained_picture import draw_explained
from foveate.report.explained_wording import headline
from foveate.report.kept import anonymous

_HEADS = ("layer", "score", "network", "seed", "mean", "low", "high", "images", "chance")


def write_kept(
    folder: str | Path, target: str | Path, name: str, title: str = "", note: str = ""
) -> Path:
    """Write what a look at some networks came to, all but its page.

    ``NAME.json`` holds the numbers, ``NAME.csv`` the mean of every score by layer, network and
    seed, ``NAME.png`` the plot, ``NAME-1.png`` and so on a few pictures of less than 200 kB.

    Args:
        folder: A folder of ``foveate explain``.
        target: Where the files go.
        name: Their name.
        title: Title of the page; by default that of the folder.
        note: A limit that the files cannot tell.

    Returns:
        The path of ``NAME.json``.

    Raises:
        FileNotFoundError: If the folder has no ``explain.json``.
        ValueError: If it is damaged.
        ImportError: If matplotlib is missing.
    """
    record, place = read_explained(folder), Path(target)
    with whole(f"a report of {folder}", "explain.json as foveate writes it"):
        kept = keep_explained(record, title, note)
        pictures = (
            (_without_places(picture), find_inside(record, str(picture.get("file", ""))))
            for picture in record.tree.get("pictures") or ()
        )
        kept["pictures"] = copy_pictures(pictures, place, name)
        write_bytes(place / f"{name}.csv", means_csv(record).encode())
        write_bytes(place / f"{name}.png", draw_explained(Explained(kept)))
    text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    write_bytes(place / f"{name}.json", text.encode())
    return place / f"{name}.json"


def keep_explained(record: Explained, title: str = "", note: str = "") -> dict[str, Any]:
    """The numbers of a look as one tree for JSON, without the paths of the machine.

    Args:
        record: The look.
        title: What its page is called.
        note: A limit that the files cannot tell.
    """
    tree: dict[str, Any] = _without_places(record.tree)
    kept = {"kind": KIND, **tree, "title": title or record.title, "note": note}
    return {**kept, "headline": headline(record), "viewer": None, "contact_sheet": None}


def means_csv(record: Explained) -> str:
    """The mean of every score by layer, network and seed; an empty seed means over all seeds."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADS)
    for layer in record.layers:
        for score, by_network in record.summary["scores"].get(layer, {}).items():
            for network, one in by_network.items():
                ends = (one.get(key) for key in ("mean", "low", "high", "count", "chance"))
                writer.writerow((layer, score, network, "", *map(_cell, ends)))
                for seed, mean in (one.get("seeds") or {}).items():
                    if str(seed):
                        writer.writerow((layer, score, network, seed, _cell(mean), "", "", "", ""))
    return out.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _without_places(tree: Any) -> Any:
    """A tree whose texts name no folder of one machine."""
    if isinstance(tree, str):
        return anonymous(tree)
    if isinstance(tree, Mapping):
        return {key: _without_places(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_without_places(value) for value in tree]
    return tree
