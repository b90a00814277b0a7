"""Segmenters: shapes, heads against other implementations, gradients, storage."""

import copy
import json

import pytest
import torch
from torch.nn.functional import conv2d, group_norm, interpolate, relu
from torchvision.models.segmentation import deeplabv3_resnet50

from foveate.models.dilation import can_dilate, dilation_arguments
from foveate.segmentation import create_segmenter, load_segmenter, save_segmenter
from foveate.segmentation.model.heads import SemanticHead
from foveate.surgery import inserted, is_inserted_path
from support import assert_same

FPN = {"channels": 16, "branch": 16}


def small(head="fpn", attention="das", **options):
    given = {"classes": 5, "width": 0.25, "size": 64, **options}
    if head == "fpn":
        given.setdefault("head_options", FPN)
    else:
        given.setdefault("head_options", {"channels": 16})
    torch.manual_seed(0)
    return create_segmenter(head, given.pop("backbone", "resnet10t"), attention, **given).eval()


@pytest.mark.parametrize("head", ["fpn", "deeplabv3"])
@pytest.mark.parametrize("size", [(64, 64), (33, 70), (1, 40)])
def test_logits_are_of_the_size_of_the_image(head, size):
    model = small(head)
    images = torch.rand(2, 3, *size)
    out = model(images)
    assert out.shape == (2, 5, *size) and out.isfinite().all()
    assert_same(model(images[1:]), out[1:], "alone")


@pytest.mark.parametrize(
    ("backbone", "stride"),
    [
        ("resnet18", 16),
        ("torchvision/mobilenet_v2", 32),
        pytest.param("efficientnet_b0", 16, marks=pytest.mark.slow),
    ],
)
def test_deeplab_dilates_what_it_can(backbone, stride):
    width = 0.25 if "resnet" in backbone else 1.0
    model = small("deeplabv3", "none", backbone=backbone, width=width)
    assert (
        model.output_stride
        == stride
        == 64 // model.features(torch.rand(1, 3, 64, 64))["0"].shape[2]
    )
    if stride == 32:
        with pytest.raises(ValueError, match="that can be dilated"):
            small("deeplabv3", "none", backbone=backbone, width=width, output_stride=16)


def test_dilation_is_asked_of_each_family_in_its_own_words():
    assert dilation_arguments("resnet18", 32) == {}
    assert dilation_arguments("resnet18", 8) == {"output_stride": 8}
    found = dilation_arguments("torchvision/resnet50", 8)
    assert found == {"replace_stride_with_dilation": [False, True, True]}
    assert not can_dilate("torchvision/resnet18", 16) and not can_dilate("torchvision/vgg11", 8)
    with pytest.raises(ValueError, match="output_stride"):
        dilation_arguments("resnet18", 4)


def test_deeplab_is_torchvisions_with_its_weights():
    torch.manual_seed(0)
    ours = create_segmenter(
        "deeplabv3",
        "torchvision/resnet50",
        classes=4,
        output_stride=8,
        mean=(0, 0, 0),
        std=(1, 1, 1),
    ).eval()
    for module in ours.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.05)
    with torch.device("meta"):
        theirs = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=4).eval()
    parts = {"backbone.": ours.network, "classifier.": ours.head.layers}
    state = {f"{p}{name}": v for p, one in parts.items() for name, v in one.state_dict().items()}
    theirs.load_state_dict(state, assign=True)
    images = torch.rand(1, 3, 72, 56)
    with torch.no_grad():
        assert_same(ours(images), theirs(images)["out"], "logits")


def test_the_semantic_branch_is_its_formula():
    torch.manual_seed(0)
    head = SemanticHead((4, 8, 32), 6, 3, 8).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    maps = [torch.randn(2, 6, side, side, dtype=torch.float64) for side in (16, 8, 2)]
    summed = 0
    for level, (one, steps) in enumerate(zip(maps, (0, 1, 3), strict=True)):
        for step in range(max(1, steps)):
            conv, norm, _ = head.branches[level][step]
            one = relu(group_norm(conv2d(one, conv.weight, padding=1), 8, norm.weight, norm.bias))
            if steps:
                one = interpolate(one, scale_factor=2, mode="bilinear", align_corners=False)
        summed = summed + one
    want = conv2d(summed, head.predictor.weight, head.predictor.bias)
    assert_same(head(dict(zip("012", maps, strict=True))), want, "scores")


@pytest.mark.parametrize("head", ["fpn", "deeplabv3"])
@pytest.mark.parametrize("attention", ["das", "cca", "dra"])
def test_gradients_reach_every_weight_and_the_gate(head, attention):
    model = small(head, attention).train()
    model(torch.rand(2, 3, 64, 64)).square().sum().backward()
    lacking = [name for name, one in model.named_parameters() if one.grad is None]
    assert lacking == []
    gates = [one for name, one in model.named_parameters() if is_inserted_path(name)]
    assert gates and any(one.grad.abs().sum() > 0 for one in gates)


def test_the_gates_are_at_their_own_sites():
    assert len(inserted(small("fpn", "das").network)) == 4
    assert len(inserted(small("fpn", "cca").network)) == 1
    model = small("deeplabv3", "cca", output_stride=8)
    assert model.stages == ["layer4.0"] and list(inserted(model.network)) == ["layer4"]


def test_a_gate_changes_what_is_found():
    model = small("deeplabv3", "das")
    twin = copy.deepcopy(model)
    images = torch.rand(1, 3, 64, 64)
    for name, one in twin.network.named_parameters():
        if is_inserted_path(name):
            one.data.mul_(1.5)
    assert not torch.allclose(model(images), twin(images), rtol=1e-3, atol=1e-4)


def test_normalization_is_part_of_the_network():
    plain = small("fpn", "none", mean=(0, 0, 0), std=(1, 1, 1))
    ours = small("fpn", "none", mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    ours.load_state_dict(plain.state_dict())
    images = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))
    assert_same(ours(images), plain((images - mean) / std), "logits")


@pytest.mark.parametrize("head", ["fpn", "deeplabv3"])
def test_a_saved_segmenter_is_rebuilt_with_equal_outputs(head, tmp_path):
    model = small(head, "das", alpha=0.2)
    save_segmenter(model, tmp_path)
    loaded = load_segmenter(tmp_path)
    images = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        assert torch.equal(loaded(images), model(images))
    assert loaded.output_stride == model.output_stride


def test_what_is_no_segmenter_is_neither_saved_nor_loaded(tmp_path):
    with pytest.raises(ValueError, match="what create_segmenter makes"):
        save_segmenter(torch.nn.Linear(2, 2), tmp_path)
    save_segmenter(small("fpn", "se"), tmp_path)
    spec = json.loads((tmp_path / "model.json").read_text())
    spec["segmenter"]["sites"] = ["layer1"]
    (tmp_path / "model.json").write_text(json.dumps(spec))
    with pytest.raises(ValueError, match="sites"):
        load_segmenter(tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"head": "unet"}, "head"),
        ({"classes": 1}, "classes"),
        ({"classes": 256}, "at most 255"),
        ({"head_options": {"channels2": 3}}, "did you mean 'channels'"),
        ({"head_options": {"channels": 0}}, "channels"),
        ({"head": "deeplabv3", "head_options": {"rates": [1, 2]}}, "three rates"),
        ({"output_stride": 8}, "stages of 4 resolutions"),
    ],
)
def test_bad_arguments_are_named(change, text):
    with pytest.raises(ValueError, match=text):
        small(**{"attention": "none", **change})


def test_images_of_other_types_are_refused():
    with pytest.raises(ValueError, match="divide uint8"):
        small()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
