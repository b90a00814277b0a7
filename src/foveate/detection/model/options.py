"""What decides the pyramid and the heads of a detector, and how many boxes they look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from foveate.core import check_positive_int, expected, suggest

_WHO = "create_detector"


@dataclass(frozen=True)
class DetectorOptions:
    """The pyramid, the heads, and what they keep.

    Attributes:
        fpn_channels: Channels of the pyramid and of the dense heads.
        head_channels: Width of the two layers that look into each box (Faster R-CNN).
        head_convs: Convolutions of each head of FCOS.
        anchor: Side in pixels of the anchors of the first level; they double with each level.
        rpn_batch: Anchors of an image that the proposal network learns from.
        before_nms: Proposals of a level before suppression, in training and in evaluation.
        proposals: Proposals of an image after it, in training and in evaluation.
        box_batch: Boxes of an image that the box head learns from.
        detections: Boxes of an image at most.
        score_threshold: Their least score.
        nms: Overlap from which the weaker of two boxes of one class goes.
    """

    fpn_channels: int = 256
    head_channels: int = 1024
    head_convs: int = 4
    anchor: int = 32
    rpn_batch: int = 256
    before_nms: tuple[int, int] = (2000, 1000)
    proposals: tuple[int, int] = (2000, 1000)
    box_batch: int = 512
    detections: int = 100
    score_threshold: float = 0.05
    nms: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, tuple):
                pair = tuple(value) if isinstance(value, (list, tuple)) else (value,)
                if len(pair) != 2:
                    rule = f"{field.name} as a pair, for training and evaluation"
                    raise ValueError(expected(_WHO, rule, value))
                for one in pair:
                    check_positive_int(_WHO, field.name, one)
                object.__setattr__(self, field.name, pair)
            elif isinstance(field.default, int):
                check_positive_int(_WHO, field.name, value)
            elif (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not 0 <= value <= 1
            ):
                raise ValueError(expected(_WHO, f"{field.name} in [0, 1]", value))

    def changed(self, options: Mapping[str, Any]) -> DetectorOptions:
        """Return a copy with other values.

        Raises:
            ValueError: For an unknown name or a bad value.
        """
        known = list(asdict(self))
        for name in options:
            if name not in known:
                remedy = suggest(name, known)
                raise ValueError(expected(_WHO, "a known detector option", name, remedy))
        return replace(self, **options)


PRESETS = {
    "coco": DetectorOptions(),
    "small": DetectorOptions(
        fpn_channels=64,
        head_channels=128,
        head_convs=2,
        anchor=8,
        rpn_batch=64,
        before_nms=(200, 100),
        proposals=(100, 50),
        box_batch=64,
    ),
}
"""``coco`` for images of hundreds of pixels, as in the paper; ``small`` for 64 to 128 pixels."""
