"""Make detectors of torchvision on any backbone with any attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention.registry import is_bound
from foveate.core import check_choice, check_positive_int, expected
from foveate.detection.model.detector import Detector
from foveate.detection.model.framing import Framing
from foveate.detection.model.heads import SHIFT, put_heads
from foveate.detection.model.norms import base_norms
from foveate.detection.model.options import PRESETS
from foveate.models import create_model
from foveate.models.pyramid import Pyramid
from foveate.surgery import inserted

KINDS = tuple(SHIFT)
_WHO = "create_detector"
_EXAMPLE, _MULTIPLE = 224, 32


def create_detector(
    kind: str = "faster-rcnn",
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
    size: tuple[int | Sequence[int], int] = (800, 1333),
    preset: str = "coco",
    batch_norm: str = "frozen",
    trainable_stages: int | None = None,
    mean: Sequence[float] = (0.485, 0.456, 0.406),
    std: Sequence[float] = (0.229, 0.224, 0.225),
    detector_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Detector:
    """Make a detector of torchvision on a backbone of :func:`foveate.create_model`.

    The pyramid takes the last map of each resolution, gates included, the coarsest ones. What lies
    behind the last of them is left out of the network.

    Args:
        kind: ``"faster-rcnn"``, ``"retinanet"`` or ``"fcos"``.
        backbone: A model of timm, or ``"torchvision/<name>"``, that has stages.
        attention: Registry name; None or ``"none"`` for the plain backbone.
        where: Sites, see :func:`foveate.insert_`; None takes the attention's own.
        classes: Classes of objects, the background not counted.
        pretrained: Whether the backbone starts from published weights (downloaded once).
        start: ``"paper"`` or ``"identity"``, see :func:`foveate.insert_`.
        position: As of :func:`foveate.create_model`, like ``network``, ``host``, ``stem`` and
            ``width``.
        network: See there.
        host: See there.
        stem: See there.
        width: See there.
        size: Shorter side to which images are brought, and what the longer may have, in pixels. Of
            a list of shorter sides, each batch in training draws one; the last holds in evaluation.
        preset: ``"coco"`` or ``"small"``: pyramid, heads and numbers of boxes for images of
            hundreds of pixels, or of 64 to 128.
        batch_norm: ``"frozen"``: the norms of the backbone stay as they came, as is usual with
            trained weights and few images a step; from scratch it makes no sense, for some begin
            as zeros. ``"train"``: they learn. Norms of inserted attentions always do.
        trainable_stages: How many stages of the backbone learn, from the coarsest on; what comes
            before them is frozen, gates excepted. None: the last 3 of a pretrained backbone, as is
            usual, and all of another.
        mean: Of the channels of images in [0, 1].
        std: Of the same.
        detector_options: Fields of ``DetectorOptions`` that differ from the preset.
        **options: Options of the attention.

    Raises:
        ValueError: If a name or an option is wrong, or the backbone has too few stages.
        ImportError: If timm or torchvision is missing.

    Example:
        >>> detector = create_detector(
        ...     "faster-rcnn", "resnet18", "das", classes=3, preset="small", size=(64, 64),
        ...     batch_norm="train", width=0.25,
        ... ).eval()
        >>> sorted(detector([torch.rand(3, 64, 64)])[0])
        ['boxes', 'labels', 'scores']
    """
    check_choice(_WHO, "kind", kind, KINDS)
    check_choice(_WHO, "preset", preset, PRESETS)
    check_choice(_WHO, "batch_norm", batch_norm, ("frozen", "train"))
    check_positive_int(_WHO, "classes", classes)
    chosen = PRESETS[preset][kind].changed(detector_options or {})
    shorter, longest = _sides(size)
    example = _example(shorter[-1], is_bound(attention, options))
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
    pyramid = Pyramid(base, example, chosen.levels, chosen.fpn_channels, chosen.coarser)
    body = put_heads(kind, pyramid, classes, chosen)
    body.transform = Framing(shorter, longest, mean, std)
    if trainable_stages is None:
        trainable_stages = 3 if pretrained else len(pyramid.trunk.before)
    check_positive_int(_WHO, "trainable_stages", trainable_stages, minimum=0)
    still = _freeze_(base, pyramid.trunk.before, trainable_stages, batch_norm == "frozen")
    spec = {
        "kind": kind,
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
        "size": [list(shorter), longest],
        "preset": preset,
        "batch_norm": batch_norm,
        "trainable_stages": trainable_stages,
        "mean": list(mean),
        "std": list(std),
        "detector_options": dict(detector_options or {}),
        "options": dict(options),
        "sites": list(inserted(base)),
    }
    return Detector(body, SHIFT[kind], spec, still)


def _freeze_(
    network: nn.Module, before: Sequence[Sequence[str]], trainable: int, norms: bool
) -> list[str]:
    """Freeze the stages before the trainable ones, and all norms if asked.

    Returns:
        Names of the batch norms whose statistics are to stay.
    """
    held = {path for paths in before[: max(0, len(before) - trainable)] for path in paths}
    still = [name for name, _ in base_norms(network) if norms or name in held]
    for path in held.union(still):
        for parameter in network.get_submodule(path).parameters(recurse=False):
            parameter.requires_grad_(False)
    return still


def _example(side: int, bound: bool) -> Tensor:
    """Make an image of the size that the network is for; a smaller one where the size is nothing.

    Some attentions are bound to the size of their map, others need a map of some size; from 224
    pixels on only the former matter.
    """
    side = side if bound else min(side, _EXAMPLE)
    side = -(-side // _MULTIPLE) * _MULTIPLE
    return torch.zeros(1, 3, side, side)


def _sides(size: Any) -> tuple[tuple[int, ...], int]:
    """Return the shorter sides and the longest."""
    rule = "size as (shorter side or sides, longest side) in pixels"
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise ValueError(expected(_WHO, rule, size))
    shorter = size[0] if isinstance(size[0], (list, tuple)) else (size[0],)
    sides = tuple(check_positive_int(_WHO, "size", one, minimum=32) for one in shorter)
    longest = check_positive_int(_WHO, "size", size[1], minimum=32)
    if not sides or max(sides) > longest:
        raise ValueError(expected(_WHO, rule, size, "the longest side must be the largest"))
    return sides, longest
