"""The detectors of torchvision on any backbone with any attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import check_choice, check_positive_int, expected
from foveate.detection.model.heads import KINDS, assemble
from foveate.detection.model.norms import base_norms, freeze_norms_
from foveate.detection.model.options import PRESETS
from foveate.detection.model.pyramid import Pyramid
from foveate.models import create_model

_WHO = "create_detector"
_EXAMPLE = 224

Target = Mapping[str, Tensor]


class Detector(nn.Module):
    """A detector that knows its classes from 0 on, whatever its heads count.

    Args:
        body: A detector of torchvision.
        shift: What its heads add to a label: 1 where they keep 0 for the background.
        frozen_norms: Whether the batch norms of the backbone stay as they came.

    Shape:
        - images: a list of (3, H, W) floating, in [0, 1], of any sizes
        - targets: for each image ``boxes`` (M, 4), x1 y1 x2 y2 in its pixels, and ``labels`` (M,)
          in 0..C-1; M may be 0
        - output: in training the parts of the loss by name; in evaluation for each image ``boxes``
          (M, 4), ``scores`` (M,) from the best on, and ``labels`` (M,)
    """

    foveate_detector: dict[str, Any]

    def __init__(self, body: nn.Module, shift: int, frozen_norms: bool) -> None:
        super().__init__()
        self.body, self.shift, self.frozen_norms = body, shift, frozen_norms

    @property
    def network(self) -> nn.Module:
        """The backbone with its gates; what lies behind its last stage is gone."""
        network: nn.Module = self.body.backbone.trunk.network  # type: ignore[union-attr, assignment]
        return network

    @property
    def stages(self) -> list[str]:
        """The modules of the backbone whose outputs the pyramid takes, from fine to coarse."""
        return [level.path for level in self.body.backbone.trunk.levels]  # type: ignore[union-attr]

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps of the pyramid for normalized images (N, 3, H, W)."""
        maps: dict[str, Tensor] = self.body.backbone(images)  # type: ignore[operator]
        return maps

    def train(self, mode: bool = True) -> Detector:
        """Set the mode; frozen norms stay in evaluation."""
        super().train(mode)
        if self.frozen_norms:
            for norm in base_norms(self.network):
                norm.training = False
        return self

    def forward(self, images: Sequence[Tensor], targets: Sequence[Target] | None = None) -> Any:
        """Return losses in training, what is found in evaluation.

        Raises:
            ValueError: In training, without targets.
        """
        given = list(images)
        if self.training:
            if targets is None:
                raise ValueError(expected("Detector", "targets in training", targets))
            shifted = [
                {"boxes": one["boxes"], "labels": one["labels"] + self.shift} for one in targets
            ]
            return self.body(given, shifted)
        found = self.body(given)
        return [
            {"boxes": one["boxes"], "scores": one["scores"], "labels": one["labels"] - self.shift}
            for one in found
        ]


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

    The pyramid takes the last map of each resolution, gates included: the last four for Faster
    R-CNN, three for RetinaNet and FCOS. What lies behind the last stage is left out.

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
            a list of shorter sides, each image in training draws one; the last holds in evaluation.
        preset: ``"coco"`` or ``"small"``: pyramid, heads and numbers of boxes for images of
            hundreds of pixels, or of 64 to 128.
        batch_norm: ``"frozen"``: the norms of the backbone stay as they came, as is usual with
            pretrained weights and few images a step; ``"train"``: they learn. Norms of inserted
            attentions, which start fresh, always learn.
        trainable_stages: How many of the levels, from the coarsest on, learn; what comes before
            them is frozen, gates excepted. None freezes the stem and the first level of four of a
            pretrained backbone, and nothing otherwise.
        mean: Of the channels of images in [0, 1].
        std: Of the same.
        detector_options: Fields of ``DetectorOptions`` that differ from the preset.
        **options: Options of the attention.

    Raises:
        ValueError: If a name or an option is wrong, or the backbone has no stages.
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
    chosen = PRESETS[preset].changed(detector_options or {})
    shorter, longer = _sides(size)
    side = min(_EXAMPLE, shorter[-1])
    example = torch.zeros(1, 3, side, side)
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
    pyramid = Pyramid(base, example, KINDS[kind].levels, chosen.fpn_channels, KINDS[kind].extra)
    body = assemble(kind, pyramid, classes, chosen, shorter, longer, mean, std)
    detector = Detector(body, KINDS[kind].shift, batch_norm == "frozen")
    if batch_norm == "frozen":
        freeze_norms_(base)
    levels = pyramid.trunk.before
    if trainable_stages is None:
        trainable_stages = max(1, len(levels) - 1) if pretrained else len(levels)
    parameters = dict(base.named_parameters())
    for names in levels[: max(0, len(levels) - trainable_stages)]:
        for name in names:
            parameters[name].requires_grad_(False)
    detector.foveate_detector = {
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
        "size": [list(shorter), longer],
        "preset": preset,
        "batch_norm": batch_norm,
        "trainable_stages": trainable_stages,
        "mean": list(mean),
        "std": list(std),
        "detector_options": dict(detector_options or {}),
        "options": dict(options),
    }
    return detector


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
