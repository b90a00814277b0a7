"""The width of a network, for the families that have one."""

from __future__ import annotations

from typing import Any

from foveate.core import Words, expected


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
