"""Detectors: torchvision with the same weights is the truth, then what is ours."""

import copy

import pytest
import torch
from torch import nn

from foveate.surgery import insert_, inserted, is_inserted_path, remove_

detection = pytest.importorskip("torchvision.models.detection")
from torchvision.models.detection.backbone_utils import BackboneWithFPN  # noqa: E402
from torchvision.ops import box_iou  # noqa: E402
from torchvision.ops.feature_pyramid_network import LastLevelP6P7  # noqa: E402

from foveate.detection.model import Detector, create_detector  # noqa: E402

SMALL = {"classes": 3, "preset": "small", "size": (64, 64), "batch_norm": "train"}
NONE = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}


def tiny(kind="faster-rcnn", attention=None, backbone="resnet10t", **options):
    torch.manual_seed(0)
    width = 0.25 if backbone == "resnet10t" else 1.0
    return create_detector(kind, backbone, attention, **{"width": width, **SMALL, **options})


def target(*rows):
    rows = torch.tensor(rows, dtype=torch.float32)
    return {"boxes": rows[:, :4], "labels": rows[:, 4].long()}


def total(losses):
    return torch.stack(list(losses.values())).sum()


def seeded():
    return torch.Generator().manual_seed(0)


def reference(kind, name):
    """torchvision's detector of 4 classes on its own pyramid of its own ResNet."""
    network = getattr(__import__("torchvision").models, name)()
    dense = kind != "faster-rcnn"
    taken = (2, 3, 4) if dense else (1, 2, 3, 4)
    deepest = network.fc.in_features
    backbone = BackboneWithFPN(
        network,
        {f"layer{number}": str(place) for place, number in enumerate(taken)},
        [deepest // 2 ** (4 - number) for number in taken],
        256,
        LastLevelP6P7(256, 256) if dense else None,
    )
    size = {"min_size": 96, "max_size": 128}
    if kind == "faster-rcnn":
        return detection.FasterRCNN(backbone, 5, **size)
    if kind == "retinanet":
        anchors = detection.retinanet._default_anchorgen()
        heads = detection.retinanet.RetinaNetHead(256, 9, 4)
        limits = {"detections_per_img": 100}
        return detection.RetinaNet(
            backbone, 4, anchor_generator=anchors, head=heads, **size, **limits
        )
    return detection.FCOS(backbone, 4, score_thresh=0.05, nms_thresh=0.5, **size)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("faster-rcnn", "resnet18"),
        ("retinanet", "resnet18"),
        ("fcos", "resnet18"),
        pytest.param("faster-rcnn", "resnet50", marks=pytest.mark.slow),
    ],
)
def test_losses_and_boxes_are_those_of_torchvision(kind, name):
    torch.manual_seed(0)
    theirs = reference(kind, name)
    ours = create_detector(
        kind, f"torchvision/{name}", classes=4, size=(96, 128), batch_norm="train"
    )
    weights = {
        f"body.{key}".replace("backbone.body.", "backbone.trunk.network."): value
        for key, value in theirs.state_dict().items()
    }
    ours.load_state_dict(weights, strict=True)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    images = [torch.rand(3, 60, 80), torch.rand(3, 96, 100)]
    given = [target((5, 8, 40, 50, 1), (20, 10, 70, 55, 3)), target((30, 20, 90, 90, 0))]
    shift = kind == "faster-rcnn"
    shifted = [{**one, "labels": one["labels"] + shift} for one in given]
    # torchvision draws a size for every image, even of one; what is sampled comes after.
    theirs.transform.torch_choice = lambda sizes: sizes[0]
    torch.manual_seed(1)
    truth = theirs.train()(images, shifted)
    torch.manual_seed(1)
    losses = ours.train()(images, given)
    assert losses.keys() == truth.keys()
    for part in truth:
        torch.testing.assert_close(losses[part], truth[part], rtol=1e-5, atol=1e-6)
    if kind == "retinanet":
        # Its scores start at a hundredth; with more, something is found.
        for detector in (ours.body, theirs):
            nn.init.normal_(
                detector.head.classification_head.cls_logits.bias, -2, 0.5, generator=seeded()
            )
    with torch.no_grad():
        truth, found = theirs.eval()(images), ours.eval()(images)
    assert sum(len(one["scores"]) for one in found) > 0
    for one, other in zip(found, truth, strict=True):
        torch.testing.assert_close(one["scores"], other["scores"], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one["boxes"], other["boxes"], rtol=1e-4, atol=1e-3)
        assert torch.equal(one["labels"] + shift, other["labels"])


@pytest.mark.parametrize("kind", ["faster-rcnn", "retinanet", "fcos"])
def test_images_without_objects_train_and_every_weight_has_a_gradient(kind):
    detector = tiny(kind, "das")
    images = list(torch.rand(2, 3, 64, 64))
    for given in ([NONE, target((8, 9, 30, 33, 2))], [NONE, NONE]):
        detector.zero_grad(set_to_none=True)
        losses = detector(images, given)
        assert all(value.isfinite() for value in losses.values())
        total(losses).backward()
        assert [n for n, p in detector.named_parameters() if p.grad is None] == []
        assert all(p.grad.isfinite().all() for p in detector.parameters())
    boxes = {"faster-rcnn": "loss_box_reg", "retinanet": "bbox_regression"}.get(
        kind, "bbox_regression"
    )
    assert losses[boxes] == 0
    # Nothing is there to be found: a step must make objects less likely.
    before = total(losses)
    torch.optim.SGD(detector.parameters(), 0.01).step()
    torch.manual_seed(2)
    assert total(detector(images, [NONE, NONE])) < before


def test_a_detector_learns_one_image_by_heart_and_counts_classes_from_zero():
    detector = tiny()
    image = torch.zeros(3, 64, 64)
    image[0, 12:32, 8:30], image[2, 36:56, 34:58] = 1, 1
    given = target((8, 12, 30, 32, 0), (34, 36, 58, 56, 2))
    optimizer = torch.optim.AdamW(detector.parameters(), 2e-3)
    for _ in range(40):
        optimizer.zero_grad()
        total(detector([image] * 2, [given] * 2)).backward()
        optimizer.step()
    found = detector.eval()([image])[0]
    assert found["scores"].tolist() == sorted(found["scores"].tolist(), reverse=True)
    for label, box in zip(given["labels"], given["boxes"], strict=True):
        mine = found["labels"] == label
        best = found["boxes"][mine][found["scores"][mine].argmax()]
        assert found["scores"][mine].max() > 0.5
        assert box_iou(best[None], box[None]) > 0.6
    assert (found["scores"][found["labels"] == 1] < 0.5).all()


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [
        ("torchvision/mobilenet_v2", [24, 32, 96, 320]),
        ("torchvision/vgg11", [128, 256, 512, 512]),
        ("mobilenetv3_small_050", [8, 16, 24, 48]),
        ("test_convnext", [24, 32, 48, 64]),
        ("test_efficientnet", [24, 32, 48, 64]),
    ],
)
def test_the_trunk_of_any_network_ends_with_its_last_stage(backbone, channels):
    detector = tiny("retinanet", "das", backbone, where="stages")
    levels = detector.body.backbone.trunk.levels
    assert [level.channels for level in levels] == channels
    strides = [level.stride for level in levels]
    assert strides == [strides[0] * 2**step for step in range(4)]
    total(detector([torch.rand(3, 64, 64)], [target((8, 9, 30, 33, 2))])).backward()
    assert [n for n, p in detector.named_parameters() if p.grad is None] == []


def test_maps_are_read_behind_gates_that_come_later_too_and_by_each_copy_for_itself():
    detector = tiny().eval()
    image = torch.rand(1, 3, 64, 64)
    plain = detector.features(image)
    twin = copy.deepcopy(detector)
    insert_(detector.network, "das", example=torch.zeros(1, 3, 64, 64))
    gated = detector.features(image)
    assert list(gated) == ["0", "1", "2", "3"]
    assert not any(torch.equal(gated[name], plain[name]) for name in plain)
    last = list(inserted(detector.network).values())[-1]
    seen = []
    handle = last.register_forward_hook(lambda module, args, output: seen.append(output))
    inner = detector.body.backbone.trunk(image)
    handle.remove()
    assert inner["3"] is seen[0]
    assert all(torch.equal(twin.features(image)[name], plain[name]) for name in plain)
    remove_(detector.network)
    assert all(torch.equal(detector.features(image)[name], plain[name]) for name in plain)


def test_an_identity_start_changes_nothing():
    image = [torch.rand(3, 64, 64)]
    gated = tiny(attention="das", start="identity").eval()
    found = gated(image)[0]
    remove_(gated.network)
    assert all(torch.equal(found[key], value) for key, value in gated(image)[0].items())


def test_frozen_norms_stay_in_training_and_those_of_gates_learn():
    detector = tiny(attention="cbam", where="stages", batch_norm="frozen")
    keys = tiny(attention="cbam", where="stages").state_dict().keys()
    assert detector.state_dict().keys() == keys
    norms = {
        name: module
        for name, module in detector.network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    }
    gates = [name for name in norms if is_inserted_path(name)]
    assert gates
    before = copy.deepcopy(detector.network.state_dict())
    optimizer = torch.optim.SGD(detector.parameters(), 0.1, weight_decay=0.1)
    for _ in range(2):
        detector.eval().train()
        optimizer.zero_grad()
        given = [target((8, 9, 30, 33, 2))] * 2
        total(detector(list(torch.rand(2, 3, 64, 64)), given)).backward()
        optimizer.step()
    after = detector.network.state_dict()
    for name, module in norms.items():
        assert module.training is (name in gates)
        for key in ("weight", "bias", "running_mean", "running_var"):
            same = torch.equal(before[f"{name}.{key}"], after[f"{name}.{key}"])
            if name not in gates or key.startswith("running"):
                assert same is (name not in gates), (name, key)
    learning = {name for name, one in detector.network.named_parameters() if one.requires_grad}
    assert {f"{name}.weight" for name in norms} & learning == {f"{name}.weight" for name in gates}


def test_frozen_stages_keep_everything_but_their_gates():
    detector = tiny(attention="das", trainable_stages=2, backbone="resnet10t")
    learns = {name: p.requires_grad for name, p in detector.network.named_parameters()}
    for name, one in learns.items():
        is_gate = is_inserted_path(name)
        assert one is (is_gate or name.startswith(("layer3", "layer4"))), name
    assert not detector.network.bn1.training
    assert detector.network.layer3[0].bn1.training


def test_parameters_are_those_that_torchvision_publishes():
    """41,755,286 with 91 classes; its frozen norms have no parameters, ours 2 a channel."""
    with torch.device("meta"):
        detector = create_detector("faster-rcnn", "resnet50", classes=90)
    norms = [one for one in detector.network.modules() if isinstance(one, nn.BatchNorm2d)]
    frozen = sum(2 * norm.num_features for norm in norms)
    assert sum(p.numel() for p in detector.parameters()) == 41_755_286 + frozen
    assert sum(p.numel() for p in detector.parameters() if p.requires_grad) == 41_755_286


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "yolo"}, "a known kind; got 'yolo'"),
        ({"preset": "tiny"}, "a known preset"),
        ({"batch_norm": "sync"}, "a known batch_norm"),
        ({"classes": 0}, "classes >= 1"),
        ({"size": (64, 32)}, "the longest side must be the largest"),
        ({"size": 64}, "size as"),
        ({"detector_options": {"anchors": 3}}, "did you mean 'anchor'"),
        ({"detector_options": {"proposals": 100}}, "proposals as a sequence"),
        ({"detector_options": {"proposals": [100]}}, "proposals as a pair"),
        ({"detector_options": {"nms": 1.5}}, r"nms in \[0, 1\]"),
        ({"detector_options": {"anchor": 0}}, "above 0"),
        ({"detector_options": {"ratios": []}}, "ratios as a sequence"),
        ({"detector_options": {"coarser": "p6"}}, "a known coarser"),
        ({"detector_options": {"levels": 7}}, "stages of 7 resolutions; got 4"),
        ({"kind": "fcos", "detector_options": {"fpn_channels": 48}}, "multiple of 32"),
    ],
)
def test_wrong_arguments_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        tiny(**change)


@pytest.mark.parametrize(
    ("images", "targets", "words"),
    [
        ([], [], "one image or more"),
        ([torch.zeros(3, 8, 8, dtype=torch.uint8)], [NONE], "divide uint8 images by 255"),
        ([torch.zeros(1, 8, 8)], [NONE], r"images \(3, H, W\)"),
        ([torch.zeros(3, 64, 64)], None, "targets of all 1 images in training; got none"),
        ([torch.zeros(3, 64, 64)], [NONE] * 2, "got 2"),
        ([torch.zeros(3, 64, 64)], [target((5, 5, 5, 9, 0))], "x1 < x2"),
        ([torch.zeros(3, 64, 64)], [target((5, 5, float("nan"), 9, 0))], "x1 < x2"),
        ([torch.zeros(3, 64, 64)], [target((5, 5, 8, 9, 3))], "labels in 0..2; got 3"),
        ([torch.zeros(3, 64, 64)], [{**NONE, "boxes": torch.zeros(0, 5)}], r"boxes \(M, 4\)"),
    ],
)
def test_wrong_input_is_named(images, targets, words, plain):
    with pytest.raises(ValueError, match=words):
        plain(images, targets)


@pytest.fixture(scope="module")
def plain() -> Detector:
    return tiny()
