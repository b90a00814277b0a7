"""Put torchvision's heads on a pyramid."""

from __future__ import annotations

from typing import Any

from torch import nn

from foveate.core import expected, require
from foveate.detection.model.options import DetectorOptions
from foveate.detection.model.pooling import RegionPooling
from foveate.models.pyramid import Pyramid

_GROUPS = 32
SHIFT = {"faster-rcnn": 1, "retinanet": 0, "fcos": 0}
"""What the heads of each kind add to a label: 1 where they keep 0 for the background."""


def put_heads(kind: str, pyramid: Pyramid, classes: int, chosen: DetectorOptions) -> nn.Module:
    """Make a detector of torchvision of a kind.

    Raises:
        ValueError: If FCOS cannot group its channels.
    """
    makers = {"faster-rcnn": _faster_rcnn, "retinanet": _retinanet, "fcos": _fcos}
    body: nn.Module = makers[kind](pyramid, classes, chosen)
    return body


def _vision(name: str) -> Any:
    return require(f"torchvision.models.detection.{name}", "models", "create_detector")


def _anchors(pyramid: Pyramid, chosen: DetectorOptions) -> Any:
    """Anchors of whole pixels on each level."""
    octave = [2 ** (part / chosen.scales) for part in range(chosen.scales)]
    sizes = tuple(
        tuple(int(chosen.anchor * stride * part) for part in octave) for stride in pyramid.strides
    )
    return _vision("anchor_utils").AnchorGenerator(sizes, (chosen.ratios,) * len(sizes))


def _faster_rcnn(pyramid: Pyramid, classes: int, chosen: DetectorOptions) -> Any:
    """Ren et al., Faster R-CNN, arXiv:1506.01497."""
    vision = _vision("faster_rcnn")
    inputs = pyramid.out_channels * chosen.box_side**2
    body = vision.FasterRCNN(
        pyramid,
        rpn_anchor_generator=_anchors(pyramid, chosen),
        rpn_pre_nms_top_n_train=chosen.before_nms[0],
        rpn_pre_nms_top_n_test=chosen.before_nms[1],
        rpn_post_nms_top_n_train=chosen.proposals[0],
        rpn_post_nms_top_n_test=chosen.proposals[1],
        rpn_batch_size_per_image=chosen.rpn_batch,
        box_head=vision.TwoMLPHead(inputs, chosen.head_channels),
        box_predictor=vision.FastRCNNPredictor(chosen.head_channels, classes + 1),
        box_score_thresh=chosen.score_threshold,
        box_nms_thresh=chosen.nms,
        box_detections_per_img=chosen.detections,
        box_batch_size_per_image=chosen.box_batch,
    )
    # The coarser maps are for proposals alone.
    strides = pyramid.strides[: chosen.levels]
    body.roi_heads.box_roi_pool = RegionPooling(strides, chosen.box_side)
    return body


def _dense(chosen: DetectorOptions) -> dict[str, Any]:
    return {
        "score_thresh": chosen.score_threshold,
        "nms_thresh": chosen.nms,
        "detections_per_img": chosen.detections,
        "topk_candidates": chosen.before_nms[1],
    }


def _retinanet(pyramid: Pyramid, classes: int, chosen: DetectorOptions) -> Any:
    """Lin et al., Focal loss for dense object detection, arXiv:1708.02002."""
    anchors = _anchors(pyramid, chosen)
    return _vision("retinanet").RetinaNet(
        pyramid, classes, anchor_generator=anchors, **_dense(chosen)
    )


def _fcos(pyramid: Pyramid, classes: int, chosen: DetectorOptions) -> Any:
    """Tian et al., FCOS, arXiv:1904.01355."""
    if pyramid.out_channels % _GROUPS:
        rule = f"fpn_channels of FCOS as a multiple of {_GROUPS}"
        raise ValueError(expected("create_detector", rule, pyramid.out_channels))
    vision = _vision("fcos")
    # Its anchors are points; their sides stand for the strides of the levels.
    points = vision.AnchorGenerator(
        tuple((stride,) for stride in pyramid.strides), ((1.0,),) * len(pyramid.strides)
    )
    head = vision.FCOSHead(pyramid.out_channels, 1, classes, chosen.head_convs)
    return vision.FCOS(pyramid, classes, anchor_generator=points, head=head, **_dense(chosen))
