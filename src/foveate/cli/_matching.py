"""What the commands on stereo networks share: how their scores are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foveate.cli._looking import unreadable_lines

_SHARES = (("bad1", "bad-1"), ("bad3", "bad-3"), ("d1", "D1"))


def summary(result: Mapping[str, Any]) -> str:
    """Put the result of a stereo run, or of an evaluation, into a few lines."""
    usual = result["disparity_spread"]
    lines = [
        f"{title}: EPE {_pixels(result[f'epe{end}'])}, "
        + ", ".join(f"{name} {_percent(result[f'{key}{end}'])}" for key, name in _SHARES)
        for title, end in (("all pixels", ""), ("seen by both", "_seen"))
    ]
    lines.append(
        f"on {result['images']} pairs with {result['pixels']} known pixels; their mean disparity"
        f" everywhere would have an EPE of {_pixels(usual)}"
    )
    return "\n".join([*lines, *unreadable_lines(result["unreadable"])])


def _pixels(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} px"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
