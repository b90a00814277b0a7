"""Make segmenters on any backbone with any attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention.registry import is_bound
from foveate.core import check_choice, check_positive_int, expected, suggest
from foveate.models import create_model
from foveate.models.dilation import can_dilate
from foveate.models.pyramid import Pyramid
from foveate.models.trunk import Trunk
from foveate.segmentation.data.samples import IGNORED
from foveate.segmentation.model.heads import AtrousHead, SemanticHead
from foveate.segmentation.model.segmenter import Segmenter
from foveate.surgery import inserted

HEADS: dict[str, dict[str, Any]] = {
    "deeplabv3": {"channels": 256, "rates": None},
    "fpn": {"channels": 256, "branch": 128, "levels": 4},
}
"""The heads with their options: channels of the pyramid; dilations (by default 96 pixels and twice
and thrice as much, as published); channels of the branches; maps of the backbone."""
_WHO = "create_segmenter"
_REACH = 96
_EXAMPLE, _MULTIPLE = 224, 32


def create_segmenter(
    head: str = "deeplabv3",
    backbone: str = "resnet50",
    attention: str | None = None,
    where: str | list[str] | None = None,
    *,
    classes: int,
    pretrained: bool = False,
    start: str = "paper",
    position: str = "after",
    network: str | None = None,
    host: str | None = None,
    stem: str = "imagenet",
    width: float = 1.0,
    output_stride: int | None = None,
    size: int = 512,
    mean: Sequence[float] = (0.485, 0.456, 0.406),
    std: Sequence[float] = (0.229, 0.224, 0.225),
    head_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Segmenter:
    """Make a network of :func:`foveate.create_model` score every class in every pixel.

    What lies behind the backbone's last stage is left out of it; gates are part of the stages.

    Args:
        head: ``"deeplabv3"`` (arXiv:1706.05587) or ``"fpn"`` (the semantic branch of
            arXiv:1901.02446).
        backbone: A model of timm, or ``"torchvision/<name>"``, that has stages.
        attention: Registry name; None or ``"none"`` for the plain backbone.
        where: Sites, see :func:`foveate.insert_`; None takes the attention's own.
        classes: Number of classes, the background among them.
        pretrained: Whether the backbone starts from published weights (downloaded once).
        start: ``"paper"`` or ``"identity"``, see :func:`foveate.insert_`.
        position: As of :func:`foveate.create_model`, like ``network``, ``host``, ``stem`` and
            ``width``.
        network: See there.
        host: See there.
        stem: See there.
        width: See there.
        output_stride: Pixels to a cell of the last map: 8, 16 or 32. None is 32 for ``"fpn"``; for
            ``"deeplabv3"`` 16 where the family can be dilated and else 32, which the segmenter's
            ``output_stride`` tells.
        size: Side in pixels of the images that it is for; any other size works too, but for
            attentions that are bound to the size of their map.
        mean: Of the channels of images in [0, 1].
        std: Of the same.
        head_options: Options of the head that differ from ``HEADS``.
        **options: Options of the attention.

    Raises:
        ValueError: If a name or an option is wrong, the backbone has too few stages, or it cannot
            be dilated so.
        ImportError: If timm or torchvision is missing.

    Example:
        >>> model = create_segmenter("fpn", "resnet18", "das", classes=5, width=0.25, size=64)
        >>> model(torch.rand(2, 3, 64, 80)).shape
        torch.Size([2, 5, 64, 80])
    """
    check_choice(_WHO, "head", head, HEADS)
    check_positive_int(_WHO, "classes", classes, minimum=2)
    if classes > IGNORED:
        raise ValueError(expected(_WHO, f"at most {IGNORED} classes", classes))
    check_positive_int(_WHO, "size", size, minimum=32)
    chosen = _chosen(head, head_options or {})
    if output_stride is None:
        dilated = head == "deeplabv3" and can_dilate(backbone, 16)
        output_stride = 16 if dilated else 32
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
        output_stride=output_stride,
        example=example,
        **options,
    )
    features, top = _on(base, example, head, classes, chosen)
    spec = {
        "head": head,
        "backbone": backbone,
        "attention": attention,
        "where": where,
        "classes": classes,
        "start": start,
        "position": position,
        "network": network,
        "host": host,
        "stem": stem,
        "width": width,
        "output_stride": output_stride,
        "size": size,
        "mean": list(mean),
        "std": list(std),
        "head_options": dict(head_options or {}),
        "options": dict(options),
        "sites": list(inserted(base)),
    }
    return Segmenter(features, top, spec)


def _on(
    base: nn.Module, example: Tensor, head: str, classes: int, chosen: Mapping[str, Any]
) -> tuple[nn.Module, nn.Module]:
    """Put a head on a network: what makes the maps, and what reads them."""
    if head == "fpn":
        pyramid = Pyramid(base, example, chosen["levels"], chosen["channels"], "none")
        branch = SemanticHead(pyramid.strides, chosen["channels"], classes, chosen["branch"])
        return pyramid, branch
    trunk = Trunk(base, example, 1)
    last = trunk.levels[-1]
    rates = chosen["rates"] or [max(1, turn * _REACH // last.stride) for turn in (1, 2, 3)]
    if len(rates) != 3:
        raise ValueError(expected(_WHO, "three rates", rates))
    return trunk, AtrousHead(last.channels, classes, chosen["channels"], rates)


def _chosen(head: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a head; all are whole numbers from 1 on, or lists of such."""
    for name, value in given.items():
        if name not in HEADS[head]:
            rule = f"an option of the head {head!r}"
            raise ValueError(expected(_WHO, rule, name, suggest(name, HEADS[head])))
        for one in value if isinstance(value, (list, tuple)) and name == "rates" else (value,):
            check_positive_int(_WHO, name, one)
    return {**HEADS[head], **given}


def _example(size: int, bound: bool) -> Tensor:
    """Make an image of the size that the network is for; a smaller one where the size is nothing.

    Some attentions are bound to the size of their map; from 224 pixels on only those mind.
    """
    side = size if bound else min(size, _EXAMPLE)
    side = -(-side // _MULTIPLE) * _MULTIPLE
    return torch.zeros(1, 3, side, side)
