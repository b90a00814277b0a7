"""The plain network of equal size: more of the same, to hold an attention against."""

from __future__ import annotations

import torch

from foveate.models.create import create_model


def widen_to(name: str, params: int, *, num_classes: int = 1000, stem: str = "imagenet") -> float:
    """Find the width at which the plain network has ``params`` parameters, as near as it gets.

    Args:
        name: As for :func:`foveate.create_model`.
        params: Wanted number of parameters.
        num_classes: Outputs of the classifier.
        stem: ``"imagenet"`` or ``"small"``.

    Raises:
        ValueError: If the family has no width.

    Example:
        >>> round(widen_to("resnet18", 12438830), 2)
        1.03
    """

    def size(width: float) -> int:
        with torch.device("meta"):
            model = create_model(name, width=width, num_classes=num_classes, stem=stem)
        return sum(weight.numel() for weight in model.parameters())

    low, high = 0.1, 8.0
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if size(middle) < params else (low, middle)
    return min((low, high), key=lambda width: abs(size(width) - params))
