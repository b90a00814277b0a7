"""Runs of segmenters: what they leave, that they resume bit for bit, and what they refuse."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import foveate
from foveate.models.backbone import take_network_
from foveate.report import write_report
from foveate.report.kept import keep
from foveate.report.pages import markdown_page
from foveate.segmentation import (
    SegmentationRun,
    SegmentationStudy,
    default_segmentation_study,
    draw_maps,
    evaluate_segmenter,
    load_segmentation_recipe,
    open_segmentation,
    parse_segmentation_recipe,
    predict_maps,
    run_segmentation_study,
    train_segmenter,
)
from foveate.segmentation.batches import MapData, as_batch, changes_of, scaled_crop
from foveate.segmentation.data import IGNORED, MapSample, read_mask
from foveate.segmentation.model import create_segmenter
from foveate.segmentation.module import SegmenterTrainee, pixel_loss, scored
from foveate.segmentation.tallies import MapTallies
from foveate.surgery import inserted, is_inserted_path
from foveate.training import Interrupted, load_recipe


def weights_of(run):
    return load_file(run.path / "model.safetensors")


def test_a_run_leaves_its_numbers_and_weights(finished, tiny):
    result, last = finished.result, finished.metrics[-1]
    assert result["task"] == "segmentation" and result["images"] == 6
    assert result["miou"] == last["val_miou"] and result["loss"] == last["val_loss"]
    assert result["pixel_accuracy"] == last["val_pixel_accuracy"]
    matrix = torch.tensor(result["confusion"])
    assert matrix.shape == (5, 5) and int(matrix.sum()) == result["pixels"] == 6 * 48 * 48
    assert int(matrix.diag().sum()) == round(result["pixel_accuracy"] * 6 * 48 * 48)
    assert result["output_stride"] == 32 and finished.recipe == tiny


def test_the_run_loads_in_one_line_and_scores_as_it_said(finished):
    model = SegmentationRun(finished.path).load_model()
    assert not model.training and len(inserted(model.network)) == 4
    again = evaluate_segmenter(finished.path, batch_size=3)
    for key in ("miou", "pixel_accuracy", "confusion", "per_class", "absent"):
        assert again[key] == finished.result[key]


@pytest.mark.parametrize("stop", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_run_that_is_stopped_and_resumed_gives_the_same_weights(
    finished, tiny, tmp_path, monkeypatch, stop
):
    """Stopped within the first epoch, and at the beginning of the second."""
    plan = tiny.changed(**{"train.checkpoint_steps": 1})
    real, steps = SegmenterTrainee.training_step, []

    def step(self, batch, batch_idx):
        steps.append(batch_idx)
        if len(steps) == stop:
            raise KeyboardInterrupt
        return real(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(SegmenterTrainee, "training_step", step)
        with pytest.raises(Interrupted, match="--resume"):
            train_segmenter(plan, tmp_path / "run", progress=False)
    resumed = train_segmenter(plan, tmp_path / "run", resume=True, progress=False)
    ours, theirs = weights_of(resumed), weights_of(finished)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    for mine, other in zip(resumed.metrics, finished.metrics, strict=True):
        assert {**mine, "seconds": 0} == {**other, "seconds": 0}


def test_shares_of_processes_add_up_to_the_whole(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    found, truth = (torch.randint(3, (4, 5, 6), generator=generator) for _ in range(2))
    truth[0, :2] = IGNORED
    whole, halves = MapTallies("abc"), [MapTallies("abc"), MapTallies("abc")]
    whole.validated(found, truth, torch.tensor(8.0))
    for half, part in zip(halves, (slice(0, 1), slice(1, 4)), strict=True):
        half.validated(found[part], truth[part], torch.tensor(4.0))
    other = (halves[1]._seen, halves[1]._pixels, halves[1]._costs, halves[1]._matrix)
    monkeypatch.setattr("foveate.segmentation.tallies.gathered", lambda own: [own, other])
    want = (4, {"val_loss": 8 / 108, **_scores_of(found, truth)})
    assert halves[0].of_validation() == want
    monkeypatch.setattr("foveate.segmentation.tallies.gathered", lambda own: [own])
    assert whole.of_validation() == want


def _scores_of(found, truth):
    judged = truth != IGNORED
    ious = [
        int(((found == k) & (truth == k) & judged).sum())
        / int((((found == k) | (truth == k)) & judged).sum())
        for k in range(3)
    ]
    right = int((found == truth)[judged].sum()) / int(judged.sum())
    return {"val_miou": pytest.approx(sum(ious) / 3), "val_pixel_accuracy": pytest.approx(right)}


def test_ignored_pixels_and_class_weights_decide_the_loss_by_hand():
    logits = torch.tensor([[[[2.0, 0.0, 9.0]], [[0.0, 1.0, 0.0]]]])
    truth = torch.tensor([[[0, 0, IGNORED]]])
    first = torch.log1p(torch.tensor(-2.0).exp())
    second = torch.log1p(torch.tensor(1.0).exp())
    assert torch.allclose(pixel_loss(logits, truth), (first + second) / 2)
    both = torch.tensor([[[0, 1, IGNORED]]])
    right = torch.log1p(torch.tensor(-1.0).exp())
    weighed = pixel_loss(logits, both, torch.tensor([3.0, 1.0]))
    assert torch.allclose(weighed, (3 * first + right) / 4)
    logits.requires_grad_()
    for judged, weights in (
        (torch.full_like(truth, IGNORED), None),
        (truth, torch.tensor([0.0, 1.0])),  # Only pixels of a class that weighs nothing.
    ):
        nothing = pixel_loss(logits, judged, weights)
        nothing.backward()
        assert nothing == 0 and not logits.grad.any()


def test_an_image_that_is_left_alone_does_not_end_a_run(tiny, tmp_path):
    """Batch norms over one pixel need two images."""
    pixels = np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3), np.uint8)
    for part in ("images", "masks"):
        (tmp_path / "data" / part / "train").mkdir(parents=True)
    for number, image in enumerate(pixels):
        place = tmp_path / "data" / "images" / "train" / f"{number}.png"
        Image.fromarray(image).save(place)
        Image.fromarray(image[..., 0] % 2).save(tmp_path / "data" / "masks" / "train" / place.name)
        if number % 2:
            place.write_bytes(b"broken")
    for part in ("images", "masks"):
        shutil.copytree(tmp_path / "data" / part / "train", tmp_path / "data" / part / "val")
    plan = tiny.changed(
        **{"data.source": str(tmp_path / "data"), "data.options": {}, "data.limit_train": None},
        **{"model.head": "deeplabv3", "model.head_options": {"channels": 16}},
        **{"train.batch_size": 2, "train.epochs": 1},
    )
    with pytest.warns(UserWarning, match="6 unreadable images"):
        run = train_segmenter(plan, tmp_path / "run", progress=False)
    assert len(run.result["unreadable"]) == 6


def test_a_run_without_its_result_is_not_finished(finished, tmp_path):
    """Weights are written before the last evaluation."""
    folder = tmp_path / "run"
    shutil.copytree(finished.path, folder)
    (folder / "result.json").unlink()
    with pytest.raises(FileNotFoundError, match="a finished run"):
        predict_maps(folder, ["scenes"], tmp_path / "out", limit=1)


def test_what_was_predicted_before_an_interruption_is_kept(finished, tmp_path):
    def stop(done, _):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_maps(finished, ["scenes"], tmp_path, limit=2, batch_size=1, tell=stop)
    assert len(json.loads((tmp_path / "predictions.json").read_text())["images"]) == 1


def test_image_and_map_move_together():
    """Where the image is white the map is 1, whatever is drawn."""
    image = torch.zeros(3, 40, 56, dtype=torch.uint8)
    image[:, 8:30, 10:40] = 255
    sample = MapSample(image, (image[0] > 0).to(torch.uint8), 0, "a")
    seen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        cut = scaled_crop(sample, 32, (0.5, 2.0), (10, 20, 30))
        assert cut.image.shape == (3, 32, 32) and cut.classes.shape == (32, 32)
        inside = cut.classes != IGNORED
        white = cut.image[0] > 127
        wrong = (white != (cut.classes == 1)) & inside
        assert wrong.float().mean() < 0.05
        outside = cut.image[:, ~inside]
        assert (outside == torch.tensor([[10], [20], [30]])).all()
        seen.add((int(inside.sum()), int(white.sum())))
    assert len(seen) > 8


def test_whole_images_are_fitted_and_the_rest_is_ignored(tiny):
    image = torch.full((3, 20, 40), 200, dtype=torch.uint8)
    sample = MapSample(image, torch.ones(20, 40, dtype=torch.uint8), 0, "a")
    data = tiny.changed(**{"data.augment": "none", "data.mean": (0.2, 0.4, 0.6)}).data
    shown = changes_of(data)(sample)
    assert shown.image.shape == (3, 48, 48) and (shown.classes[:24] == 1).all()
    assert (shown.classes[24:] == IGNORED).all() and (shown.image[:, :24] == 200).all()
    assert shown.image[:, 30, 30].tolist() == [51, 102, 153]


@pytest.mark.filterwarnings("ignore:. unreadable images are left out")
def test_a_folder_of_masks_is_trained_on_and_what_is_broken_is_named(tiny, tmp_path):
    home = tmp_path / "data"
    for split, count in (("train", 4), ("val", 3)):
        for turn in range(count):
            mask = np.zeros(((40, 56), (56, 40))[turn % 2], np.uint8)
            mask[8:24, 4:30] = 1
            for kind, made in (("images", np.stack([mask * 200] * 3, 2)), ("masks", mask)):
                path = home / kind / split / f"{turn}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(made).save(path)
    (home / "images/train/1.png").write_bytes(b"no image")
    (home / "masks/val/2.png").write_bytes(b"")
    changes = {"data.source": str(home), "data.options": {}, "train.epochs": 1}
    plan = tiny.changed(**changes, **{"model.attention": "none", "train.batch_size": 2})
    result = train_segmenter(plan, tmp_path / "run", progress=False).result
    lost = {one["name"]: one["reason"] for one in result["unreadable"]}
    assert set(lost) == {str(home / "images/train/1.png"), str(home / "masks/val/2.png")}
    assert result["images"] == 2 and result["pixels"] == 2 * 40 * 56
    assert result["classes"] == ["background", "1"]


def test_batches_depend_on_the_seed_and_the_epoch_alone(tiny):
    learnt = MapData(tiny).learnt()
    one, two = (as_batch([learnt[1, place, True] for place in range(4)]) for _ in range(2))
    for name in ("images", "maps"):
        assert all(torch.equal(a, b) for a, b in zip(one[name], two[name], strict=True))
    other = as_batch([learnt[2, place, True] for place in range(4)])
    assert not all(torch.equal(a, b) for a, b in zip(one["maps"], other["maps"], strict=True))


def test_images_of_several_sizes_are_scored_in_their_own_pixels():
    def network(images):
        return torch.stack([images[:, 0], 1 - images[:, 0]], dim=1)

    images = [torch.randint(256, (3, 8, side), dtype=torch.uint8) for side in (6, 9, 6)]
    found = {}
    for places, logits in scored(network, images, 8):
        found.update(zip(places, logits, strict=True))
    assert torch.equal(found[2][0], images[2][0] / 255) and found[1].shape == (2, 8, 9)
    assert torch.allclose(found[1].sum(dim=0), torch.ones(8, 9))


def test_masks_of_predictions_are_class_numbers(finished, tmp_path):
    found = predict_maps(finished, ["scenes"], tmp_path, limit=2, batch_size=2)
    assert len(found.images) == 2
    for entry in found.images:
        mask = read_mask(tmp_path / entry["mask"])
        assert sum(entry["shares"].values()) == pytest.approx(1)
        share = (mask == 0).float().mean().item()
        assert entry["shares"].get("background", 0) == pytest.approx(share)
        assert (tmp_path / entry["picture"]).read_bytes().startswith(b"\x89PNG")
    tree = json.loads(found.file.read_text())
    assert tree["images"] == found.images and tree["classes"][0] == "background"


def test_recipes_of_other_tasks_name_their_commands(finished, tmp_path):
    with pytest.raises(ValueError, match="foveate segment train"):
        load_recipe(finished.config_path)
    other = tmp_path / "one.toml"
    other.write_text('[model]\nname = "resnet18"\n')
    with pytest.raises(ValueError, match="foveate train"):
        load_segmentation_recipe(other)
    with pytest.raises(ValueError, match="load_segmenter"):
        foveate.load(finished.path)


def test_images_of_other_classes_are_refused(finished, tmp_path):
    run = SegmentationRun(shutil.copytree(finished.path, tmp_path / "run"))
    run.write_result({**run.result, "classes": ["cat", "dog"]})
    with pytest.raises(ValueError, match="the classes"):
        evaluate_segmenter(run)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"train": {"mixup": 0.2}}, "trained without mixup"),
        ({"train": {"class_weights": [0.0, 0.0]}}, "not all of them 0"),
        ({"data": {"scales": [2.0, 1.0]}}, "rising factors"),
        ({"data": {"size": 64, "max_size": 32}}, "below size"),
        ({"model": {"heat": "fpn"}}, "head"),
    ],
)
def test_a_bad_recipe_says_what_is_wrong(change, text):
    with pytest.raises(ValueError, match=text):
        parse_segmentation_recipe(change)


def test_class_weights_must_be_as_many_as_classes(tiny, tmp_path):
    plan = tiny.changed(**{"train.class_weights": [1.0, 2.0]})
    with pytest.raises(ValueError, match="a weight for each of 5 classes"):
        train_segmenter(plan, tmp_path / "run", progress=False)


def test_a_classifier_gives_its_backbone(tmp_path):
    classifier = foveate.create_model("resnet10t", "das", width=0.25, num_classes=3)
    foveate.save(classifier, tmp_path)
    model = create_segmenter("deeplabv3", "resnet10t", "das", classes=2, width=0.25, size=64)
    assert take_network_(model.network, tmp_path) == []
    held, given = model.network.state_dict(), classifier.state_dict()
    assert any(is_inserted_path(name) for name in held)
    assert all(torch.equal(held[name], given[name]) for name in held)


def test_a_study_has_no_wider_control_and_keeps_no_checkpoints(tiny):
    with pytest.raises(ValueError, match="no wider control"):
        SegmentationStudy(attentions=["none", "se"], control=True)
    study = default_segmentation_study(tiny, attentions=["none", "cca"], seeds=2)
    assert study.labels == ["none", "cca"] and not study.recipe.train.keep_checkpoints


def test_a_study_compares_draws_and_reports(tiny, tmp_path):
    plan = tiny.changed(**{"train.epochs": 1, "model.attention": "none"})
    quick = {"batch": 2, "repeats": 5, "seconds": 0.1, "warmup": 1}
    study = default_segmentation_study(plan, attentions=["none", "cca"], seeds=2, latency=quick)
    folder = run_segmentation_study(study, tmp_path / "study", progress=False)
    assert folder.is_finished and folder.run("cca", 1).recipe.model.attention == "cca"
    costs = folder.costs
    assert costs["cca"]["params"] > costs["none"]["params"]
    assert costs["cca"]["macs"] > costs["none"]["macs"] > 0 and costs["cca"]["step_ms"] > 0
    (picture,) = draw_maps(folder, 1)
    told = json.loads((folder.path / "pictures.json").read_text())
    assert picture.is_file() and "right: none" in told[0]["alt"] and "cca" in told[0]["alt"]
    page = write_report(folder.path).read_text()
    for text in ("Intersection over union", "What the segmenters find", "IoU % of each class"):
        assert text in page
    kept = keep(folder.path)
    assert kept["task"] == "segmentation" and set(kept["miou_by_seed"]) == {"none", "cca"}
    rows = {row[0]: row for row in kept["detected"]["classes"]["rows"]}
    assert set(rows) == set(folder.run("cca", 0).result["classes"])
    mean = sum(folder.run("cca", s).result["per_class"][0]["iou"] for s in (0, 1)) / 2
    assert rows["background"][3].startswith(f"{100 * mean:.2f}")
    text = markdown_page(kept, "one.png", [])
    assert "## By pixels" in text and "mIoU is the mean over classes" in text


def test_train_and_val_share_no_image():
    train, val = (open_segmentation("scenes", s, size=32, limit=3) for s in ("train", "val"))
    assert {train.name_of(k) for k in range(3)}.isdisjoint({val.name_of(k) for k in range(3)})
