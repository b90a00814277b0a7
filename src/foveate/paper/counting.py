"""Parameters and MACs of the networks of a table, each built and counted."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from foveate.accounting import Cost, count
from foveate.training import ModelSection
from foveate.training.starting import build

SIDE = 224
Tell = Callable[[str, float], None]


def count_model(
    model: ModelSection, classes: int = 1000, size: tuple[int, int, int] = (3, SIDE, SIDE)
) -> Cost:
    """Build a network as a recipe describes it, count it on one image, and let it go.

    It is built without memory for its weights, so that no network is too large, and counted once
    in each process.

    Args:
        model: The network; what it starts from does not count.
        classes: Outputs of its classifier.
        size: The image, (channels, height, width).
    """
    return _counted(model.model_dump_json(), classes, size)


@functools.cache
def _counted(model: str, classes: int, size: tuple[int, int, int]) -> Cost:
    section = ModelSection.model_validate_json(model)
    with torch.device("meta"):
        network = build(section, classes, SIDE)
    return count(network, size)


def quietly(_label: str, _share: float) -> None:
    """Tell nothing of the progress."""
