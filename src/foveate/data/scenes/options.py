"""What can be asked of the scene generator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from foveate.core import Words, check_choice, check_positive_int, expected
from foveate.data.scenes.shapes import SHAPES

CUES = ("color", "match", "none")
_VARIANTS = {"color": ("warm", "cool"), "match": ("same", "other"), "none": ("",)}
_WHO = "scenes"


@dataclass(frozen=True)
class SceneOptions:
    """Options of the generator; lengths are shares of the image's side.

    Attributes:
        classes: How many classes; None is 8, or 4 without a cue. Even with a cue: each shape
            comes in two classes that only the cue tells apart.
        cue: ``"color"``: the marker's color decides between the two classes of a shape;
            ``"match"``: whether marker and object share their color; ``"none"``: no marker.
            None is ``"color"``, or ``"none"`` with ``objects``.
        far_fraction: Share of the images whose marker lies far from the object, in [0, 1]; in
            the others it lies beside it.
        reach: Least distance of a far marker from the object's center, in (0, 0.55].
        scale: Diameter of the object, in [0.1, 0.5]; each image varies it by a fifth.
        clutter: Muted pieces on the background; None is 12, or 0 on backgrounds of one's own.
        texture: Contrast of the background in [0, 1]; 0 is one flat color.
        objects: Folder of one's own cut-outs (png or webp with alpha): its subfolders are the
            classes, or in a flat folder each file.
        backgrounds: Folder of one's own background images.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option lies outside its range.
    """

    classes: int | None = None
    cue: str | None = None
    far_fraction: float = 0.5
    reach: float = 0.45
    scale: float = 0.25
    clutter: int | None = None
    texture: float = 1.0
    objects: str | Path | None = None
    backgrounds: str | Path | None = None

    def __post_init__(self) -> None:
        if self.cue is not None:
            check_choice(_WHO, "cue", self.cue, CUES)
        _check_range("far_fraction", self.far_fraction, 0, 1)
        _check_range("reach", self.reach, 0.05, 0.55)
        _check_range("scale", self.scale, 0.1, 0.5)
        _check_range("texture", self.texture, 0, 1)
        if self.clutter is not None:
            check_positive_int(_WHO, "clutter", self.clutter, minimum=0)
        if self.objects is not None and self.classes is not None:
            remedy = "leave classes out: the folder's names are the classes"
            raise ValueError(expected(_WHO, "classes or objects, not both", self.classes, remedy))
        if self.objects is not None and self.cue == "match":
            raise ValueError(
                expected(_WHO, "cue 'color' or 'none' with objects", self.cue, "set cue='color'")
            )
        if self.classes is not None:
            self._check_classes(self.classes)

    def _check_classes(self, classes: int) -> None:
        check_positive_int(_WHO, "classes", classes, minimum=2)
        each = len(_VARIANTS[self.relation])
        if classes % each or classes > each * len(SHAPES):
            rule = f"{'an even number of ' if each > 1 else ''}classes <= {each * len(SHAPES)}"
            raise ValueError(expected(_WHO, f"{rule} with cue={self.relation!r}", classes))

    @property
    def relation(self) -> str:
        """The cue in force: one of ``CUES``."""
        return self.cue or ("none" if self.objects is not None else "color")

    @property
    def variants(self) -> tuple[str, ...]:
        """What the cue tells apart, in the order of labels; one empty word without a cue."""
        return _VARIANTS[self.relation]

    @property
    def shapes(self) -> tuple[str, ...]:
        """Names of the generated shapes in use."""
        each = len(self.variants)
        return tuple(SHAPES)[: (self.classes or 4 * each) // each]

    @property
    def pieces(self) -> int:
        """The number of clutter pieces in force."""
        if self.clutter is not None:
            return self.clutter
        return 12 if self.backgrounds is None else 0


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(
            expected(_WHO, f"a number {name}", Words(f"{value!r} ({type(value).__name__})"))
        )
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(expected(_WHO, f"{name} in [{low:g}, {high:g}]", value))
