"""The recipe of a detector: everything that decides its training, as one validated TOML file."""

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

TASK = "detection"


class DetectionDataSection(DataSection):
    """Where the images come from and how large they are shown.

    ``size`` is the shorter side in pixels, ``max_size`` what the longer one may have; of generated
    scenes, ``size`` is the side. ``multi_scale`` lists shorter sides: each image of training draws
    one of them, or ``size``. ``augment``: ``"none"`` or ``"flip"``. ``strict`` refuses annotation
    files in which anything is wrong; otherwise what is wrong is counted, told and left out.
    """

    size: int = Field(default=800, ge=32)
    max_size: int = Field(default=1333, ge=32)
    multi_scale: list[int] = Field(default_factory=list)
    augment: Literal["none", "flip"] = "flip"
    strict: bool = False

    @model_validator(mode="after")
    def _sizes_fit(self) -> DetectionDataSection:
        sides = [self.size, *self.multi_scale]
        if max(sides) > self.max_size:
            raise ValueError(f"max_size = {self.max_size} is below a shorter side of {max(sides)}")
        if min(sides) < 32:
            raise ValueError("multi_scale: sides are of 32 pixels or more")
        return self


class DetectorSection(ModelSection):
    """The detector, its backbone with the attention in it, and how both start.

    ``detector`` and what follows are those of :func:`foveate.detection.create_detector`; the other
    keys are of the backbone. ``weights`` names a finished run of classification (or a folder of
    ``foveate.save``), whose backbone, gates included where both have them, is taken.
    """

    name: str = "resnet50"
    detector: Literal["faster-rcnn", "retinanet", "fcos"] = "faster-rcnn"
    preset: Literal["coco", "small"] = "coco"
    batch_norm: Literal["frozen", "train"] = "frozen"
    trainable_stages: int | None = Field(default=None, ge=0)
    detector_options: Options = Field(default_factory=dict)


class DetectionTrainSection(TrainSection):
    """How the detector is trained; the defaults are those of the paper, and the 1x schedule.

    ``warm_start`` puts two phases before the schedule, to lessen the noise of what starts at
    random: in the first, of ``warm_start_epochs[0]`` epochs, only the backbone with its gates
    learns (``"backbone_then_all"``) or only what is no gate (``"baseline_then_all"``); in the
    second, of ``warm_start_epochs[1]``, all of it; both at a constant rate. Then a fresh optimizer
    begins the schedule. These epochs are among ``epochs``: with the 1x schedule of 12, ``epochs``
    is 14. ``lr`` is the rate of a step of ``lr_batch`` images and scales with their number.

    Source: section 4.2 of the DAS paper, arXiv:2311.12091, as far as it is known.
    """

    epochs: int = Field(default=12, ge=1)
    batch_size: int = Field(default=2, ge=1)
    lr: float = Field(default=0.02, gt=0)
    lr_batch: int = Field(default=16, ge=1)
    schedule: Literal["step", "exponential", "cosine", "plateau", "constant"] = "step"
    milestones: list[int] = Field(default_factory=lambda: [8, 11])
    warm_start: Literal["none", "backbone_then_all", "baseline_then_all"] = "none"
    warm_start_epochs: tuple[int, int] = (1, 1)
    monitor: Literal["val_ap", "val_ap50"] = "val_ap"  # type: ignore[assignment]

    @property
    def lead_in(self) -> int:
        """Epochs before those that the schedule counts."""
        return self.gates_first + (sum(self.warm_start_epochs) if self.warm_start != "none" else 0)

    @model_validator(mode="after")
    def _phases_fit(self) -> DetectionTrainSection:
        if min(self.warm_start_epochs) < 1:
            raise ValueError("warm_start_epochs are 1 or more each")
        if self.gates_first and self.warm_start != "none":
            raise ValueError("gates_first and warm_start exclude each other")
        unused = {
            "label_smoothing": self.label_smoothing,
            "mixup": self.mixup,
            "cutmix": self.cutmix,
            "compile": self.compile,
        }
        given = [name for name, value in unused.items() if value]
        if given:
            raise ValueError(f"a detector is trained without {', '.join(given)}")
        return self


class DetectionRecipe(Recipe):
    """Everything that decides a run of a detector.

    Example:
        >>> DetectionRecipe.model_validate({"train": {"epochs": 24}}).train.lr
        0.02
    """

    TASK: ClassVar[str] = TASK

    task: Literal["detection"] = "detection"
    data: DetectionDataSection = DetectionDataSection(source="data/coco")
    model: DetectorSection = DetectorSection()
    train: DetectionTrainSection = DetectionTrainSection()

    @model_validator(mode="after")
    def _has_gates_to_wait_for(self) -> DetectionRecipe:
        if self.train.warm_start == "baseline_then_all" and self.model.attention == "none":
            raise ValueError(
                'warm_start = "baseline_then_all" needs a model.attention to hold back'
            )
        return self


def load_detection_recipe(path: str | Path) -> DetectionRecipe:
    """Read and validate the recipe file of a detector, see ``foveate.training.load_recipe``."""
    return load_recipe(path, DetectionRecipe)


def parse_detection_recipe(tree: dict[str, Any], who: str = "recipe") -> DetectionRecipe:
    """Validate a nested dictionary as the recipe of a detector."""
    return parse_recipe({"task": TASK, **tree}, who, DetectionRecipe)
