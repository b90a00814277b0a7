"""What the words of a command stand for: runs, studies, saved networks, published names."""

import pytest
import torch

import foveate
from foveate.explain import Subject, open_subjects
from foveate.explain.subjects import open_images_for, told_apart, truth_of
from foveate.training import DataSection, RunFolder
from made_runs import SIZE, make_run, make_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("subjects")
    make_run(path / "one", "das")
    make_study(path / "study")
    foveate.save(foveate.create_model("resnet10t", num_classes=5), path / "saved")
    return path


def test_a_run_brings_its_weights_classes_and_way_with_images(folder):
    (one,) = open_subjects(folder / "one", device="cpu")
    assert one.name == "one" and one.seed is None and not one.model.training
    assert one.data.size == SIZE and len(one.classes) == 8
    assert one.about["attention"] == "das" and one.about["top1"] == 0.125
    image = torch.randint(0, 256, (3, 50, 40), dtype=torch.uint8)
    want = RunFolder(folder / "one").prepare(image)
    torch.testing.assert_close(one.ready(one.shown(image)[None])[0], want)


def test_a_study_brings_all_its_finished_runs(folder):
    found = open_subjects(folder / "study", device="cpu")
    assert [(one.label, one.seed) for one in found] == [
        ("none", 0), ("none", 1), ("das", 0), ("das", 1)
    ]  # fmt: skip
    assert found[3].name == "das (seed 1)"


def test_a_saved_network_is_shown_images_as_for_imagenet(folder):
    (one,) = open_subjects(folder / "saved", device="cpu")
    assert one.classes is None and one.class_name(3) == "class 3"
    assert one.data.size in (176, 224) and one.data.augment == "imagenet"
    assert open_subjects(folder / "saved", size=64, device="cpu")[0].data.size == 64


def test_a_mask_is_cut_like_its_image():
    one = Subject("x", torch.nn.Identity(), DataSection(size=16, augment="imagenet"))
    mask = torch.zeros(40, 60, dtype=torch.bool)
    mask[10:30, 20:40] = True
    image = (mask.to(torch.uint8) * 255).expand(3, -1, -1)
    assert torch.equal(one.fit_mask(mask), one.shown(image)[0] >= 128)
    assert one.fit_mask(mask).shape == (16, 16) and one.fit_mask(mask).any()
    assert not one.fit_mask(~mask).all()


def test_labels_are_matched_by_name(folder):
    (one,) = open_subjects(folder / "one", device="cpu")
    dataset, source = open_images_for(one, None)
    assert source == "scenes" and len(dataset) == 16
    assert [truth_of(one, dataset, label) for label in (0, 5, -1)] == [0, 5, None]
    turned = Subject("y", one.model, one.data, tuple(reversed(one.classes)))
    assert truth_of(turned, dataset, 0) == 7


def test_the_images_of_a_run_keep_its_options(folder):
    (one,) = open_subjects(folder / "one", device="cpu")
    assert len(open_images_for(one, "scenes", limit=3)[0]) == 3
    both = Subject("z", one.model, DataSection(size=SIZE, options={"cue": "match"}), one.classes)
    assert open_images_for(both, "scenes", limit=3)[0].options.relation == "match"
    with pytest.raises(ValueError, match="name a folder of images"):
        open_images_for(Subject("w", one.model, one.data), None)


@pytest.mark.parametrize(
    ("word", "error", "says"),
    [
        ("resnet10x", ValueError, "a run folder, a study.*resnet10"),
        ("empty", ValueError, "a run, a study or a folder"),
        ("unfinished", FileNotFoundError, "finished run"),
        ("unstudied", FileNotFoundError, "a study with finished runs"),
    ],
)
def test_what_is_nothing_is_said(folder, tmp_path, word, error, says):
    (tmp_path / "empty").mkdir()
    make_run(tmp_path / "unfinished", "none")
    (tmp_path / "unfinished" / "model.safetensors").unlink()
    make_study(tmp_path / "unstudied", seeds=(0,))
    for result in (tmp_path / "unstudied").glob("runs/*/result.json"):
        result.unlink()
    with pytest.raises(error, match=says):
        open_subjects(tmp_path / word if (tmp_path / word).exists() else word, device="cpu")


def test_weights_that_cannot_be_had_are_one_clear_error():
    with pytest.raises(OSError, match=r"the published weights of resnet18.*without a network"):
        open_subjects("resnet18", device="cpu")


def test_a_run_has_its_own_size(folder):
    with pytest.raises(ValueError, match="no size for a run"):
        open_subjects(folder / "one", size=48, device="cpu")
    assert open_subjects(folder / "one", size=SIZE, device="cpu")


def test_no_network_is_compared_with_itself(folder):
    one = open_subjects(folder / "one", device="cpu")
    with pytest.raises(ValueError, match="networks of different names; got 'one'"):
        told_apart([one, one])
    study = open_subjects(folder / "study", device="cpu")
    assert len(told_apart([one, study])) == 5
    # A run that is called as a network of the study would count as one more of its seeds.
    lonely = [Subject("das", one[0].model, one[0].data)]
    with pytest.raises(ValueError, match="rename its folder"):
        told_apart([study, lonely])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_are_of_the_kind_of_the_weights(dtype):
    one = Subject("x", torch.nn.Conv2d(3, 2, 3).to(dtype), DataSection(size=8))
    assert one.blank().dtype == dtype and one.model(one.blank()).dtype == dtype
    assert Subject("y", torch.nn.Identity(), DataSection(size=8)).blank().dtype == torch.float32


@pytest.mark.parametrize("device", ["cuda:99", "nowhere", "cpu:x"])
def test_a_device_that_is_not_there_is_said(folder, device):
    with pytest.raises(ValueError, match=rf"--device expects a device .* got {device} \("):
        open_subjects(folder / "one", device=device)
