"""What decides the pyramid and the heads of a detector, and how many boxes they look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from foveate.core import check_choice, check_positive_int, expected, suggest
from foveate.models.pyramid import COARSER

_WHO = "create_detector"


@dataclass(frozen=True)
class DetectorOptions:
    """The pyramid, the heads, and what they keep.

    Attributes:
        levels: Maps of the backbone that the pyramid takes, one for each resolution, the coarsest.
        coarser: What adds coarser ones: ``"pool"`` one, ``"convs"`` two, ``"none"`` none.
        fpn_channels: Channels of the pyramid and of the heads' convolutions.
        anchor: Side of the anchors of each level in cells of its map; not of FCOS, which has none.
        scales: Anchors of one shape on each cell, their sides evenly spread over an octave.
        ratios: Shapes of the anchors, height to width.
        head_channels: Width of the two layers that look into each box (Faster R-CNN).
        head_convs: Convolutions of each head (FCOS).
        box_side: Cells of a side of what is cut out for each box (Faster R-CNN).
        rpn_batch: Anchors of an image that the proposals learn from (Faster R-CNN).
        box_batch: Boxes of an image that the box head learns from (Faster R-CNN).
        before_nms: Boxes of a level before suppression, in training and in evaluation.
        proposals: Proposals of an image after it, in training and in evaluation (Faster R-CNN).
        detections: Boxes of an image at most.
        score_threshold: Their least score.
        nms: Overlap from which the weaker of two boxes of one class goes.
    """

    levels: int = 4
    coarser: str = "pool"
    fpn_channels: int = 256
    anchor: float = 8.0
    scales: int = 1
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    head_channels: int = 1024
    head_convs: int = 4
    box_side: int = 7
    rpn_batch: int = 256
    box_batch: int = 512
    before_nms: tuple[int, int] = (2000, 1000)
    proposals: tuple[int, int] = (2000, 1000)
    detections: int = 100
    score_threshold: float = 0.05
    nms: float = 0.5

    def __post_init__(self) -> None:
        check_choice(_WHO, "coarser", self.coarser, COARSER)
        for name in ("before_nms", "proposals"):
            pair = _sequence(name, getattr(self, name))
            if len(pair) != 2:
                rule = f"{name} as a pair, for training and evaluation"
                raise ValueError(expected(_WHO, rule, getattr(self, name)))
            for one in pair:
                check_positive_int(_WHO, name, one)
            object.__setattr__(self, name, pair)
        for field in fields(self):
            if isinstance(field.default, int):
                check_positive_int(_WHO, field.name, getattr(self, field.name))
        ratios = tuple(_above_zero("ratios", one) for one in _sequence("ratios", self.ratios))
        object.__setattr__(self, "ratios", ratios)
        _above_zero("anchor", self.anchor)
        for name in ("score_threshold", "nms"):
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not 0 <= value <= 1
            ):
                raise ValueError(expected(_WHO, f"{name} in [0, 1]", value))

    def changed(self, options: Mapping[str, Any]) -> DetectorOptions:
        """Return a copy with other values.

        Raises:
            TypeError: If a number is none.
            ValueError: For an unknown name or a bad value.
        """
        known = [field.name for field in fields(self)]
        for name in options:
            if name not in known:
                remedy = suggest(name, known)
                raise ValueError(expected(_WHO, "a known detector option", name, remedy))
        return replace(self, **options)


def _sequence(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(expected(_WHO, f"{name} as a sequence of numbers", value))
    return tuple(value)


def _above_zero(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise ValueError(expected(_WHO, f"{name} as numbers above 0", value))
    return float(value)


_COCO = DetectorOptions()
_DENSE = replace(_COCO, levels=3, coarser="convs", before_nms=(1000, 1000))
_SMALL = DetectorOptions(
    coarser="none",
    fpn_channels=64,
    anchor=3.0,
    scales=2,
    head_channels=128,
    head_convs=2,
    box_side=5,
    rpn_batch=64,
    box_batch=32,
    before_nms=(200, 100),
    proposals=(100, 50),
)
PRESETS = {
    "coco": {
        "faster-rcnn": _COCO,
        "retinanet": replace(_DENSE, anchor=4.0, scales=3),
        "fcos": _DENSE,
    },
    "small": dict.fromkeys(("faster-rcnn", "retinanet", "fcos"), _SMALL),
}
"""``coco`` for images of hundreds of pixels, as in the papers; ``small`` for 64 to 128 pixels, with
objects from 10 pixels on, and cheap enough for a CPU."""
