"""Put torchvision's heads on a pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from foveate.core import require
from foveate.detection.model.options import DetectorOptions
from foveate.detection.model.pyramid import Pyramid


@dataclass(frozen=True)
class Kind:
    """What a kind of detector asks for.

    Attributes:
        levels: Maps of the backbone.
        extra: How coarser ones are made, see ``Pyramid``.
        shift: What the heads add to a label: 1 where they keep 0 for the background.
    """

    levels: int
    extra: str
    shift: int


KINDS = {
    "faster-rcnn": Kind(4, "pool", 1),
    "retinanet": Kind(3, "p6p7", 0),
    "fcos": Kind(3, "p6p7", 0),
}


def assemble(
    kind: str,
    pyramid: Pyramid,
    classes: int,
    chosen: DetectorOptions,
    shorter: Sequence[int],
    longer: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> nn.Module:
    """Make a detector of torchvision."""
    shown = {
        "min_size": tuple(shorter),
        "max_size": longer,
        "image_mean": list(mean),
        "image_std": list(std),
    }
    makers = {"faster-rcnn": _faster_rcnn, "retinanet": _retinanet, "fcos": _fcos}
    body: nn.Module = makers[kind](pyramid, classes, chosen, shown)
    return body


def _faster_rcnn(
    pyramid: Pyramid, classes: int, chosen: DetectorOptions, shown: dict[str, Any]
) -> Any:
    """Ren et al., Faster R-CNN, arXiv:1506.01497."""
    vision: Any = require("torchvision.models.detection.faster_rcnn", "models", "create_detector")
    ops: Any = require("torchvision.ops", "models", "create_detector")
    sizes = tuple((chosen.anchor * 2**level,) for level in range(pyramid.count))
    pool = ops.MultiScaleRoIAlign([str(one) for one in range(pyramid.count - 1)], 7, 2)
    return vision.FasterRCNN(
        pyramid,
        rpn_anchor_generator=vision.AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
        rpn_pre_nms_top_n_train=chosen.before_nms[0],
        rpn_pre_nms_top_n_test=chosen.before_nms[1],
        rpn_post_nms_top_n_train=chosen.proposals[0],
        rpn_post_nms_top_n_test=chosen.proposals[1],
        rpn_batch_size_per_image=chosen.rpn_batch,
        box_roi_pool=pool,
        box_head=vision.TwoMLPHead(pyramid.out_channels * 49, chosen.head_channels),
        box_predictor=vision.FastRCNNPredictor(chosen.head_channels, classes + 1),
        box_score_thresh=chosen.score_threshold,
        box_nms_thresh=chosen.nms,
        box_detections_per_img=chosen.detections,
        box_batch_size_per_image=chosen.box_batch,
        **shown,
    )


def _dense(chosen: DetectorOptions) -> dict[str, Any]:
    return {
        "score_thresh": chosen.score_threshold,
        "nms_thresh": chosen.nms,
        "detections_per_img": chosen.detections,
        "topk_candidates": chosen.before_nms[1],
    }


def _retinanet(
    pyramid: Pyramid, classes: int, chosen: DetectorOptions, shown: dict[str, Any]
) -> Any:
    """Lin et al., Focal loss for dense object detection, arXiv:1708.02002."""
    vision: Any = require("torchvision.models.detection.retinanet", "models", "create_detector")
    sides = [chosen.anchor * 2**level for level in range(pyramid.count)]
    sizes = tuple(tuple(int(side * 2 ** (part / 3)) for part in range(3)) for side in sides)
    anchors = vision.AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    return vision.RetinaNet(pyramid, classes, anchor_generator=anchors, **_dense(chosen), **shown)


def _fcos(pyramid: Pyramid, classes: int, chosen: DetectorOptions, shown: dict[str, Any]) -> Any:
    """Tian et al., FCOS, arXiv:1904.01355."""
    vision: Any = require("torchvision.models.detection.fcos", "models", "create_detector")
    # Its anchors are points; their sides are the strides of the levels.
    strides = tuple((round(level.stride),) for level in pyramid.trunk.levels)
    coarser = tuple((strides[-1][0] * 2**step,) for step in (1, 2))
    anchors = vision.AnchorGenerator((*strides, *coarser), ((1.0,),) * pyramid.count)
    head = vision.FCOSHead(pyramid.out_channels, 1, classes, chosen.head_convs)
    return vision.FCOS(
        pyramid, classes, anchor_generator=anchors, head=head, **_dense(chosen), **shown
    )
