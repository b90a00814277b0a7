"""Which runs stand beside a published accuracy, and why the others do not."""

import pytest

from foveate.paper import paper_table
from foveate.paper.ablation import ABLATIONS
from foveate.paper.accuracy import accuracy_of, departures, find_runs
from foveate.paper.figure3 import figure3_png
from foveate.paper.published import experiments, published_table
from foveate.report import estimate
from foveate.training import StudyFolder, default_study


def row_of(table, group, label):
    found = next(one for one in published_table(table).groups if one.name == group)
    return next(row for row in found.rows if row.label == label)


def experiment(name):
    return experiments()[name]


def line(table, group, label):
    return next(r for r in table.records if (r["group"], r["label"]) == (group, label))


def row(table, title, label):
    section = next(s for s in table.sections if s.title.startswith(title))
    return next(cells for cells in section.rows if cells[0] == label)


def test_a_finished_experiment_stands_beside_the_paper(finished, uncounted):
    values = [0.70, 0.72, 0.71]
    for seed, top1 in enumerate(values):
        runs = finished("imagenet/resnet18-das", seed, top1)
    table = paper_table("table1", runs, ("resnet18",))
    own = line(table, "ResNet-18", "DAS")["accuracy"]
    assert own["top1"]["mean"] == pytest.approx(0.71)
    assert own["top1"]["half_width"] == pytest.approx(estimate(values).half_width)
    assert own["top5"]["mean"] == pytest.approx(0.81)
    assert own["seeds"] == [0, 1, 2]
    assert row(table, "Accuracy", "DAS")[3:] == ("71.00 ± 2.48", "81.00 ± 2.48", "3")
    assert line(table, "ResNet-18", "plain")["accuracy"] == "not run"
    (said,) = (note for note in table.notes if note.startswith("Runs of "))
    assert said.startswith("Runs of ResNet-18 DAS: ") and said.count("seed") == 3


def test_one_seed_has_no_interval_and_a_second_run_of_it_does_not_count(finished):
    finished("imagenet/resnet18-das", 4, 0.70, folder="a")
    runs = finished("imagenet/resnet18-das", 4, 0.90, folder="b")
    table = paper_table("table1", runs, ("resnet18",))
    assert row(table, "Accuracy", "DAS")[3:] == ("70.00", "80.00", "1")
    assert f"Another run of seed 4, not counted: {runs / 'b'}" in table.notes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data.limit_train": 1000}, "data.limit_train = 1000"),
        ({"data.limit_val": 100}, "data.limit_val = 100"),
        ({"model.width": 0.5}, "model.width = 0.5"),
        ({"model.start": "identity"}, "model.start = identity"),
        ({"model.pretrained": True}, "model.pretrained = True"),
        ({"model.options": {"alpha": 0.1}}, "alpha = 0.1"),
        ({"data.size": 96}, "data.size = 96"),
        ({"train.epochs": 95}, "train.epochs = 95"),
        ({"train.optimizer": "adamw"}, "train.optimizer = adamw"),
        ({"train.mixup": 0.2}, "train.mixup = 0.2"),
        ({"data.augment": "randaugment"}, "data.augment = randaugment"),
        ({"train.momentum": 0.5}, "train.momentum = 0.5"),
        ({"train.decay_norms": False}, "train.decay_norms = False"),
        ({"data.mean": (0.5, 0.5, 0.5)}, "data.mean = (0.5, 0.5, 0.5)"),
        ({"data.std": (0.5, 0.5, 0.5)}, "data.std = (0.5, 0.5, 0.5)"),
        ({"model.where": "blocks"}, "model.where = blocks"),
        ({"train.lr": 0.2}, "a learning rate of 0.2"),
        # The rate follows the batch, but a larger batch is another experiment.
        ({"train.batch_size": 1024}, "1024 images in a step"),
        ({"train.accumulate": 4}, "1024 images in a step"),
        ({"processes": 8}, "2048 images in a step"),
        ({"train.lr_batch": None, "processes": 2}, "512 images in a step"),
        ({"classes": 2}, "2 of 1000 classes"),
        ({"images": 500}, "measured on 500 of 50000 images"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_reduced_run_is_named_with_its_reason_and_counts_nowhere(finished, changes, reason):
    runs = finished("imagenet/resnet18-das", 0, 0.99, **changes)
    table = paper_table("table1", runs, ("resnet18",))
    assert line(table, "ResNet-18", "DAS")["accuracy"] == "not run"
    (note,) = (one for one in table.notes if one.startswith("Reduced"))
    where = runs / "imagenet-resnet18-das-seed0"
    assert note == f"Reduced or changed run, not comparable: {where}: {reason}"
    assert "99.00" not in table.render("md")


def test_options_that_are_the_defaults_are_no_difference(finished):
    runs = finished("imagenet/resnet18-das", 0, 0.7, **{"model.options": {"alpha": 0.2}})
    table = paper_table("table1", runs, ("resnet18",))
    assert line(table, "ResNet-18", "DAS")["accuracy"] != "not run"


@pytest.mark.parametrize(
    "changes",
    [
        {"train.batch_size": 32, "processes": 8},
        {"train.batch_size": 64, "train.accumulate": 2, "processes": 2},
        {"train.lr_batch": None},
        {"train.lr": 0.05, "train.lr_batch": 128},
        {"model.where": "stages"},
        {"model.opening": "linear"},  # Of no account without an identity start.
        {"train.precision": "bf16-mixed", "train.channels_last": True, "data.workers": 2},
    ],
    ids=lambda changes: ",".join(map(str, changes)),
)
def test_another_way_to_the_same_experiment_counts(finished, changes):
    runs = find_runs(finished("imagenet/resnet18-das", 0, 0.7, **changes))
    assert accuracy_of(row_of("table1", "ResNet-18", "DAS"), experiment("imagenet-resnet"), runs)


def test_an_attention_may_go_by_its_other_name(finished):
    changes = {"model.attention": "double_attention"}
    found = find_runs(finished("imagenet/resnet50-a2", 0, 0.7, **changes))
    row = row_of("table1", "ResNet-50", "A2-Nets")
    assert accuracy_of(row, experiment("imagenet-resnet"), found)


def test_dogs_that_were_cut_out_are_other_images(finished):
    options = {"crop": "box"}
    runs = finished("stanford-dogs/resnet18-das", 0, 0.9, **{"data.options": options})
    finished("stanford-dogs/resnet18-das", 1, 0.7, **{"data.options": {"crop": "none"}})
    (run, other) = find_runs(runs)
    row, dogs = row_of("table3", "Stanford Dogs", "ResNet-18 + DAS"), experiment("stanford-dogs")
    assert departures(run, row, dogs) == ["crop = box"]
    assert departures(other, row, dogs) == []


def test_a_folder_that_holds_the_whole_data_set_counts_and_other_data_do_not(finished, tmp_path):
    finished("imagenet/resnet18-das", 0, 0.7, **{"data.source": str(tmp_path)})
    finished("imagenet/resnet18-das", 1, 0.8, **{"data.source": "scenes"})
    runs = finished("imagenet/resnet18-das", 2, 0.9, classes=5, **{"data.source": str(tmp_path)})
    table = paper_table("table1", runs, ("resnet18",))
    assert line(table, "ResNet-18", "DAS")["accuracy"]["seeds"] == [0]
    assert not [note for note in table.notes if note.startswith("Reduced")]


def test_changes_are_paired_by_seed(finished):
    for seed, (plain, gated) in enumerate([(0.60, 0.62), (0.62, 0.65), (0.61, 0.65)]):
        finished("cifar100/resnet18-none", seed, plain)
        runs = finished("cifar100/resnet18-das", seed, gated)
    finished("cifar100/resnet18-das", 7, 0.99)  # No plain network has that seed.
    table = paper_table("table3", runs, ("cifar100",))
    cells = row(table, "Change", "ResNet-18 + DAS")
    assert cells[1:4] == ("+0.79 [S]", "+3.00 ± 2.48", "0.035")
    assert row(table, "Change", "ResNet-18")[-2:] == ("61.00 ± 2.48", "3")
    assert row(table, "Change", "ResNet-18 + Triplet")[2] == "not run"
    record = line(table, "CIFAR-100", "ResNet-18 + DAS")
    assert record["change"]["difference"]["count"] == 3


def test_p_values_are_corrected_for_the_rows_of_a_data_set_that_were_run(finished):
    for seed, (plain, gated, triplet) in enumerate([(60, 62, 61), (62, 65, 62), (61, 65, 63)]):
        finished("cifar100/resnet18-none", seed, plain / 100)
        finished("cifar100/resnet18-triplet", seed, triplet / 100)
        runs = finished("cifar100/resnet18-das", seed, gated / 100)
    table = paper_table("table3", runs, ("cifar100",))
    (section,) = table.sections
    assert "p (Holm)" in section.heads
    assert row(table, "Change", "ResNet-18 + DAS")[3] == "0.070"
    assert row(table, "Change", "ResNet-18 + Triplet")[3] == "0.225"
    change = line(table, "CIFAR-100", "ResNet-18 + DAS")["change"]
    assert change["p_holm"] == pytest.approx(2 * change["p"])


def test_designs_and_norms_find_their_runs(finished, uncounted):
    base = "stanford-dogs/resnet18-das"
    options = {"norm_before": "batch", "norm_after": "group"}
    finished(base, 0, 0.65)
    finished(base, 1, 0.64, **{"model.options": options})
    runs = finished(base, 2, 0.63, **{"model.attention": "das_f"})
    designs, norms = paper_table("table4", runs), paper_table("table5", runs)
    assert row(designs, "Accuracy", "c: the gate, DAS")[2] == "65.00"
    assert row(designs, "Accuracy", "f: separable twice")[2] == "63.00"
    assert row(norms, "Accuracy", "batch - group")[2] == "64.00"
    assert row(norms, "Accuracy", "instance - layer")[1:3] == ("best [S]", "65.00")
    assert not [note for note in norms.notes if note.startswith("Reduced")]
    (note,) = (note for note in designs.notes if note.startswith("Reduced"))
    assert note.endswith("norm_before = batch, norm_after = group")


def test_folders_without_runs_are_empty_and_missing_ones_an_error(tmp_path):
    (tmp_path / "result.json").write_text('{"top1": 1}')
    assert find_runs(tmp_path) == []
    assert find_runs(None) == []
    with pytest.raises(FileNotFoundError, match="--runs expects a folder of runs"):
        find_runs(tmp_path / "absent")


def test_a_broken_result_is_named(finished):
    runs = finished("imagenet/resnet18-das", 0, 0.7)
    (path,) = runs.rglob("result.json")
    path.write_text('{"top1": 0.7,')
    with pytest.raises(
        ValueError, match=r"result\.json expects the result of a run; got .*Expecting property name"
    ):
        find_runs(runs)


@pytest.fixture
def alpha_study(tmp_path):
    """A finished study of alpha, of which nothing was trained."""
    study = default_study(
        attentions=["none"],
        seeds=3,
        control=False,
        variants={key: dict(one) for key, one in ABLATIONS["ablation-alpha"].variants.items()},
    )
    folder = StudyFolder(tmp_path / "runs" / "alpha")
    folder.start(study)
    for number, label in enumerate(study.labels):
        for seed in study.seeds:
            run = folder.run(label, seed)
            run.start(study.recipe_for(label, seed))
            top1 = 0.5 + 0.01 * number + 0.001 * seed
            run.write_result({"top1": top1, "top5": 1.0, "images": 100, "classes": ["a"] * 4})
    return tmp_path / "runs"


def test_our_own_studies_stand_below_and_are_called_not_comparable(alpha_study, uncounted):
    table = paper_table("figure3", alpha_study, ("resnet18",))
    (own,) = (section for section in table.sections if section.title.startswith("Our "))
    assert own.title.startswith("Our ablation-alpha on scenes, 64 pixels, resnet18 at 0.25 of its")
    assert own.title.endswith(f"not comparable with the paper: {alpha_study / 'alpha'}")
    assert [cells[0] for cells in own.rows] == ["none", *ABLATIONS["ablation-alpha"].variants]
    assert "54.10 \N{PLUS-MINUS SIGN} 0.25" in table.render("text", 80)
    assert figure3_png(alpha_study, ("resnet18",)) != figure3_png(only=("resnet18",))
    assert not [s for s in paper_table("table4", alpha_study).sections if s.title[:4] == "Our "]
