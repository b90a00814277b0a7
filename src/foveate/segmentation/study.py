"""Compare attentions in segmenters: the same images, recipe and seeds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from foveate.segmentation.batches import open_maps
from foveate.segmentation.module import pixel_loss
from foveate.segmentation.recipe import TASK, SegmentationRecipe
from foveate.segmentation.run import SegmentationRun
from foveate.segmentation.trainer import build_segmenter, train_segmenter
from foveate.training.comparison import Work, run_in
from foveate.training.costs import counts_of, measure_with
from foveate.training.progress import Reporter
from foveate.training.run_folder import RunFolder
from foveate.training.study import Study, StudyFolder, parse_study


class SegmentationStudy(Study):
    """Which segmenters are compared, over which seeds, by which recipe.

    As :class:`foveate.training.Study`, without the wider control: the width of a segmenter lies in
    its head as much as in its backbone.

    Example:
        >>> SegmentationStudy(attentions=["none", "cca"], seeds=2).labels
        ['none', 'cca']
    """

    TASK: ClassVar[str] = TASK
    NO_CONTROL: ClassVar[str] = "a study of segmenters has no wider control"

    task: Literal["segmentation"] = "segmentation"
    control: bool = False
    recipe: SegmentationRecipe = SegmentationRecipe()


def parse_segmentation_study(tree: dict[str, Any], who: str = "study") -> SegmentationStudy:
    """Validate a nested dictionary as a study of segmenters."""
    return parse_study({"task": TASK, **tree}, who, SegmentationStudy)


class SegmentationStudyFolder(StudyFolder):
    """A study of segmenters on disk, see :class:`foveate.training.StudyFolder`."""

    kind: ClassVar[type[Study]] = SegmentationStudy
    runs_kind: ClassVar[type[RunFolder]] = SegmentationRun


def run_segmentation_study(
    study: SegmentationStudy,
    folder: str | Path,
    *,
    resume: bool = True,
    remeasure: bool = False,
    progress: bool | Reporter = True,
) -> SegmentationStudyFolder:
    """Train every segmenter of a study and measure what each costs.

    Args, returns and errors are those of :func:`foveate.training.run_study`.

    Example:
        >>> study = SegmentationStudy(attentions=["none", "cca"], seeds=1)
        >>> run_segmentation_study(study, "out")  # doctest: +SKIP
        SegmentationStudyFolder('out')
    """
    work = Work(open_maps, measure_segmenters, train_segmenter)
    return run_in(SegmentationStudyFolder(folder), study, work, resume, remeasure, progress)


def measure_segmenters(
    study: Study, classes: int, width: float | None = None, reason: str = ""
) -> dict[str, dict[str, Any]]:
    """Count and time whole segmenters; ``width`` and ``reason`` of a control are not used."""
    batch, size = study.latency.batch, study.recipe.data.size

    def build(label: str) -> nn.Module:
        recipe = study.recipe_for(label, 0)
        if not isinstance(recipe, SegmentationRecipe):
            raise TypeError("measure_segmenters expects a study of segmenters; got another")
        # Trained weights cost the same.
        model = recipe.model.model_copy(update={"pretrained": False, "weights": None})
        return build_segmenter(model, recipe.data, classes)

    def call(network: nn.Module, mode: str) -> Callable[[], None]:
        # On a copy: to switch the mode of every module takes time of its own.
        twin = copy.deepcopy(network).train(mode == "step")
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(batch, 3, size, size, generator=generator)
        truth = torch.randint(classes, (batch, size, size), generator=generator)

        def forward() -> None:
            with torch.inference_mode():
                twin(images)

        def step() -> None:
            twin.zero_grad(set_to_none=True)
            pixel_loss(twin(images), truth).backward()  # type: ignore[no-untyped-call]

        return forward if mode == "forward" else step

    return measure_with(study, build, lambda one: counts_of(one, 3, size, size), call)
