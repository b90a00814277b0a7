"""Runs of detectors: what they leave, that they resume bit for bit, and what they refuse."""

import csv
import json
import shutil
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file

import foveate
from foveate.detection import (
    DetectionRun,
    evaluate_detector,
    load_detection_recipe,
    parse_detection_recipe,
    train_detector,
)
from foveate.detection.batches import BoxData, as_batch, mirrored, open_boxes
from foveate.detection.data import open_detection
from foveate.detection.module import DetectorTrainee
from foveate.detection.starting import build_detector, warm_phases
from foveate.surgery import inserted, is_inserted_path
from foveate.training import Interrupted, load_recipe, train


def weights_of(run):
    return load_file(run.path / "model.safetensors")


def test_a_run_leaves_its_numbers_weights_and_detections(finished, tiny):
    result = finished.result
    assert result["task"] == "detection" and result["epochs"] == 2 and result["images"] == 6
    assert 0 <= result["ap"] <= result["ap50"] <= 1 and result["objects"] == 6
    assert [one["name"] for one in result["per_class"]] == result["classes"]
    assert result["problems"] == {"train": {}, "val": {}} and result["unreadable"] == []
    detections = json.loads(finished.detections_path.read_text())
    assert len(detections) == result["detections"] and {d["image_id"] for d in detections} <= set(
        range(1, 7)
    )
    with finished.metrics_path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    parts = [name for name in rows[0] if name.startswith("loss_")]
    assert len(parts) == 4
    for row in rows:
        assert float(row["train_loss"]) == pytest.approx(sum(float(row[p]) for p in parts))
    assert float(rows[1]["lr"]) == pytest.approx(0.002)
    assert float(rows[1]["val_ap"]) == result["ap"]
    assert finished.recipe == tiny


def test_the_run_loads_in_one_line_and_scores_as_it_said(finished):
    model = DetectionRun(finished.path).load_model()
    assert not model.training and len(inserted(model.network)) == 4
    result, detections = evaluate_detector(finished.path)
    assert result["ap"] == finished.result["ap"]
    assert detections == json.loads(finished.detections_path.read_text())


def test_images_of_other_classes_are_refused(finished, tmp_path):
    run = DetectionRun(shutil.copytree(finished.path, tmp_path / "run"))
    run.write_result({**run.result, "classes": ["cat", "dog"]})
    with pytest.raises(ValueError, match="the classes"):
        evaluate_detector(run)


@pytest.mark.parametrize("stop", [2, 3])
def test_a_run_that_is_stopped_and_resumed_gives_the_same_weights(
    finished, tiny, tmp_path, monkeypatch, stop
):
    """Stopped within the first epoch, and at the beginning of the second."""
    plan = tiny.changed(**{"train.checkpoint_steps": 1})
    real, steps = DetectorTrainee.training_step, []

    def step(self, batch, batch_idx):
        steps.append(batch_idx)
        if len(steps) == stop:
            raise KeyboardInterrupt
        return real(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(DetectorTrainee, "training_step", step)
        with pytest.raises(Interrupted, match="--resume"):
            train_detector(plan, tmp_path / "run", progress=False)
    resumed = train_detector(plan, tmp_path / "run", resume=True, progress=False)
    ours, theirs = weights_of(resumed), weights_of(finished)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    drop = ("seconds",)
    for mine, other in zip(resumed.metrics, finished.metrics, strict=True):
        assert {k: v for k, v in mine.items() if k not in drop} == {
            k: v for k, v in other.items() if k not in drop
        }


def test_warm_start_trains_the_backbone_then_all_then_the_schedule(tiny, tmp_path, monkeypatch):
    plan = tiny.changed(
        **{"train.warm_start": "backbone_then_all", "train.epochs": 3, "train.milestones": [5]}
    )
    seen = []
    real = DetectorTrainee.on_train_epoch_end

    def note(self):
        real(self)
        seen.append({name: value.clone() for name, value in self.network.state_dict().items()})

    monkeypatch.setattr(DetectorTrainee, "on_train_epoch_end", note)
    train_detector(plan, tmp_path / "run", progress=False)
    detector = build_detector(plan.model, plan.data, 4)
    body = next(n for n, one in detector.named_modules() if one is detector.network) + "."
    moved = [
        {name for name in seen[0] if not torch.equal(before[name], after[name])}
        for before, after in pairwise(seen)
    ]
    heads = {name for name in seen[0] if not name.startswith(body) and name.endswith("weight")}
    assert heads & moved[0], "in the second phase the heads learn"
    # Before the first phase the heads were as they are after it: the seed says what they were.
    torch.manual_seed(0)
    assert plan.train.lead_in == 2
    phases = warm_phases(detector, plan)
    phases._enter(0)
    learning = {name for name, one in detector.named_parameters() if one.requires_grad}
    assert learning and all(name.startswith(body) for name in learning)
    assert any(is_inserted_path(name) for name in learning)


def test_the_baseline_may_learn_before_its_gates(tiny):
    plan = tiny.changed(**{"train.warm_start": "baseline_then_all", "train.epochs": 4})
    detector = build_detector(plan.model, plan.data, 4)
    phases = warm_phases(detector, plan)
    phases._enter(0)
    frozen = {name for name, one in detector.named_parameters() if not one.requires_grad}
    assert frozen and all(is_inserted_path(name) for name in frozen)
    phases._enter(2)
    assert all(one.requires_grad for one in detector.parameters())


def test_recipes_of_the_other_task_name_their_commands(finished, tiny, tmp_path):
    with pytest.raises(ValueError, match="foveate detect train"):
        load_recipe(finished.config_path)
    other = tmp_path / "one.toml"
    other.write_text('[model]\nname = "resnet18"\n')
    with pytest.raises(ValueError, match="foveate train"):
        load_detection_recipe(other)
    with pytest.raises(ValueError, match="load_detector"):
        foveate.load(finished.path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"train": {"mixup": 0.2}}, "trained without mixup"),
        ({"train": {"warm_start": "backbone_then_all", "epochs": 2}}, "must leave some"),
        ({"train": {"warm_start": "baseline_then_all"}}, "needs a model.attention"),
        ({"train": {"gates_first": 1, "warm_start": "backbone_then_all"}}, "exclude each other"),
        ({"data": {"max_size": 100}}, "below a shorter side"),
        ({"data": {"multi_scale": [16]}}, "32 pixels"),
        ({"model": {"detektor": "fcos"}}, "detector"),
    ],
)
def test_a_bad_recipe_says_what_is_wrong(change, text):
    with pytest.raises(ValueError, match=text):
        parse_detection_recipe({"task": "detection", **change})


def test_mirrored_boxes_lie_where_the_objects_are():
    sample = open_detection("scenes", "val", size=48, limit=4, classes=4, cue="none")[1]
    twin = mirrored(sample)
    x1, y1, x2, y2 = (int(edge) for edge in sample.boxes[0])
    a, b, c, d = (int(edge) for edge in twin.boxes[0])
    assert torch.equal(twin.image[:, b:d, a:c], sample.image[:, y1:y2, x1:x2].flip(2))
    assert torch.equal(mirrored(twin).boxes, sample.boxes)


def test_batches_depend_on_the_seed_and_the_epoch_alone(tiny):
    data = BoxData(tiny)
    learnt = data.learnt()
    one, two = (as_batch([learnt[1, place, True] for place in range(4)]) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one["images"], two["images"], strict=True))
    flips = [
        not torch.equal(learnt[epoch, 0, True][0].image, data.train_set[0].image)
        for epoch in range(12)
    ]
    assert 0 < sum(flips) < 12


def test_train_and_val_must_have_the_same_classes(tiny, monkeypatch):
    from foveate.detection import batches

    real = batches.open_detection

    def differ(source, split, **kwargs):
        found = real(source, split, **kwargs)
        if split == "val":
            found.classes = found.classes[:-1]
        return found

    monkeypatch.setattr(batches, "open_detection", differ)
    with pytest.raises(ValueError, match="the same classes in train and val"):
        open_boxes(tiny.data)


def test_a_classifier_gives_its_backbone(tiny, tmp_path):
    recipe = load_recipe("recipes/scenes-smoke.toml").changed(
        **{
            "data.limit_train": 8,
            "data.limit_val": 4,
            "data.size": 48,
            "model.name": "resnet10t",
            "model.attention": "das",
            "model.width": 0.25,
            "model.stem": "imagenet",
            "train.epochs": 1,
            "train.batch_size": 4,
            "train.tensorboard": False,
        }
    )
    base = train(recipe, tmp_path / "base", progress=False)
    model = tiny.changed(**{"model.weights": str(base.path)}).model
    detector, given = build_detector(model, tiny.data, 4), weights_of(base)
    held = detector.network.state_dict()
    assert any(is_inserted_path(name) for name in held)
    assert all(torch.equal(held[name], given[name]) for name in held)
    with pytest.raises(ValueError, match="same base network"):
        build_detector(model.model_copy(update={"width": 0.5}), tiny.data, 4)
