"""The recipe of a segmenter: everything that decides its training, as one validated TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from foveate.training.recipe import (
    DataSection,
    ModelSection,
    Recipe,
    TrainSection,
    load_recipe,
    parse_recipe,
)
from foveate.training.toml import Options

TASK = "segmentation"


class SegmentationDataSection(DataSection):
    """Where the images come from and how they are shown.

    ``size`` is the side in pixels of what training shows, and of generated scenes.
    ``augment``: ``"none"`` and ``"flip"`` fit the whole image into it; ``"scale_crop"`` scales the
    image by a factor of ``scales``, cuts out a square of ``size``, and flips it. What lies outside
    of the image is ignored. Evaluation shows whole images of their own sizes, shrunk where their
    longer side is above ``max_size``; scores are of the pixels of the masks as they are.
    """

    size: int = Field(default=512, ge=32)
    max_size: int = Field(default=1024, ge=32)
    augment: Literal["none", "flip", "scale_crop"] = "scale_crop"  # type: ignore[assignment]
    scales: tuple[float, float] = (0.5, 2.0)

    @model_validator(mode="after")
    def _sizes_fit(self) -> SegmentationDataSection:
        if not 0 < self.scales[0] <= self.scales[1]:
            raise ValueError(f"scales are two rising factors above 0, not {list(self.scales)}")
        if self.max_size < self.size:
            raise ValueError(f"max_size = {self.max_size} is below size = {self.size}")
        return self


class SegmenterSection(ModelSection):
    """The head, its backbone with the attention in it, and how both start.

    ``head``, ``output_stride`` and ``head_options`` are those of
    :func:`foveate.segmentation.create_segmenter`; the other keys are of the backbone. ``weights``
    names a finished run of classification (or a folder of ``foveate.save``), whose backbone, gates
    included where both have them, is taken.
    """

    name: str = "resnet50"
    head: Literal["deeplabv3", "fpn"] = "deeplabv3"
    output_stride: Literal[8, 16, 32] | None = None
    head_options: Options = Field(default_factory=dict)


class SegmentationTrainSection(TrainSection):
    """How the segmenter is trained: by cross-entropy over the pixels that are not ignored.

    ``class_weights``, one for each class with the background first, weigh its pixels; empty for
    all alike.
    """

    batch_size: int = Field(default=8, ge=2)
    class_weights: list[float] = Field(default_factory=list)
    monitor: Literal["val_miou", "val_loss"] = "val_miou"  # type: ignore[assignment]

    @model_validator(mode="after")
    def _uses_what_it_has(self) -> SegmentationTrainSection:
        if self.class_weights and (min(self.class_weights) < 0 or not any(self.class_weights)):
            raise ValueError("class_weights are 0 or more, and not all of them 0")
        unused = {"mixup": self.mixup, "cutmix": self.cutmix, "compile": self.compile}
        given = [name for name, value in unused.items() if value]
        if given:
            raise ValueError(f"a segmenter is trained without {', '.join(given)}")
        return self


class SegmentationRecipe(Recipe):
    """Everything that decides a run of a segmenter.

    Example:
        >>> SegmentationRecipe.model_validate({"model": {"head": "fpn"}}).data.size
        512
    """

    TASK: ClassVar[str] = TASK

    task: Literal["segmentation"] = "segmentation"
    data: SegmentationDataSection = SegmentationDataSection()
    model: SegmenterSection = SegmenterSection()
    train: SegmentationTrainSection = SegmentationTrainSection()


def load_segmentation_recipe(path: str | Path) -> SegmentationRecipe:
    """Read and validate the recipe file of a segmenter, see ``foveate.training.load_recipe``."""
    return load_recipe(path, SegmentationRecipe)


def parse_segmentation_recipe(tree: dict[str, Any], who: str = "recipe") -> SegmentationRecipe:
    """Validate a nested dictionary as the recipe of a segmenter."""
    return parse_recipe({"task": TASK, **tree}, who, SegmentationRecipe)
