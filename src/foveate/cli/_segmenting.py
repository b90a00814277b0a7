"""What the commands on segmenters share: what they tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foveate.cli._looking import unreadable_lines


def summary(result: Mapping[str, Any]) -> str:
    """Put the result of a segmenter's run, or of an evaluation, into a few lines."""
    lines = [
        f"mIoU {_percent(result['miou'])}, pixel accuracy {_percent(result['pixel_accuracy'])}"
        f" on {result['images']} images with {result['pixels']} judged pixels"
    ]
    if result.get("output_stride"):
        lines[0] += f"; the last map is at stride {result['output_stride']}"
    if result["absent"]:
        names = ", ".join(result["absent"])
        lines.append(f"in no mask and never found, left out of the mean: {names}")
    return "\n".join([*lines, *unreadable_lines(result["unreadable"])])


def class_table(result: Mapping[str, Any]) -> str:
    """One line for each class."""
    width = max(len(one["name"]) for one in result["per_class"])
    return "\n".join(
        f"  {one['name']:<{width}}  IoU {_percent(one['iou']):>6}  of {one['pixels']} pixels"
        for one in result["per_class"]
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
