"""Make a stereo network on any backbone with any attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from foveate.attention.registry import is_bound
from foveate.core import check_choice, check_positive_int, expected
from foveate.models import create_model
from foveate.models.pyramid import Pyramid
from foveate.stereo.model.network import MULTIPLE, StereoNet
from foveate.stereo.model.options import PRESETS
from foveate.surgery import inserted

_WHO = "create_stereo"
_EXAMPLE = 224


def create_stereo(
    backbone: str = "resnet18",
    attention: str | None = None,
    where: str | list[str] | None = None,
    *,
    pretrained: bool = False,
    start: str = "paper",
    position: str = "after",
    network: str | None = None,
    host: str | None = None,
    stem: str = "imagenet",
    width: float = 1.0,
    size: tuple[int, int] = (320, 720),
    preset: str = "base",
    mean: Sequence[float] = (0.485, 0.456, 0.406),
    std: Sequence[float] = (0.229, 0.224, 0.225),
    head: Mapping[str, Any] | None = None,
    **options: Any,
) -> StereoNet:
    """Make a recurrent stereo network on a backbone of :func:`foveate.create_model`.

    Args:
        backbone: A model of timm, or ``"torchvision/<name>"``, that has stages.
        attention: Registry name; None or ``"none"`` for the plain backbone.
        where: Sites, see :func:`foveate.insert_`; None takes the attention's own.
        pretrained: Whether the backbone starts from published weights (downloaded once).
        start: ``"paper"`` or ``"identity"``, see :func:`foveate.insert_`.
        position: As of :func:`foveate.create_model`, like ``network``, ``host``, ``stem`` and
            ``width``.
        network: See there.
        host: See there.
        stem: See there.
        width: See there.
        size: Rows and columns in pixels that it is for; others work too, unless the attention is
            bound to the size of its map.
        preset: ``"base"`` or ``"small"``: numbers of the head for images of hundreds of pixels, or
            of 64 to 128.
        mean: Of the channels of images in [0, 1].
        std: Of the same.
        head: Fields of ``HeadOptions`` that differ from the preset.
        **options: Options of the attention.

    Raises:
        ValueError: If a name or an option is wrong, or the backbone has too few stages.
        ImportError: If timm or torchvision is missing.

    Example:
        >>> net = create_stereo("resnet18", "das", preset="small", width=0.25, size=(64, 96)).eval()
        >>> net(torch.rand(1, 3, 50, 70), torch.rand(1, 3, 50, 70)).shape
        torch.Size([1, 50, 70])
    """
    check_choice(_WHO, "preset", preset, PRESETS)
    chosen = PRESETS[preset].changed(head or {})
    example = _example(size, is_bound(attention, options))
    base = create_model(
        backbone,
        attention,
        where,
        start=start,
        position=position,
        network=network,
        host=host,
        pretrained=pretrained,
        stem=stem,
        width=width,
        example=example,
        **options,
    )
    pyramid = Pyramid(base, example, chosen.levels, chosen.channels, "none")
    spec = {
        "backbone": backbone,
        "attention": attention,
        "where": where,
        "start": start,
        "position": position,
        "network": network,
        "host": host,
        "stem": stem,
        "width": width,
        "size": list(size),
        "preset": preset,
        "mean": list(mean),
        "std": list(std),
        "head": dict(head or {}),
        "options": dict(options),
        "sites": list(inserted(base)),
    }
    return StereoNet(pyramid, chosen, mean, std, spec)


def _example(size: Any, bound: bool) -> Tensor:
    """Make views of the size that the network is for; smaller ones where the size is nothing."""
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise ValueError(expected(_WHO, "size as (rows, columns) in pixels", size))
    sides = []
    for one in size:
        side = check_positive_int(_WHO, "size", one)
        side = side if bound else min(side, _EXAMPLE)
        sides.append(-(-side // MULTIPLE) * MULTIPLE)
    return torch.zeros(1, 3, *sides)
