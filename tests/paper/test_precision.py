"""Which finished detectors stand beside a published row of table 2, and which stand apart."""

import json
from pathlib import Path

import pytest

from foveate.detection.recipe import load_detection_recipe
from foveate.paper import paper_table
from foveate.paper.accuracy import Run
from foveate.paper.precision import departures, find_detectors, precision_of
from foveate.paper.published import published_table

RECIPES = Path(__file__).parents[2] / "recipes" / "detection"
(GROUP,) = published_table("table2").groups
ROWS = {row.label: row for row in GROUP.rows}
AP = {"ap": 0.397, "ap50": 0.6, "ap75": 0.43, "aps": 0.22, "apm": 0.43, "apl": None}


def result(ap=0.397, classes=80, images=5000):
    names = [str(one) for one in range(classes)]
    return {"task": "detection", **AP, "ap": ap, "images": images, "classes": names}


def of(recipe="coco-resnet50-das", processes=8, **changes):
    plan = load_detection_recipe(RECIPES / f"{recipe}.toml").changed(
        **{key.replace("__", "."): value for key, value in changes.items()}
    )
    return Run(Path("a"), plan, result(), processes)


@pytest.mark.parametrize(
    ("recipe", "label"),
    [
        ("coco-resnet50-none", "ResNet-50"),
        ("coco-resnet101-none", "ResNet-101"),
        ("coco-resnet50-se", "SENet-50"),
        ("coco-resnet50-cbam", "CBAM-50"),
        ("coco-resnet50-triplet", "Triplet-50"),
        ("coco-resnet50-das", "DAS-50"),
        ("coco-resnet50-das-lite", "das_lite-50, ours"),
    ],
)
def test_a_run_of_a_recipe_would_stand_beside_its_row_and_no_other(recipe, label):
    assert departures(of(recipe), ROWS[label], GROUP.experiment) == []
    fitting = [row for row in ROWS if precision_of(ROWS[row], GROUP.experiment, [of(recipe)])]
    assert fitting == [label]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data__size": 320}, "data.size = 320"),
        ({"data__limit_train": 100}, "data.limit_train = 100"),
        ({"model__detector": "fcos"}, "model.detector = fcos"),
        ({"model__batch_norm": "train"}, "model.batch_norm = train"),
        ({"model__options": {"alpha": 0.1}}, "alpha = 0.1"),
        ({"model__start": "identity"}, "model.start = identity"),
        ({"model__pretrained": False}, "a backbone that starts at random"),
        ({"train__epochs": 26, "train__milestones": [8, 11]}, "24 epochs of the schedule"),
        ({"processes": 1}, "2 images in a step"),
        ({"train__lr": 0.01}, "a learning rate of 0.01"),
    ],
)
def test_what_departs_from_the_experiment_is_named(changes, said):
    assert departures(of(**changes), ROWS["DAS-50"], GROUP.experiment) == [said]


def test_the_longer_schedule_stands_apart():
    said = departures(of("coco-resnet50-das-2x"), ROWS["DAS-50"], GROUP.experiment)
    assert said == ["train.milestones = [16, 22]", "24 epochs of the schedule"]


@pytest.fixture
def finished(tmp_path):
    """Write a finished run of a recipe for COCO with some changes."""

    def write(seed, ap, recipe="coco-resnet50-das", name="", classes=80, images=5000, **changes):
        plan = load_detection_recipe(RECIPES / f"{recipe}.toml").changed(seed=seed, **changes)
        path = tmp_path / "runs" / (name or f"{recipe}-{seed}")
        path.mkdir(parents=True)
        plan.save(path / "config.toml")
        (path / "environment.json").write_text(json.dumps({"processes": 8}))
        (path / "result.json").write_text(json.dumps(result(ap, classes, images)))
        return tmp_path / "runs"

    return write


@pytest.fixture
def uncounted_detectors(monkeypatch):
    """Count no detector: it is held to known sizes elsewhere."""
    from foveate.paper.counting import count_model
    from foveate.training import ModelSection

    plain = count_model(ModelSection(name="resnet18"))
    monkeypatch.setattr("foveate.paper.detection.count_model", lambda *_, **__: plain)
    monkeypatch.setattr("foveate.paper.detection.detector_sizes", lambda _: (2, 1))


def test_runs_on_coco_stand_beside_the_published_ap_with_their_interval(
    finished, uncounted_detectors
):
    for seed, ap in enumerate((0.390, 0.396, 0.402)):
        runs = finished(seed, ap)
    finished(0, 0.1, name="z-second")
    table = paper_table("table2", runs)
    section = table.sections[0]
    das = next(place for place, row in enumerate(section.rows) if row[0] == "DAS-50")
    # Half a width is 4.303 times 0.006 over the root of 3.
    assert (section.rows[das][-1], section.rows[das + 1][-1]) == ("39.60", "± 1.49")
    assert section.rows[das + 1][:7] == (
        "here, 3 seeds", "39.60", "60.00", "43.00", "22.00", "43.00", "unknown",
    )  # fmt: skip
    assert all(row[-1] in ("not run", "") for row in section.rows[:das])
    (record,) = (one for one in table.records if one["label"] == "DAS-50")
    assert record["accuracy"]["seeds"] == [0, 1, 2]
    assert record["accuracy"]["ap"]["mean"] == pytest.approx(0.396)
    assert "apl" not in record["accuracy"]
    notes = " ".join(table.notes)
    assert "Runs of DAS-50: " in notes and "No run that could stand" not in notes
    text = table.render("text", 80)
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text


def test_reduced_runs_and_runs_on_other_data_stand_in_the_notes(finished, uncounted_detectors):
    finished(0, 0.3, name="short", images=500)
    finished(0, 0.3, "coco-resnet50-se", name="unlike", **{"model.name": "resnet18"})
    runs = finished(0, 0.25, name="trees", classes=1, images=40)
    table = paper_table("table2", runs)
    notes = "\n".join(table.notes)
    assert f"not comparable: {runs / 'short'}: measured on 500 of 5000 images" in notes
    assert f"not comparable: {runs / 'unlike'}: no such backbone in the table" in notes
    assert (
        "Measured here, on other data: faster-rcnn with resnet50 and das on data/coco, 40 images,"
        f" seed 0: AP 25.00 %: {runs / 'trees'}"
    ) in notes
    assert "No run that could stand beside a published AP was found: not run." in notes


def test_our_own_studies_stand_below_with_their_data_and_intervals(tmp_path, uncounted_detectors):
    folder = tmp_path / "runs" / "own"
    (folder / "runs").mkdir(parents=True)
    (folder / "study.toml").write_text(
        'task = "detection"\nattentions = ["none", "das"]\nseeds = [0, 1, 2]\n[recipe]\n'
        'task = "detection"\n[recipe.data]\nsource = "scenes"\nsize = 64\n[recipe.train]\n'
        "epochs = 8\n"
    )
    for label, ap in (("none", 0.30), ("das", 0.35)):
        for seed in range(3):
            changes = {"data.source": "scenes", "model.attention": label}
            plan = load_detection_recipe(RECIPES / "_coco.toml").changed(seed=seed, **changes)
            run = folder / "runs" / f"{label}-seed{seed}"
            run.mkdir()
            plan.save(run / "config.toml")
            value = ap + 0.01 * seed * (1 + (label == "das"))
            (run / "result.json").write_text(json.dumps(result(value, classes=8, images=200)))
    table = paper_table("table2", tmp_path / "runs")
    tested, further = table.sections[-2:]
    assert tested.title == (
        "Measured here, on other data: faster-rcnn with resnet50 on scenes, 64 pixels, 8 epochs,"
        f" measured on 200 images; compares with no figure above: {folder}"
    )
    assert tested.rows[1][:4] == ("das", "3", "37.00 ± 4.97", "+6.00 [+3.52, +8.48]")
    assert further.heads[1:] == ("AP50 %", "AP75 %", "APs %", "APm %", "APl %")
    # Its runs are told once, by the study.
    assert "seed 0: AP" not in "\n".join(table.notes)
    text = table.render("text", 80)
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text


def test_runs_of_classifiers_are_no_detectors(finished, tmp_path):
    runs = finished(0, 0.3)
    found = runs / "coco-resnet50-das-0" / "result.json"
    found.write_text(json.dumps({"top1": 0.5, "top5": 0.9, "images": 10}))
    assert find_detectors(runs) == [] and find_detectors(None) == []
    with pytest.raises(FileNotFoundError, match="--runs expects a folder of runs"):
        find_detectors(tmp_path / "absent")
