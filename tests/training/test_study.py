"""Studies: the same recipe for all, redone only where something is missing."""

import json

import pytest
import torch
from safetensors.torch import load_file

from foveate.training import (
    Interrupted,
    Study,
    StudyFolder,
    default_recipe,
    default_study,
    evaluate,
    parse_study,
    run_study,
)
from foveate.training import comparison as comparison_module
from foveate.training.classifier import Classifier
from foveate.training.order import order_of


@pytest.fixture
def study(recipe):
    """Two attentions, two seeds, one epoch, with the wider control on a family that has widths."""
    base = recipe.changed(
        **{
            "train.epochs": 1,
            "train.keep_checkpoints": False,
            "model.name": "resnet18",
            "model.width": 0.2,
            "model.stem": "imagenet",
        }
    )
    latency = {"batch": 2, "repeats": 5, "warmup": 1}
    return Study(attentions=["none", "se"], seeds=2, recipe=base, latency=latency)


@pytest.fixture
def trained(monkeypatch):
    """Names of the recipes that were really trained."""
    names = []
    real = comparison_module.train

    def counted(recipe, *args, **kwargs):
        names.append(recipe.name)
        return real(recipe, *args, **kwargs)

    monkeypatch.setattr(comparison_module, "train", counted)
    return names


def test_a_study_runs_every_label_with_every_seed_and_measures_costs(study, tmp_path, trained):
    folder = run_study(study, tmp_path / "s", progress=False)
    assert trained == [
        f"{label}-seed{seed}" for seed in (0, 1) for label in ("none", "se", "wider")
    ]
    assert folder.is_finished
    assert folder.labels == ["none", "se", "wider"]
    assert folder.study == study
    assert [run.path.name for run in folder.runs("se")] == ["se-seed0", "se-seed1"]
    assert [run.recipe.seed for run in folder.runs("se")] == [0, 1]

    costs = folder.costs
    for label in folder.labels:
        params = folder.run(label, 0).result["params"]
        assert costs[label]["params"] == params
        assert costs[label]["macs"] > 0
        for mode in ("forward", "step"):
            low, ratio, high = (costs[label][f"{mode}_ratio{end}"] for end in ("_low", "", "_high"))
            assert 0 < low <= ratio <= high
    assert costs["none"]["forward_ratio"] == costs["none"]["step_ratio"] == 1
    # The control has the parameters of the largest variant, within a few percent.
    assert costs["wider"]["params"] == pytest.approx(costs["se"]["params"], rel=0.03)
    assert costs["wider"]["params"] > costs["none"]["params"]
    assert costs["wider"]["width"] > costs["none"]["width"] == 0.2
    conditions = costs["_conditions"]
    assert conditions["threads"] == torch.get_num_threads()
    assert (conditions["batch"], conditions["size"]) == (2, 32)
    assert "commit" in conditions  # Measured anew, not that of the runs.
    assert not (folder.run("se", 0).path / "checkpoints").exists()


def test_runs_of_one_seed_share_images_order_and_first_weights(study, tmp_path, monkeypatch):
    seen = {}
    real = Classifier.training_step

    def step(self, batch, batch_idx):
        key = (self.recipe.model.attention, self.recipe.model.width, self.recipe.seed)
        first = self.network.conv1.weight.detach().clone() if key not in seen else None
        entry = seen.setdefault(key, {"order": [], "pixels": [], "first": first})
        entry["order"] += batch["indices"].tolist()
        entry["pixels"].append(int(batch["images"].sum()))
        return real(self, batch, batch_idx)

    monkeypatch.setattr(Classifier, "training_step", step)
    run_study(study.model_copy(update={"control": False}), tmp_path / "s", progress=False)
    for seed in (0, 1):
        plain, gated = seen["none", 0.2, seed], seen["se", 0.2, seed]
        assert plain["order"] == gated["order"] == order_of(seed, 0, 32)
        assert plain["pixels"] == gated["pixels"]
        assert torch.equal(plain["first"], gated["first"])
    assert seen["none", 0.2, 0]["order"] != seen["none", 0.2, 1]["order"]


def test_an_interrupted_study_redoes_only_what_is_missing(study, tmp_path, monkeypatch, trained):
    real = Classifier.training_step
    steps = []

    def stops(self, batch, batch_idx):
        steps.append(self.recipe.name)
        if self.recipe.name == "se-seed0":
            raise KeyboardInterrupt
        return real(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", stops)
        with pytest.raises(Interrupted, match=r"1 are finished and kept.*same command again"):
            run_study(study, tmp_path / "s", progress=False)
    folder = StudyFolder(tmp_path / "s")
    assert not folder.is_finished
    assert set(folder.costs) == {"none", "se", "wider", "_conditions"}
    finished = folder.run("none", 0)
    stamp = finished.result_path.stat().st_mtime_ns
    weights = load_file(finished.path / "model.safetensors")

    trained.clear()
    run_study(study, tmp_path / "s", progress=False)
    assert trained == ["se-seed0", "wider-seed0", "none-seed1", "se-seed1", "wider-seed1"]
    assert finished.result_path.stat().st_mtime_ns == stamp
    again = load_file(finished.path / "model.safetensors")
    assert all(torch.equal(weights[key], again[key]) for key in weights)
    assert folder.is_finished

    # One run deleted: only that one is made again, and the costs stay.
    costs = folder.costs_path.read_text()
    for path in folder.run("se", 1).path.iterdir():
        path.unlink()
    trained.clear()
    run_study(study, tmp_path / "s", progress=False)
    assert trained == ["se-seed1"]
    assert folder.costs_path.read_text() == costs
    trained.clear()
    run_study(study, tmp_path / "s", progress=False)
    assert trained == []


def test_one_attention_is_compared_under_several_labels(study, tmp_path, trained):
    """Variants are rows as attentions are: runs, costs, and the control of the largest one."""
    variants = {
        "se-slim": {"attention": "se", "options": {"reduction": 32}},
        "se-wide": {"attention": "se", "options": {"reduction": 2}, "where": ["layer4"]},
    }
    tree = study.model_dump() | {"variants": variants, "attentions": ["none"], "seeds": 1}
    folder = run_study(parse_study(tree), tmp_path / "s", progress=False)
    labels = ["none", "se-slim", "se-wide", "wider"]
    assert folder.labels == labels
    assert trained == [f"{label}-seed0" for label in labels]
    slim, wide = (folder.run(label, 0).recipe.model for label in labels[1:3])
    assert (slim.attention, slim.options, slim.where) == ("se", {"reduction": 32}, None)
    assert (wide.attention, wide.options, wide.where) == ("se", {"reduction": 2}, ["layer4"])
    params = {label: folder.costs[label]["params"] for label in labels}
    assert params["none"] < params["se-slim"] < params["se-wide"]
    assert params["wider"] == pytest.approx(params["se-wide"], rel=0.02)
    with pytest.raises(ValueError, match=r"one of the labels.*se-slim.*got 'se'"):
        folder.study.recipe_for("se", 0)


def test_a_study_whose_costs_cannot_be_measured_leaves_nothing_behind(study, tmp_path, monkeypatch):
    def refuse(*_):
        raise ValueError("the map is 1x1")

    with monkeypatch.context() as patch:
        patch.setattr(comparison_module, "measure", refuse)
        with pytest.raises(ValueError, match="1x1"):
            run_study(study, tmp_path / "s", progress=False)
    # The corrected study goes into the same folder.
    other = study.model_copy(update={"seeds": [0], "attentions": ["none"], "control": False})
    assert run_study(other, tmp_path / "s", progress=False).is_finished


def test_costs_are_measured_again_when_asked(study, tmp_path, trained):
    short = study.model_copy(update={"attentions": ["none"], "seeds": [0]})
    folder = run_study(short, tmp_path / "s", progress=False)
    before = folder.costs["_conditions"]["torch"], folder.run("none", 0).result
    tree = folder.costs
    tree["_conditions"]["torch"] = "another"
    folder.costs_path.write_text(json.dumps(tree))
    trained.clear()
    run_study(short, folder.path, progress=False)
    assert folder.costs == tree
    run_study(short, folder.path, remeasure=True, progress=False)
    assert (folder.costs["_conditions"]["torch"], folder.run("none", 0).result) == before
    assert trained == []


def test_a_folder_with_another_study_is_refused_and_the_differences_listed(study, tmp_path):
    folder = StudyFolder(tmp_path / "s")
    folder.start(study)
    other = study.model_copy(update={"seeds": [0, 1, 2]})
    with pytest.raises(ValueError, match=r"seeds: \[0, 1\] -> \[0, 1, 2\]"):
        run_study(other, folder.path)
    changed = study.model_copy(update={"recipe": study.recipe.changed(**{"train.epochs": 9})})
    with pytest.raises(ValueError, match=r"recipe\.train\.epochs: 1 -> 9"):
        run_study(changed, folder.path)
    with pytest.raises(ValueError, match="this study; resume it"):
        run_study(study, folder.path, resume=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("a")
    with pytest.raises(ValueError, match="other files"):
        run_study(study, tmp_path / "mine")


def test_without_a_width_the_reason_is_recorded_and_the_rest_runs(study, tmp_path, trained):
    base = study.recipe.changed(**{"model.name": "test_efficientnet", "model.width": 1.0})
    narrow = study.model_copy(update={"recipe": base, "seeds": [0]})
    folder = run_study(narrow, tmp_path / "s", progress=False)
    assert trained == ["none-seed0", "se-seed0"]
    assert "wider" not in folder.costs
    assert "family with a width" in folder.costs["_conditions"]["wider"]
    assert folder.labels == ["none", "se"]
    assert folder.is_finished


def test_errors_come_before_anything_is_made(study, tmp_path):
    bad = study.model_copy(update={"options": {"se": {"reductoin": 4}}})
    with pytest.raises(ValueError, match="reductoin"):
        run_study(bad, tmp_path / "s", progress=False)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"attentions": ["das"]}, 'must include "none"'),
        ({"attentions": ["none", "dass"]}, "did you mean 'das'"),
        ({"attentions": ["none", "se", "se"]}, "must not repeat"),
        ({"seeds": 0}, "at least one seed"),
        ({"seeds": [1, 1]}, "must not repeat"),
        ({"seeds": [-1]}, "0 or more"),
        ({"options": {"se": {"reduction": 4}}, "attentions": ["none", "das"]}, "not compared"),
        ({"variants": {"thin": {"attention": "dass"}}}, "did you mean 'das'"),
        ({"variants": {"thin": {"attention": "das", "options": {"alfa": 1}}}}, "mean 'alpha'"),
        ({"variants": {"thin": {"attention": "das", "option": {}}}}, "did you mean 'options'"),
        ({"variants": {"thin": {"attention": "none"}}}, "name of an attention"),
        ({"variants": {"das": {"attention": "das"}}}, "'das' of a variant is taken"),
        ({"variants": {"wider": {"attention": "das"}}}, "'wider' of a variant is taken"),
        ({"variants": {"cbam": {"attention": "das"}}}, "the name of another attention"),
        ({"variants": {"a-seed3": {"attention": "das"}}}, "a variant's label"),
        ({"variants": {"../a": {"attention": "das"}}}, "a variant's label"),
        ({"recipe": {"train": {"devices": 2}}}, "one device"),
        ({"recipe": {"train": {"epoch": 2}}}, r"'epoch' in \[recipe.train\]; did you mean 'epochs"),
        ({"seed": 2}, r"'seed' at the top; it belongs in \[recipe\]"),
    ],
)
def test_studies_that_make_no_sense_are_refused(tree, message):
    with pytest.raises(ValueError, match=message):
        parse_study(tree)


def test_a_study_survives_the_disk(study, tmp_path):
    thin = {"attention": "das", "options": {"alpha": 0.02}, "where": "blocks"}
    tree = study.model_dump() | {"options": {"se": {"reduction": 8}}, "variants": {"thin": thin}}
    fuller = parse_study(tree)
    folder = StudyFolder(tmp_path / "s")
    folder.start(fuller)
    assert folder.study == fuller
    assert folder.study.recipe_for("se", 1).model.options == {"reduction": 8}
    assert folder.study.recipe_for("thin", 1).model.where == "blocks"


def test_recipes_of_a_study_differ_only_where_they_must():
    study = Study(recipe=default_recipe("cifar100").changed(**{"model.start": "identity"}))
    plain, gated = study.recipe_for("none", 2), study.recipe_for("das", 2)
    wider = study.recipe_for("wider", 2, 1.25)
    assert plain.data == gated.data == wider.data
    assert plain.train == gated.train == wider.train
    assert plain.seed == gated.seed == wider.seed == 2
    assert (plain.model.attention, gated.model.attention) == ("none", "das")
    assert (plain.model.start, gated.model.start) == ("paper", "identity")
    assert (wider.model.width, wider.model.attention) == (1.25, "none")


def test_default_studies_suit_the_source_and_spare_the_disk():
    study = default_study("fashion-mnist", attentions=["none", "das"], seeds=5)
    assert study.recipe.data.source == "fashion-mnist"
    assert study.recipe.model.stem == "small"
    assert study.seeds == [0, 1, 2, 3, 4]
    assert not study.recipe.train.keep_checkpoints
    assert default_recipe().model.width == 0.25
    assert default_recipe("scenes", "mobilenetv3_small_100").model.width == 1.0
    assert default_recipe("scenes", "resnet18").model.width == 0.25
    assert default_recipe("photos").data.augment == "imagenet"
    assert default_study().recipe.data.source == "scenes"


def test_a_bare_network_is_evaluated_by_its_data_section(study, tmp_path):
    class Says(torch.nn.Module):
        """Always the same class."""

        def __init__(self, classes, answer):
            super().__init__()
            self.logits = torch.nn.Parameter(torch.zeros(classes))
            self.logits.data[answer] = 1.0

        def forward(self, images):
            return self.logits.expand(len(images), -1)

    data = study.recipe.data
    result = evaluate(Says(8, 2), data=data)
    names = list(result["classes"])
    assert len(names) == 8
    counted = result["classes"][names[2]]["images"]
    assert result["images"] == 16
    assert result["top1"] == pytest.approx(counted / 16)
    assert result["classes"][names[2]]["top1"] == 1.0
    # Ties among the rest: top-5 holds class 2 and four more.
    assert result["top5"] >= result["top1"]
    logits = torch.zeros(8)
    logits[2] = 1
    log = torch.log_softmax(logits, 0)
    wanted = -(counted * float(log[2]) + (16 - counted) * float(log[0])) / 16
    assert result["loss"] == pytest.approx(wanted, rel=1e-6)
    with pytest.raises(ValueError, match="network with 8 outputs"):
        evaluate(Says(3, 2), data=data)
    with pytest.raises(ValueError, match="bare network"):
        evaluate(Says(8, 2))


def test_costs_are_plain_json(study, tmp_path):
    folder = run_study(
        study.model_copy(update={"attentions": ["none"], "seeds": [0]}),
        tmp_path / "s",
        progress=False,
    )
    tree = json.loads(folder.costs_path.read_text())
    assert tree["_conditions"]["wider"] == "no attention is compared"
    assert set(tree) == {"none", "_conditions"}
