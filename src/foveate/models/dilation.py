"""Networks whose last stages are dilated instead of strided, for the families that can."""

from __future__ import annotations

from typing import Any

import torch

from foveate.core import Words, check_choice, expected, require

STRIDES = (8, 16, 32)


def dilation_arguments(name: str, output_stride: int) -> dict[str, Any]:
    """Constructor arguments under which a network keeps finer last maps.

    Args:
        name: As of :func:`foveate.create_model`.
        output_stride: Pixels of the image to a cell of the last map: 32 (nothing to do), 16 or 8.

    Raises:
        ValueError: If the family cannot be dilated so, or the stride is another.
    """
    check_choice("create_model", "output_stride", output_stride, STRIDES)
    if output_stride == 32:
        return {}
    refused = ValueError(
        expected(
            "create_model",
            "output_stride=32, or a network that can be dilated",
            Words(f"{name} with output_stride {output_stride}"),
            "timm's ResNets and EfficientNets can, and torchvision's bottleneck ResNets",
        )
    )
    bare = name.removeprefix("torchvision/")
    if bare != name:
        vision: Any = require("torchvision.models", "models", "create_model")
        arguments = {"replace_stride_with_dilation": [False, output_stride == 8, True]}
        known, make = vision.list_models(module=vision), vision.get_model
        asked: dict[str, Any] = {"weights": None, **arguments}
    else:
        timm: Any = require("timm", "models", "create_model")
        arguments = {"output_stride": output_stride}  # type: ignore[dict-item]
        known, make, asked = timm.list_models(), timm.create_model, dict(arguments)
    if bare.split(".")[0] not in known:
        return arguments  # The network itself is what is wrong; that is told elsewhere.
    try:
        with torch.device("meta"):
            make(bare, **asked)
    except (TypeError, NotImplementedError, AssertionError, RuntimeError, ValueError):
        raise refused from None
    return arguments


def can_dilate(name: str, output_stride: int) -> bool:
    """Whether a network can keep last maps of this stride.

    Example:
        >>> can_dilate("resnet18", 16), can_dilate("torchvision/resnet18", 16)
        (True, False)
    """
    try:
        dilation_arguments(name, output_stride)
    except ValueError:
        return False
    return True
