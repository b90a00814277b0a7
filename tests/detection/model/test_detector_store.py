"""Detectors on disk, and backbones that come from classifiers."""

import json

import pytest
import torch

import foveate

pytest.importorskip("torchvision.models.detection")
from foveate.detection.model import (
    create_detector,
    load_detector,
    save_detector,
    take_backbone_,
)
from foveate.surgery import insert_, inserted, is_inserted_path, remove_

OPTIONS = {"width": 0.25, "size": ([48, 64], 80), "preset": "small", "batch_norm": "train"}


def tiny(attention="das", **options):
    return create_detector(
        "faster-rcnn", "resnet10t", attention, **{"classes": 2, **OPTIONS, **options}
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    detector = tiny(detector_options={"proposals": [20, 10], "anchor": 4.0}, alpha=0.5).eval()
    return detector, save_detector(detector, folder)


def test_what_is_loaded_finds_the_same_boxes(saved):
    detector, folder = saved
    again = load_detector(folder)
    image = [torch.rand(3, 50, 70)]
    for one, other in zip(detector(image), again(image), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert not again.training
    assert again.foveate_detector == detector.foveate_detector
    assert json.loads((folder / "model.json").read_text())["detector"]["sites"]
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]


def test_the_first_format_still_loads(saved, tmp_path):
    detector, folder = saved
    spec = json.loads((folder / "model.json").read_text())["detector"]
    (tmp_path / "model.json").write_text(json.dumps({"format": 1, "detector": spec}))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    again, image = load_detector(tmp_path), [torch.rand(3, 50, 70)]
    for one, other in zip(detector(image), again(image), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_what_was_frozen_is_frozen_again(tmp_path):
    frozen = load_detector(save_detector(tiny(batch_norm="frozen", trainable_stages=2), tmp_path))
    learns = {name: p.requires_grad for name, p in frozen.train().network.named_parameters()}
    assert not learns["conv1.0.weight"] and not learns["layer4.0.bn1.weight"]
    assert learns["layer4.0.conv1.weight"]
    assert not frozen.network.layer4[0].bn1.training


def test_each_loader_names_the_other(saved, tmp_path):
    with pytest.raises(ValueError, match=r"call foveate\.detection\.load_detector"):
        foveate.load(saved[1])
    foveate.save(foveate.create_model("resnet10t", num_classes=2, width=0.25), tmp_path)
    with pytest.raises(ValueError, match=r"a detector in .*; got a model; call foveate.load"):
        load_detector(tmp_path)
    with pytest.raises(ValueError, match="a detector made by create_detector; got Linear"):
        save_detector(torch.nn.Linear(2, 2), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"a folder with model\.json"):
        load_detector(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "yolo"}, "a known kind"),
        ({"colour": "red"}, "known fields in model.json at detector; got 'colour'"),
        ({"pretrained": True}, "known fields in model.json at detector; got 'pretrained'"),
        ({"options": {"pretrained": True}}, "options of an attention"),
        (
            {"size": [[10**5], 10**5], "attention": "das", "options": {"ln_axes": "chw"}},
            "a size of at most 2048 pixels",
        ),
        ({"classes": 3}, "weights that fit"),
        ({"sites": ["layer1"]}, "sites"),
        ({"size": 64}, "size as"),
        ({"kind": ["fcos"]}, "a known kind|builds a network"),
    ],
)
def test_damaged_files_are_one_clear_error(saved, tmp_path, change, words):
    tree = json.loads((saved[1] / "model.json").read_text())
    tree["detector"].update(change)
    (tmp_path / "model.json").write_text(json.dumps(tree))
    (tmp_path / "model.safetensors").write_bytes((saved[1] / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match=words):
        load_detector(tmp_path)


def test_what_was_inserted_and_removed_since_comes_back(tmp_path):
    detector = tiny().eval()
    remove_(detector.network.layer4)
    insert_(detector.network, "se", ["layer2.0.bn2"], example=torch.zeros(1, 3, 64, 64))
    again = load_detector(save_detector(detector, tmp_path))
    assert list(inserted(again)) == list(inserted(detector))
    image = [torch.rand(3, 50, 70)]
    for one, other in zip(detector(image), again(image), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_backbone_comes_from_a_classifier_with_gates_where_both_have_them(tmp_path):
    classifier = foveate.create_model("resnet10t", "das", num_classes=5, width=0.25)
    foveate.save(classifier, tmp_path)
    wanted = classifier.state_dict()
    detector = tiny()
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    assert take_backbone_(detector, tmp_path) == []
    for name, value in detector.network.state_dict().items():
        assert torch.equal(value, wanted[name])
    heads = [name for name in before if not name.startswith("body.backbone.trunk")]
    assert all(torch.equal(before[name], detector.state_dict()[name]) for name in heads)
    # Without gates here, theirs are left; with other gates here, these stay fresh.
    assert take_backbone_(tiny(None), tmp_path) == []
    other = tiny("se")
    fresh = take_backbone_(other, tmp_path)
    gates = [name for name in other.network.state_dict() if is_inserted_path(name)]
    assert fresh == sorted(gates)
    assert torch.equal(other.network.layer4[0].conv1.weight, wanted["layer4.0.conv1.weight"])


def test_a_backbone_of_another_network_is_refused(tmp_path):
    foveate.save(foveate.create_model("resnet10t", num_classes=5, width=0.5), tmp_path)
    with pytest.raises(ValueError, match="weights of the same base network"):
        take_backbone_(tiny(), tmp_path)


def test_a_detector_of_large_images_comes_back(tmp_path):
    """Weights of an attention that are not bound to the map need no run on images of that size."""
    given = {"classes": 2, "preset": "small", "size": (2400, 4000), "width": 0.25}
    detector = create_detector("faster-rcnn", "resnet10t", "das", **given)
    again = load_detector(save_detector(detector, tmp_path))
    assert again.foveate_detector["size"] == [[2400], 4000]
    tree = json.loads((tmp_path / "model.json").read_text())
    tree["detector"]["options"] = {"ln_axes": "chw"}
    (tmp_path / "model.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match="a size of at most 2048 pixels with that attention"):
        load_detector(tmp_path)
