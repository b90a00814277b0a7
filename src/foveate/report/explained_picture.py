"""The plot of a look at some networks: sfd by network and layer, never without chance."""

from __future__ import annotations

from typing import Any

from foveate.explain.figures import new_figure, png_bytes
from foveate.report.explained import SFD, Explained

_BLUE, _GRAY, _ORANGE = "#0072B2", "#666666", "#D55E00"


def draw_explained(record: Explained) -> bytes:
    """Draw sfd of every network as PNG, a panel per layer.

    Raises:
        ImportError: If matplotlib is missing.
    """
    return png_bytes(explained_figure(record), colors=None)


def explained_figure(record: Explained) -> Any:
    """The plot as a matplotlib figure."""
    layers, networks = record.layers, record.networks
    figure = new_figure(3.2 + 2.4 * (len(layers) - 1), 1.5 + 0.36 * len(networks), dpi=110)
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, len(layers), sharex=True, sharey=True, squeeze=False)[0]
    for ax, layer in zip(panels, layers, strict=True):
        for place, network in enumerate(networks):
            _draw(ax, record, layer, network, place)
        ax.set_title(layer, fontsize=10)
        ax.grid(axis="x", alpha=0.3)
        ax.set_xlabel("sfd")
    panels[0].set_yticks(range(len(networks)), networks)
    panels[0].set_ylim(len(networks) - 0.5, -0.5)
    known = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    if known:
        figure.legend(known.values(), known, loc="outside lower center", ncols=3, frameon=False)
    else:
        panels[0].text(0.5, 0.5, "no image has an sfd", transform=panels[0].transAxes, ha="center")
    return figure


def _draw(ax: Any, record: Explained, layer: str, network: str, place: int) -> None:
    one = record.score(SFD, network, layer)
    mean = one.get("mean")
    if mean is None:
        return
    color = _GRAY if network == record.base else _BLUE
    low, high = (one.get(key) if one.get(key) is not None else mean for key in ("low", "high"))
    seeds = [value for value in (one.get("seeds") or {}).values() if value is not None]
    if len(seeds) > 1:
        ax.plot(seeds, [place + 0.2] * len(seeds), ".", color=color, ms=5, label="each seed")
    ax.errorbar(
        mean,
        place,
        xerr=[[mean - low], [high - mean]],
        fmt="o",
        color=color,
        capsize=3,
        ms=5,
        label="mean, 95 % interval over images",
    )
    if one.get("chance") is not None:
        ax.plot(one["chance"], place, "x", color=_ORANGE, ms=7, mew=1.8, label="chance")
