"""Train a segmenter by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from foveate.models.backbone import take_network_
from foveate.segmentation.batches import MapData
from foveate.segmentation.data import MapDataset
from foveate.segmentation.evaluation import judge
from foveate.segmentation.model import Segmenter, create_segmenter, save_segmenter
from foveate.segmentation.module import SegmenterTrainee
from foveate.segmentation.recipe import (
    SegmentationDataSection,
    SegmentationRecipe,
    SegmenterSection,
)
from foveate.segmentation.run import SegmentationRun
from foveate.training.fitting import Task, train_in
from foveate.training.progress import Reporter
from foveate.training.run_folder import RunFolder
from foveate.training.starting import Start


def train_segmenter(
    recipe: SegmentationRecipe,
    folder: str | Path,
    *,
    resume: bool = False,
    progress: bool | Reporter = True,
    data: tuple[MapDataset, MapDataset] | None = None,
) -> SegmentationRun:
    """Train a segmenter as the recipe says.

    Arguments, resumption and errors are those of :func:`foveate.training.train`; ``data`` are data
    sets (train, val) of class maps.

    Example:
        >>> train_segmenter(load_segmentation_recipe("one.toml"), "runs/one")  # doctest: +SKIP
        SegmentationRun('runs/one')
    """

    def prepare() -> Task:
        images = MapData(recipe, data)
        return Task(
            images,
            Start(build_segmenter(recipe.model, recipe.data, len(images.classes))),
            lambda network: SegmenterTrainee(network, recipe, images.classes),
            save=save_segmenter,
            details=lambda network, run: _details(network, run, recipe, images),
        )

    run = SegmentationRun(folder)
    train_in(run, recipe, prepare, resume=resume, progress=progress)
    return run


def build_segmenter(
    model: SegmenterSection, data: SegmentationDataSection, classes: int
) -> Segmenter:
    """Make the segmenter of a recipe, with the weights that its backbone starts from.

    Raises:
        ValueError: For an unknown model, attention or option, or weights of another network.
        FileNotFoundError: If ``model.weights`` names no folder of trained weights.
    """
    segmenter = create_segmenter(
        model.head,
        model.name,
        None if model.attention == "none" else model.attention,
        model.where,
        classes=classes,
        pretrained=model.pretrained,
        start=model.start,
        position=model.position,
        network=model.network,
        host=model.host,
        stem=model.stem,
        width=model.width,
        output_stride=model.output_stride,
        size=data.size,
        mean=data.mean,
        std=data.std,
        head_options=model.head_options,
        **model.options,
    )
    if model.weights is not None:
        take_network_(segmenter.network, model.weights)
    return segmenter


def _details(
    network: nn.Module, run: RunFolder, recipe: SegmentationRecipe, images: MapData
) -> dict[str, Any]:
    """Evaluate the weights that are kept, which need not be those of the last epoch."""
    found = judge(network, images.val_set, recipe.data.max_size, recipe.train.batch_size)
    stride = getattr(network, "output_stride", None)
    return {"task": recipe.task, "output_stride": stride, **found.scores.as_dict()}
