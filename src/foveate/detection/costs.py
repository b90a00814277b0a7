"""What each detector of a study costs: parameters, operations, and latency as ratios."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from foveate.detection.model import Detector
from foveate.detection.recipe import DetectionRecipe
from foveate.detection.starting import build_detector
from foveate.training.costs import counts_of, measure_with
from foveate.training.study import Study

COUNTED = "multiply-accumulates of the backbone with its gates and of the pyramid, on one image"


def measure_detectors(
    study: Study, classes: int, width: float | None = None, reason: str = ""
) -> dict[str, dict[str, Any]]:
    """Count and time the detectors of a study on the machine's default thread count.

    Parameters are those of the whole detector. Operations are those of the backbone and the
    pyramid: what the heads do depends on how many proposals they get, and is alike for all.

    Args:
        study: What is compared.
        classes: Number of classes.
        width: None: there is no wider control.
        reason: Not used.

    Returns:
        Costs by label, and under ``"_conditions"`` how they were measured.
    """
    batch, size = study.latency.batch, study.recipe.data.size

    def build(label: str) -> Detector:
        recipe = study.recipe_for(label, 0)
        if not isinstance(recipe, DetectionRecipe):
            raise TypeError("measure_detectors expects a study of detectors; got another")
        # Trained weights cost the same.
        model = recipe.model.model_copy(update={"pretrained": False, "weights": None})
        return build_detector(model, recipe.data, classes)

    return measure_with(
        study,
        build,
        lambda detector: counts_of(_Pyramid(detector), 3, size, size),
        lambda detector, mode: _call(detector, mode, batch, size, classes),
        COUNTED,
    )


class _Pyramid(nn.Module):
    """A detector up to its heads, with the parameters of all of it."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the maps of the pyramid."""
        maps: Mapping[str, Tensor] = self.detector.features(images)
        return maps


def _call(detector: Detector, mode: str, batch: int, size: int, classes: int) -> Callable[[], None]:
    """Return the call that is timed, on a copy: one batch of noise with an object in each image."""
    twin = copy.deepcopy(detector).train(mode == "step")
    generator = torch.Generator().manual_seed(0)
    images = list(torch.rand(batch, 3, size, size, generator=generator))
    box = torch.tensor([[0.3, 0.3, 0.6, 0.6]]) * size
    targets = [{"boxes": box, "labels": torch.tensor([place % classes])} for place in range(batch)]

    def forward() -> None:
        with torch.inference_mode():
            twin(images)

    def step() -> None:
        twin.zero_grad(set_to_none=True)
        torch.stack(list(twin(images, targets).values())).sum().backward()  # type: ignore[no-untyped-call]

    return forward if mode == "forward" else step
