"""The tables of the viewer that need no script: the health of every gate, in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from foveate.explain.health import SiteHealth
from foveate.explain.viewer.record import ViewedImage

MEANING = {
    "alive": "its weights vary and it changes the map",
    "closed": "an identity start that has not opened: the network runs as without it",
    "dead": "its weights hardly vary, neither over places nor over images, or it changes nothing",
    "saturated": "nine in ten weights are below 0.05 or above 0.95, where learning is slow",
    "offsets unused": "it samples the regular grid: 95 % of its points move less than 0.1 cells",
    "not finite": "it gave values that are no numbers",
}
_NONE = "&ndash;"
_COLUMNS = (
    "gate", "verdict", "openness", "change", "weights", "shut / open", "entropy", "over places",
    "over images", "dead channels", "offset mean / p95", "outside",
)  # fmt: skip


def health_tables(images: Sequence[ViewedImage]) -> str:
    """One table per network that has a report, and what its words mean."""
    reports = {
        network.label: network.health
        for image in images for network in image.networks if network.health
    }  # fmt: skip
    if not reports:
        return "<p>Not measured.</p>"
    said = dict.fromkeys(word for sites in reports.values() for s in sites for word in s.verdict)
    legend = "".join(f"<dt>{word}</dt><dd>{MEANING[word]}</dd>" for word in said)
    return "".join(_table(*one) for one in reports.items()) + f"<dl>{legend}</dl>"


def _table(label: str, sites: Sequence[SiteHealth]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    rows = "".join(_row(site) for site in sites)
    caption = f"{escape(label)}, over {sites[0].images} image{'s' * (sites[0].images != 1)}"
    return (
        f'<div class="scroll" role="region" aria-label="Health of {escape(label)}" tabindex="0">'
        f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(site: SiteHealth) -> str:
    words = "".join(
        f'<span class="word {"good" if word == "alive" else "bad"}">{word}</span>'
        for word in site.verdict
    )
    dead = _NONE if site.dead_channels is None else f"{site.dead_channels} of {site.channels}"
    offset = _NONE
    if site.offset_mean is not None:
        offset = f"{_number(site.offset_mean_px, 1)} / {_number(site.offset_p95_px, 1)} px"
    cells = (
        words,
        _number(site.openness, 3),
        _share(site.change),
        _NONE if site.mean is None else f"{_number(site.mean, 2)} ± {_number(site.spread, 2)}",
        _NONE if site.shut is None else f"{_share(site.shut)} / {_share(site.open)}",
        _NONE if site.entropy is None else f"{site.entropy:.1f} bits",
        _number(site.spread_places, 3),
        _number(site.spread_images, 3),
        dead,
        offset,
        _share(site.outside),
    )
    body = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(site.site)}</th>{body}</tr>'


def _number(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.0f} %"
