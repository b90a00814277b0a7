"""The contact sheet: every region beside its image on one page, to be checked by eye."""

from __future__ import annotations

import base64
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from torch import Tensor

from foveate.core import Words, check_positive_int, expected
from foveate.core.files import write_bytes
from foveate.data.samples import ImageDataset
from foveate.explain.regions.cached import read_entry
from foveate.explain.regions.pictures import outline_png, shrink_mask, small_jpeg
from foveate.explain.regions.region import Region, asked_class, image_key, override_path

_MUCH = 0.6
"""A region above this share of its image is marked: objects rarely fill so much."""

_WHO = "write_contact_sheet"


@dataclass(frozen=True)
class SheetEntry:
    """What one card of the contact sheet shows.

    Attributes:
        name: The image's name in its data set.
        class_name: What was asked for, None without a class.
        size: Height and width of the image.
        region: The region; its mask may be shrunk to the size of the picture.
        share: Share of the image that the region covers, 0 without one.
        picture: A small JPEG of the image, empty if there is none.
        settings: What the source was.
    """

    name: str
    class_name: str | None
    size: tuple[int, int]
    region: Region
    share: float
    picture: bytes
    settings: dict[str, Any]


def sheet_entry(
    dataset: ImageDataset,
    index: int,
    image: Tensor,
    class_name: str | None,
    region: Region,
    settings: dict[str, Any] | None = None,
) -> SheetEntry:
    """Return the card of one image; the arguments are those of ``RegionSource.region``."""
    height, width = image.shape[1:]
    name, asked = image_key(dataset, index), asked_class(dataset, index, class_name)
    return _shrunk(name, asked, (height, width), region, small_jpeg(image), settings or {})


def _shrunk(
    name: str,
    class_name: str | None,
    size: tuple[int, int],
    region: Region,
    picture: bytes,
    settings: dict[str, Any],
) -> SheetEntry:
    """Return an entry that is small whatever the image: many wait to be sorted."""
    share = 0.0
    if region.mask is not None:
        share = region.mask.float().mean().item()
        region = replace(region, mask=shrink_mask(region.mask))
    return SheetEntry(name, class_name, size, region, share, picture, settings)


def write_contact_sheet(
    regions: str | Path | Iterable[SheetEntry], out: str | Path, *, limit: int = 300
) -> Path:
    """Write one HTML page with all its pictures inside.

    Images without a region come first, then those whose best box scored lowest: what most likely
    went wrong is on top.

    Args:
        regions: The folder of a ``Cached`` source, or what ``sheet_entry`` made; they are read
            one at a time.
        out: The file to write.
        limit: At most so many cards; the counts are of all.

    Returns:
        The file.

    Raises:
        OSError: If it cannot be written.
        ValueError: If there is no region, or ``limit`` < 1.
    """
    check_positive_int(_WHO, "limit", limit)
    counts: Counter[str] = Counter()
    settings: dict[str, None] = {}
    source = _kept(Path(regions)) if isinstance(regions, (str, Path)) else regions
    chosen = heapq.nsmallest(limit, _counted(source, counts, settings), key=_doubt)
    total = sum(counts.values())
    if not total:
        where = f"none in {regions}" if isinstance(regions, (str, Path)) else "none"
        raise ValueError(expected(_WHO, "at least one region", Words(where)))
    template = Template((Path(__file__).parent / "sheet.html").read_text(encoding="utf-8"))
    page = template.substitute(
        count=f"{total:,} image" + ("s" if total > 1 else ""),
        settings="\n".join(settings),
        reasons=_table(counts),
        shown=f"<p>The {limit:,} most doubtful of {total:,}.</p>" if total > limit else "",
        cards="\n".join(_card(entry) for entry in chosen),
    )
    out = Path(out)
    write_bytes(out, page.encode())
    return out


def _kept(folder: Path) -> Iterator[SheetEntry]:
    for path in sorted(folder.glob("*.json")):
        entry = read_entry(path)
        if entry is not None:
            small = path.with_suffix(".jpg")
            picture = small.read_bytes() if small.is_file() else b""
            yield _shrunk(
                entry.name, entry.class_name, entry.size, entry.region, picture, entry.settings
            )


def _counted(
    entries: Iterable[SheetEntry], counts: Counter[str], settings: dict[str, None]
) -> Iterator[SheetEntry]:
    for entry in entries:
        counts[entry.region.reason] += 1
        if entry.settings:
            settings[_provenance(entry.settings)] = None
        yield entry


def _doubt(entry: SheetEntry) -> tuple[bool, float, str]:
    """Sort regions that are missing or weak to the front."""
    return entry.region.mask is not None, _best(entry.region), entry.name


def _scored(region: Region) -> list[dict[str, Any]]:
    """Return the boxes of a region that have scores."""
    boxes = region.detail.get("boxes", [])
    return [box for box in boxes if isinstance(box, dict) and "score" in box]


def _best(region: Region) -> float:
    return max((float(box["score"]) for box in _scored(region)), default=1.0)


def _provenance(settings: dict[str, Any]) -> str:
    """Return the settings of a source as a list; digests in full, small files left out."""
    rows = []
    for name, value in settings.items():
        shown = f"<code>{escape(str(value))}</code>"
        if isinstance(value, dict) and "sha256" in value and "name" in value:
            weights = {
                k: v for k, v in value["sha256"].items() if k.endswith((".safetensors", ".bin"))
            }
            files = "<br>".join(f"<code>{escape(k)} {v}</code>" for k, v in weights.items())
            shown = f"{escape(value['name'])} ({escape(value['type'])})<br>{files}"
        rows.append(f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{shown}</dd>")
    return f"<details open><summary>How they were found</summary><dl>{''.join(rows)}</dl></details>"


def _table(counts: Counter[str]) -> str:
    rows = [
        f"<tr><td>{count:,}</td><td>{escape(reason) or 'with a region'}</td></tr>"
        for reason, count in sorted(counts.items(), key=lambda item: (bool(item[0]), -item[1]))
    ]
    return f"<table>{''.join(rows)}</table>"


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _card(entry: SheetEntry) -> str:
    height, width = entry.size
    region, what = entry.region, entry.class_name or "no class"
    override = override_path(Path(), entry.name).as_posix()
    scores = [f"{box['score']:.2f} {escape(box['phrase'])}" for box in _scored(region)]
    lines = []
    if region.mask is None:
        lines.append(f'<p class="none">No region: {escape(region.reason)}</p>')
    else:
        much = ' class="none"' if entry.share > _MUCH else ""
        share, source = f"{100 * entry.share:.1f} % of the image", escape(region.source)
        lines.append(f"<p{much}>{share}, from {source}</p>")
    if "prompt" in region.detail:
        lines.append(f"<p>asked for: {escape(str(region.detail['prompt']))}</p>")
    if scores:
        more = f" and {len(scores) - 4} more" if len(scores) > 4 else ""
        lines.append(f"<p>boxes: {', '.join(scores[:4])}{more}</p>")
    elif "best_score" in region.detail:
        lines.append(f"<p>best score {region.detail['best_score']:.2f}</p>")
    lines.append(f"<p>{width} x {height}, by hand: <code>{escape(override)}</code></p>")
    return (
        f'<li><div class="frame">{_picture(entry)}</div>'
        f'<div class="words"><h2>{escape(what)}</h2>{"".join(lines)}</div></li>'
    )


def _picture(entry: SheetEntry) -> str:
    """Return the picture of a card: the image, the outline of the mask, the boxes."""
    height, width = entry.size
    if not entry.picture:
        return '<div class="empty">no picture was kept</div>'
    tiny = ' class="pixelated"' if max(entry.size) < 200 else ""
    name = escape(entry.name, quote=True)
    layers = [f'<img{tiny} src="{_data(entry.picture, "jpeg")}" alt="{name}">']
    if entry.region.mask is not None:
        lay = _data(outline_png(entry.region.mask), "png")
        layers.append(f'<img class="outline" src="{lay}" alt="outline of the region">')
    boxes = _scored(entry.region)
    if boxes:
        # In units of a card 250 wide, so that letters are of one size on all pictures.
        scale = 250 / width
        shapes = []
        for box in boxes:
            x1, y1, x2, y2 = (scale * float(edge) for edge in box["box"])
            at = f'x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"'
            text = f'x="{min(x1 + 3, 220):.1f}" y="{max(y1 - 3, 11):.1f}"'
            shapes.append(
                f'<rect class="under" {at}/><rect {at}/><text {text}>{box["score"]:.2f}</text>'
            )
        view = f"0 0 250 {scale * height:.1f}"
        layers.append(f'<svg viewBox="{view}" aria-hidden="true">{"".join(shapes)}</svg>')
    # As wide as the card, unless that would make it higher than one picture should be.
    shape = f"aspect-ratio: {width} / {height}; width: min(100%, {max(8, 330 * width // height)}px)"
    return f'<div class="picture" style="{shape}">{"".join(layers)}</div>'
