"""A detector that knows its classes from 0 on, and its backbone with the gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import Words, expected

_WHO = "Detector"
Target = Mapping[str, Tensor]


class Detector(nn.Module):
    """A detector that knows its classes from 0 on, whatever its heads count.

    Args:
        body: A detector of torchvision on a :class:`~foveate.models.pyramid.Pyramid`.
        shift: What its heads add to a label: 1 where they keep 0 for the background.
        spec: What rebuilds it, see :func:`foveate.detection.create_detector`.
        still: Names of the backbone's batch norms whose statistics stay as they came.

    Shape:
        - images: a list of (3, H, W) floating, in [0, 1], of any sizes
        - targets: for each image ``boxes`` (M, 4), x1 y1 x2 y2 in its pixels, and ``labels`` (M,)
          in 0..C-1; M may be 0
        - output: in training the parts of the loss by name; in evaluation for each image ``boxes``
          (M, 4) in its pixels, ``scores`` (M,) from the best on, and ``labels`` (M,)
    """

    def __init__(
        self, body: nn.Module, shift: int, spec: dict[str, Any], still: Sequence[str]
    ) -> None:
        super().__init__()
        self.body, self.shift, self.still = body, shift, tuple(still)
        self.foveate_detector = spec
        self.train()

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
        """Return the pyramid of normalized images (N, 3, H, W), by name from fine to coarse."""
        maps: dict[str, Tensor] = self.body.backbone(images)  # type: ignore[operator]
        return maps

    def train(self, mode: bool = True) -> Detector:
        """Set the mode; frozen norms stay in evaluation."""
        super().train(mode)
        for name in self.still:
            self.network.get_submodule(name).training = False
        return self

    def forward(self, images: Sequence[Tensor], targets: Sequence[Target] | None = None) -> Any:
        """Return losses in training, what is found in evaluation.

        Raises:
            ValueError: If images or targets have other shapes than stated, a box has no area, or
                targets are missing in training.
        """
        given = list(images)
        _check_images(given)
        if self.training:
            return self.body(given, self._shifted(given, targets))
        found: list[dict[str, Tensor]] = self.body(given)
        return [
            {"boxes": one["boxes"], "scores": one["scores"], "labels": one["labels"] - self.shift}
            for one in found
        ]

    def _shifted(
        self, images: Sequence[Tensor], targets: Sequence[Target] | None
    ) -> list[dict[str, Tensor]]:
        """Check targets and return them as the heads count classes."""
        if targets is None or len(targets) != len(images):
            got = Words("none" if targets is None else f"{len(targets)}")
            rule = f"targets of all {len(images)} images in training"
            raise ValueError(expected(_WHO, rule, got, "call eval() to find boxes without targets"))
        for target in targets:
            boxes, labels = target["boxes"], target["labels"]
            if boxes.dim() != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
                got = Words(f"{tuple(boxes.shape)} and {tuple(labels.shape)}")
                raise ValueError(expected(_WHO, "boxes (M, 4) and labels (M,)", got))
        boxes = torch.cat([target["boxes"] for target in targets])
        labels = torch.cat([target["labels"] for target in targets])
        sound = boxes.isfinite().all(dim=1) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        if not sound.all():
            got = Words(boxes[~sound][0].tolist())
            raise ValueError(expected(_WHO, "boxes x1 < x2, y1 < y2", got, "drop empty boxes"))
        classes = self.foveate_detector["classes"]
        inside = (labels >= 0) & (labels < classes)
        if not inside.all():
            raise ValueError(
                expected(_WHO, f"labels in 0..{classes - 1}", labels[~inside][0].item())
            )
        return [
            {"boxes": target["boxes"], "labels": target["labels"].long() + self.shift}
            for target in targets
        ]


def _check_images(images: Sequence[Tensor]) -> None:
    if not images:
        raise ValueError(expected(_WHO, "one image or more", Words("none")))
    for image in images:
        if image.dim() != 3 or image.shape[0] != 3 or not image.is_floating_point():
            got = Words(f"{tuple(image.shape)} of {image.dtype}")
            remedy = "divide uint8 images by 255"
            raise ValueError(expected(_WHO, "images (3, H, W) floating", got, remedy))
