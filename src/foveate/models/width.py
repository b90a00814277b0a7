"""Wider and narrower networks, for controls that match a gated network in size."""

from __future__ import annotations

from typing import Any

import torch

from foveate.core import Words, expected, require


def width_arguments(name: str, width: float) -> dict[str, Any]:
    """Constructor arguments that scale the channels of a network by ``width``.

    Raises:
        ValueError: If the family has no such arguments, or the width is not positive.
    """
    if not width > 0:
        raise ValueError(expected("create_model", "width > 0", width))
    if width == 1.0:
        return {}
    family = name.removeprefix("torchvision/").split(".")[0]
    if name.startswith("torchvision/"):
        if family.startswith(("mobilenet_v2", "mobilenet_v3")):
            return {"width_mult": width}
        if family in {"resnet50", "resnet101", "resnet152"}:
            return {"width_per_group": max(1, round(64 * width))}
    elif family.startswith(("resnet", "seresnet", "ecaresnet")):
        # Channels in steps of one allow a match within a fraction of a percent.
        return {"channels": tuple(max(1, round(c * width)) for c in (64, 128, 256, 512))}
    raise ValueError(
        expected(
            "create_model",
            "width=1, or a family with a width (timm's ResNets; torchvision's MobileNets and"
            " bottleneck ResNets)",
            Words(f"{name} with width {width:g}"),
        )
    )


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
    from foveate.models.create import create_model

    require("timm", "models", "widen_to")

    def size(width: float) -> int:
        with torch.device("meta"):
            model = create_model(name, width=width, num_classes=num_classes, stem=stem)
        return sum(weight.numel() for weight in model.parameters())

    low, high = 0.1, 8.0
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if size(middle) < params else (low, middle)
    return min((low, high), key=lambda width: abs(size(width) - params))
