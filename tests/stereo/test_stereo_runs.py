"""Runs of stereo networks: what they leave, that they resume bit for bit, and what they refuse."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from foveate.data import Unreadable
from foveate.data.images import read_image
from foveate.stereo import (
    StereoRun,
    default_stereo_study,
    draw_disparities,
    evaluate_stereo,
    load_stereo_recipe,
    open_stereo,
    parse_stereo_recipe,
    predict,
    run_stereo_study,
    train_stereo,
    write_stereo_scenes,
)
from foveate.stereo.batches import as_batch, cropped, views
from foveate.stereo.data.formats import parse_pfm
from foveate.stereo.module import StereoTrainee
from foveate.surgery import inserted
from foveate.training import Interrupted, load_recipe
from foveate.training.draws import draws_of
from foveate.training.schedule import best_of


def weights_of(run):
    return load_file(run.path / "model.safetensors")


def test_a_run_leaves_its_numbers_and_weights(finished, tiny):
    result = finished.result
    assert result["task"] == "stereo" and result["epochs"] == 2 and result["images"] == 3
    assert result["pixels"] == 3 * 32 * 48 and result["unreadable"] == []
    assert 0 <= result["bad3"] <= result["bad1"] <= 1 and result["d1"] <= result["bad3"]
    rows = finished.metrics
    assert rows[1]["val_epe"] == pytest.approx(result["epe"], rel=1e-6)
    assert rows[1]["val_epe_seen"] == pytest.approx(result["epe_seen"], rel=1e-6)
    assert 0 < result["disparity_spread"] < 8
    assert finished.recipe == tiny
    net = StereoRun(finished.path).load_model()
    assert not net.training and len(inserted(net.network)) == 4
    assert evaluate_stereo(finished.path)["epe"] == pytest.approx(result["epe"], rel=1e-6)


def test_less_error_is_better(tiny):
    assert best_of(tiny.train, [3.0, 1.0, 2.0]) == 1


@pytest.mark.parametrize("stop", [2, 3])
def test_a_run_that_is_stopped_and_resumed_gives_the_same_weights(
    finished, tiny, tmp_path, monkeypatch, stop
):
    """Stopped within the first epoch, and at the beginning of the second."""
    plan = tiny.changed(**{"train.checkpoint_steps": 1})
    real, steps = StereoTrainee.training_step, []

    def step(self, batch, batch_idx):
        steps.append(batch_idx)
        if len(steps) == stop:
            raise KeyboardInterrupt
        return real(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(StereoTrainee, "training_step", step)
        with pytest.raises(Interrupted, match="--resume"):
            train_stereo(plan, tmp_path / "run", progress=False)
    resumed = train_stereo(plan, tmp_path / "run", resume=True, progress=False)
    ours, theirs = weights_of(resumed), weights_of(finished)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    for mine, other in zip(resumed.metrics, finished.metrics, strict=True):
        assert {**mine, "seconds": 0} == {**other, "seconds": 0}


def test_crops_show_the_same_place_in_both_views():
    pair = open_stereo("scenes", "val", size=40, width=60, limit=2, max_disparity=8)[1]
    with draws_of(5):
        cut = cropped(pair, 24, 32, flip=True)
    with draws_of(5):
        again = cropped(pair, 24, 32, flip=True)
    assert torch.equal(cut.left, again.left)
    places = [
        (top, left, over)
        for top in range(17)
        for left in range(29)
        for over in (False, True)
        if all(
            torch.equal(
                getattr(cut, name),
                getattr(pair, name)[..., top : top + 24, left : left + 32].flip(-2)
                if over
                else getattr(pair, name)[..., top : top + 24, left : left + 32],
            )
            for name in ("left", "right", "disparity", "valid", "occluded")
        )
    ]
    assert len(places) == 1
    with draws_of(6):
        assert not torch.equal(cropped(pair, 24, 32).left, cut.left)
    assert isinstance(cropped(pair, 64, 32), Unreadable)


def test_pairs_of_several_sizes_go_in_groups():
    items = [
        (open_stereo("scenes", "val", size=size, width=48, limit=1)[0], True)
        for size in (32, 24, 32)
    ]
    groups = list(views(as_batch(items)))
    assert [numbers for numbers, _ in groups] == [[0, 2], [1]]
    assert groups[0][1].shape == (2, 2, 3, 32, 48) and groups[0][1].max() <= 1


def test_predictions_of_files_and_folders(finished, tmp_path):
    data = write_stereo_scenes(tmp_path / "data", count=1, val=2, size=29, width=50)
    left, right = (data / "val" / side for side in ("left", "right"))
    found = predict(finished.path, left, right, tmp_path / "out", iterations=3)
    assert [path.name for path in found.files] == ["000000.pfm", "000001.pfm"]
    assert all(path.is_file() for path in found.pictures)
    disparity = parse_pfm(found.files[0].read_bytes())
    assert disparity.shape == (29, 50) and np.isfinite(disparity).all()
    again = StereoRun(finished.path).load_model()
    views = [read_image(folder / "000000.png")[None] / 255 for folder in (left, right)]
    with torch.inference_mode():
        assert torch.equal(again(*views, 3)[0], torch.from_numpy(disparity))
    (right / "000001.png").write_bytes(b"")
    one = predict(finished.path, left, right, tmp_path / "two", draw=False)
    assert list(one.unreadable) == ["000001"] and len(one.files) == 1 and not one.pictures
    single = predict(finished.path, left / "000000.png", right / "000000.png", tmp_path / "three")
    assert single.files[0].name == "000000.pfm"
    seen = (left / "000000.png").read_bytes()
    for out in (left, tmp_path / "two" / ".." / "data" / "val" / "left"):
        with pytest.raises(ValueError, match="an OUT without the views"):
            predict(finished.path, left, right, out)
    assert (left / "000000.png").read_bytes() == seen and not list(left.glob("*.pfm"))
    with pytest.raises(ValueError, match="a positive disparity"):
        predict(finished.path, left, right, tmp_path / "four", top=0)
    (left / "000000.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="one file of a name"):
        predict(finished.path, left, right, tmp_path / "four")
    (left / "000000.jpg").unlink()
    assert not (tmp_path / "four").exists()
    (right / "000001.png").unlink()
    with pytest.raises(ValueError, match="one view only of 000001"):
        predict(finished.path, left, right, tmp_path / "four")
    with pytest.raises(ValueError, match="two images or two folders"):
        predict(finished.path, left, right / "000000.png", tmp_path / "four")


def test_a_study_measures_trains_and_draws(tiny, tmp_path):
    quick = {"batch": 2, "repeats": 5, "seconds": 0.1, "warmup": 1}
    plan = tiny.changed(**{"train.epochs": 1, "data.limit_train": 4, "data.limit_val": 2})
    study = default_stereo_study(plan, attentions=["none", "cca"], seeds=1, latency=quick)
    folder = run_stereo_study(study, tmp_path / "study", progress=False)
    costs = folder.costs
    assert costs["cca"]["params"] > costs["none"]["params"]
    assert costs["cca"]["macs"] > costs["none"]["macs"] > 1e6
    assert costs["_conditions"]["size"] == [32, 48]
    (picture,) = draw_disparities(folder, 1)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "cca" in json.loads((folder.path / "pictures.json").read_text())[0]["alt"]
    with pytest.raises(ValueError, match="no wider control"):
        default_stereo_study(plan, control=True)


def test_recipes_of_the_other_tasks_name_their_commands(finished, tmp_path):
    with pytest.raises(ValueError, match="foveate stereo train"):
        load_recipe(finished.config_path)
    other = tmp_path / "one.toml"
    other.write_text('[model]\nname = "resnet18"\n')
    with pytest.raises(ValueError, match="foveate train"):
        load_stereo_recipe(other)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"train": {"mixup": 0.2}}, "trained without mixup"),
        ({"train": {"step_weight": 0.0}}, "step_weight"),
        ({"data": {"size": 8}}, "size"),
        ({"model": {"hed": {}}}, "head"),
    ],
)
def test_a_bad_recipe_says_what_is_wrong(change, text):
    with pytest.raises(ValueError, match=text):
        parse_stereo_recipe(change)
