"""The scene generator: each image a pure function of seed, split and index."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foveate.core import check_choice, check_positive_int
from foveate.data.coco import mask_box
from foveate.data.samples import Annotation, ImageDataset, Sample, Unreadable, check_index
from foveate.data.scenes.cutouts import (
    MaterialError,
    list_backgrounds,
    list_cutouts,
    paint_background,
    stamp_cutout,
)
from foveate.data.scenes.layout import CUE_RADIUS, Scene, plan_scene
from foveate.data.scenes.options import SceneOptions
from foveate.data.scenes.shapes import SHAPES, Plane, Stamp, paint_, stamp_mask, stamp_shape
from foveate.data.scenes.texture import muted_color, paint_texture

HUES = ((0.98, 0.42, 0.08), (0.05, 0.60, 0.98))
"""Warm and cool."""

PALE = (0.97, 0.95, 0.90)

_SPLITS = ("train", "val")
_LAYOUT, _ORDER, _PAINT = range(3)
_COUNTS = {"train": 1000, "val": 200}


class Scenes(ImageDataset):
    """Generated images of a small salient object among clutter, with a cue near it or far away.

    The class is the object's shape together with what the cue, a small colored marker, says. In
    a share of the images the marker lies beside the object, in the others across the picture:
    the same task with near and with distant evidence. Classes come in equal numbers (any
    ``len(classes)`` images in a row, counted from 0, hold each once), and within each class the
    far images are spread evenly.

    Args:
        split: ``"train"`` or ``"val"``, which never share an image.
        size: Side of the images in pixels, at least 24; the layout of an image does not depend
            on it.
        seed: At least 0; another seed gives other images.
        count: Number of images; None is 1000 for train and 200 for val. An image does not
            depend on it.
        options: What to show.

    Raises:
        TypeError: If ``size``, ``seed`` or ``count`` is no integer.
        ValueError: If one of them is too small, the split is unknown, or a folder of the user's
            has no usable content.

    Example:
        >>> scenes = Scenes("train", size=32, options=SceneOptions(classes=4))
        >>> scenes.classes
        ('disc-warm', 'disc-cool', 'cross-warm', 'cross-cool')
        >>> scenes[0].image.shape, scenes.annotation(0).boxes.shape
        (torch.Size([3, 32, 32]), torch.Size([1, 4]))
    """

    def __init__(
        self,
        split: str,
        *,
        size: int = 64,
        seed: int = 0,
        count: int | None = None,
        options: SceneOptions | None = None,
    ) -> None:
        check_choice("scenes", "split", split, _SPLITS)
        self.split = split
        self.size = check_positive_int("scenes", "size", size, minimum=24)
        self.seed = check_positive_int("scenes", "seed", seed, minimum=0)
        self.count = (
            _COUNTS[split] if count is None else check_positive_int("scenes", "count", count)
        )
        self.options = options or SceneOptions()
        self._cutouts: list[tuple[Path, ...]] = []
        kinds: Sequence[str] = self.options.shapes
        if self.options.objects is not None:
            groups = list_cutouts(Path(self.options.objects), split, seed)
            kinds, self._cutouts = tuple(groups), list(groups.values())
        self._backgrounds: tuple[Path, ...] = ()
        if self.options.backgrounds is not None:
            self._backgrounds = list_backgrounds(Path(self.options.backgrounds), split, seed)
        self.classes = tuple(
            f"{kind}-{variant}" if variant else kind
            for kind in kinds
            for variant in self.options.variants
        )

    def _rng(self, purpose: int, index: int) -> np.random.Generator:
        key = (_SPLITS.index(self.split), purpose, index)
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=key))
        )

    @cached_property
    def labels(self) -> Sequence[int]:
        """The label of each image."""
        each = len(self.classes)
        blocks = -(-self.count // each)
        orders = [np.argsort(self._rng(_ORDER, block).random(each)) for block in range(blocks)]
        return tuple(np.concatenate(orders)[: self.count].tolist())

    def is_far(self, index: int) -> bool:
        """Return whether image ``index`` is one whose cue lies far from the object."""
        index = check_index(index, len(self))
        if self.options.relation == "none":
            return False
        # Each block holds each class once, so counting blocks spreads the far images evenly
        # within a class; the classes start at different points of the rhythm.
        start = self.labels[index] * 0.618034 % 1
        block = index // len(self.classes)
        share = self.options.far_fraction
        return int(start + (block + 1) * share) > int(start + block * share)

    def plan(self, index: int) -> Scene:
        """Return the layout of image ``index``."""
        index = check_index(index, len(self))
        rng = self._rng(_LAYOUT, index)
        return plan_scene(rng, self.labels[index], self.is_far(index), self.options)

    def _object(self, scene: Scene) -> Stamp:
        y, x = (place * self.size for place in scene.center)
        radius = scene.radius * self.size
        if self._cutouts:
            files = self._cutouts[scene.kind]
            chosen = scene.pick * len(files)
            path, mirror = files[int(chosen)], chosen % 1 < 0.5
            return stamp_cutout(path, (y, x), radius, scene.angle, mirror, self.size)
        color = PALE if scene.relation == "color" else HUES[scene.hue]
        shape = self.options.shapes[scene.kind]
        return stamp_shape(shape, (y, x), radius, scene.angle, color, self.size)

    def _cue(self, scene: Scene) -> Stamp | None:
        if scene.cue_center is None:
            return None
        y, x = (place * self.size for place in scene.cue_center)
        color = HUES[scene.cue_hue]
        return stamp_shape("disc", (y, x), CUE_RADIUS / 0.9 * self.size, 0.0, color, self.size)

    def _background(self, rng: np.random.Generator) -> Plane:
        if self._backgrounds:
            draws = rng.random(4).tolist()
            path = self._backgrounds[int(draws[3] * len(self._backgrounds))]
            canvas = paint_background(path, draws[:3], self.size)
        else:
            canvas = paint_texture(rng, self.size, self.options.texture)
        shapes = tuple(SHAPES)
        for draws in rng.random((self.options.pieces, 9)):
            y, x = float(draws[0]) * self.size, float(draws[1]) * self.size
            radius = self.size * self.options.scale * (0.15 + 0.3 * float(draws[2]))
            shape, angle = shapes[int(draws[3] * len(shapes))], 6.2832 * float(draws[4])
            piece = stamp_shape(shape, (y, x), radius, angle, muted_color(draws[5:8]), self.size)
            paint_(canvas, piece, 0.5 + 0.5 * float(draws[8]))
        return canvas

    def render(self, scene: Scene, index: int) -> Tensor:
        """Draw ``scene`` on the background of image ``index``.

        Returns:
            (3, size, size) uint8.

        Raises:
            UnreadableImageError: If a file of the user's cannot be used.
        """
        canvas = self._background(self._rng(_PAINT, index))
        paint_(canvas, self._object(scene))
        cue = self._cue(scene)
        if cue is not None:
            paint_(canvas, cue)
        return torch.from_numpy(np.rint(canvas * 255).astype(np.uint8))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample | Unreadable:
        index = check_index(index, len(self))
        scene = self.plan(index)
        try:
            image = self.render(scene, index)
        except MaterialError as error:
            return Unreadable(index, str(error.path), str(error))
        return Sample(image, scene.label, index, self.name_of(index))

    def name_of(self, index: int) -> str:
        """Return ``scenes/``, the split and the place."""
        return f"scenes/{self.split}/{check_index(index, len(self)):06d}"

    def annotation(self, index: int) -> Annotation | None:
        """Return the exact box and mask of the object and of the cue.

        None only where a cut-out of the user's cannot be read.
        """
        scene = self.plan(index)
        try:
            shown = torch.from_numpy(stamp_mask(self._object(scene), self.size))
        except MaterialError:
            return None
        mask, cue_box = shown.clone(), None
        cue = self._cue(scene)
        if cue is not None:
            marker = torch.from_numpy(stamp_mask(cue, self.size))
            shown &= ~marker
            mask |= marker
            cue_box = mask_box(marker)
        return Annotation(
            boxes=mask_box(shown)[None],
            labels=torch.tensor([scene.label]),
            mask=mask,
            masks=shown[None],
            cue=cue_box,
            far=scene.far if cue is not None else None,
        )
