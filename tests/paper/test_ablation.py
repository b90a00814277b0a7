"""Ablations as studies, the study of starts, and what both leave in their folder."""

import json
from dataclasses import replace

import pytest

import foveate
from foveate.attention import attention_spec
from foveate.paper import ablation, starts
from foveate.paper.ablation import ABLATIONS, NORMS, run_ablation
from foveate.report import read_study
from foveate.report.pictures import shape_of
from foveate.training import Recipe, StudyFolder, comparison, default_study

COST = {"params": 1, "macs": 1, "params_published": 1, "macs_published": 1}
TIMES = {f"{mode}_{part}": 1.0 for mode in ("forward", "step") for part in ("ms", "ratio")}


@pytest.fixture
def recipe():
    """A tiny network on a few generated scenes, a second a run."""
    return Recipe.model_validate(
        {
            "data": {"size": 32, "limit_train": 16, "limit_val": 16, "augment": "none"},
            "model": {"name": "test_resnet", "stem": "small"},
            "train": {"epochs": 2, "batch_size": 8, "lr": 0.05},
        }
    )


@pytest.fixture
def trained(monkeypatch):
    """Names of the runs that were really trained; costs are not measured."""
    names, real = [], comparison.train

    def counted(recipe, *args, **kwargs):
        names.append(recipe.name)
        return real(recipe, *args, **kwargs)

    monkeypatch.setattr(comparison, "train", counted)
    monkeypatch.setattr(
        comparison,
        "measure",
        lambda study, *_: {label: COST | TIMES for label in study.labels} | {"_conditions": {}},
    )
    return names


def study_of(name):
    chosen = ABLATIONS[name]
    return default_study(
        recipe=chosen.recipe(),
        attentions=["none"],
        seeds=3,
        control=False,
        variants={label: dict(variant) for label, variant in chosen.variants.items()},
    )


def test_every_ablation_is_named_and_explained():
    assert list(ABLATIONS) == [
        f"ablation-{what}" for what in ("design", "norm", "alpha", "sites", "start")
    ]
    assert all(one.title and one.help.endswith(".") for one in ABLATIONS.values())


def test_the_designs_are_those_of_table_4_and_c_is_the_gate():
    study = study_of("ablation-design")
    assert study.labels == ["none", *"abcdefgh"]
    assert study.gated["c"].attention == "das" and study.gated["a"].attention == "das_a"
    assert all(attention_spec(one.attention) for one in study.gated.values())


def test_the_norms_are_all_pairs_of_five():
    study = study_of("ablation-norm")
    assert len(study.gated) == 25
    assert study.gated["batch-none"].options == {"norm_before": "batch", "norm_after": "none"}
    usual = attention_spec("das").options
    assert f"{usual['norm_before']}-{usual['norm_after']}" in study.gated
    kept = {"top1_by_seed": dict.fromkeys(study.labels)}
    assert shape_of(kept) == "grid" and len(NORMS) == 5


def test_alpha_goes_from_a_hundredth_to_one():
    study = study_of("ablation-alpha")
    assert study.labels == [
        "none", "alpha-0.01", "alpha-0.03", "alpha-0.1", "alpha-0.2", "alpha-0.5", "alpha-1",
    ]  # fmt: skip
    assert study.gated["alpha-1"].options == {"alpha": 1.0}
    assert shape_of({"top1_by_seed": dict.fromkeys(study.labels)}) == "sweep"


def test_sites_are_so_many_gates_in_the_default_network():
    study = study_of("ablation-sites")
    counts = {}
    for label in study.gated:
        model = study.recipe_for(label, 0).model
        network = foveate.create_model(
            model.name, "das", model.where, position=model.position, width=model.width,
            num_classes=8,
        )  # fmt: skip
        counts[label] = len(foveate.remove_(network).sites)
    assert counts == {
        "last-stage": 1, "last-two": 2, "all-but-first": 3, "stages": 4, "blocks": 8,
        "before": 4, "post-norm": 8,
    }  # fmt: skip
    assert study.recipe_for("before", 0).model.position == "before"


def test_default_recipes_are_relations_on_scenes_and_the_usual_ones_elsewhere():
    alpha = ABLATIONS["ablation-alpha"].recipe()
    assert (alpha.data.options, alpha.model.name) == ({"cue": "match"}, "resnet14t")
    assert ABLATIONS["ablation-start"].recipe().data.options == {}
    assert ABLATIONS["ablation-alpha"].recipe("cifar100").model.stem == "small"


def test_an_unknown_ablation_names_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="ablation-alpha"):
        run_ablation("ablation-alhpa", out=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_an_ablation_leaves_a_study_with_its_table_and_plot_and_resumes(
    recipe, tmp_path, trained, monkeypatch
):
    few = {label: ABLATIONS["ablation-alpha"].variants[label] for label in ("alpha-0.1",)}
    monkeypatch.setitem(
        ABLATIONS, "ablation-alpha", replace(ABLATIONS["ablation-alpha"], variants=few)
    )
    monkeypatch.chdir(tmp_path)
    folder = run_ablation("ablation-alpha", recipe=recipe, seeds=1, quiet=True)
    assert str(folder) == "runs/ablation-alpha-scenes"
    assert StudyFolder(folder).is_finished and (folder / "report.html").is_file()
    page = (folder / "summary.md").read_text()
    assert "# The squeeze ratio alpha\n" in page and "| alpha-0.1 | " in page
    assert (folder / "summary.png").read_bytes()[1:4] == b"PNG"
    assert trained == ["none-seed0", "alpha-0.1-seed0"]
    (folder / "runs" / "none-seed0" / "result.json").unlink()
    run_ablation("ablation-alpha", recipe=recipe, data="scenes", seeds=1, quiet=True)
    assert trained[2:] == ["none-seed0"]
    with pytest.raises(ValueError, match="another one"):
        run_ablation("ablation-alpha", recipe=recipe, seeds=2, quiet=True)


def test_starts_begin_from_the_base_network_of_their_seed(recipe, tmp_path, trained, monkeypatch):
    monkeypatch.setattr(starts, "EPOCHS", 2)
    folder = run_ablation("ablation-start", recipe=recipe, seeds=1, out=tmp_path / "s", quiet=True)
    labels = ["none", "paper", "two-phase", "identity", "identity-linear", "identity-linear-4"]
    assert trained == ["none-seed0", *(f"{label}-seed0" for label in labels)]
    runs = {label: StudyFolder(folder).run(label, 0) for label in labels}
    base = StudyFolder(folder / "base").run("none", 0).result
    begun = {label: run.result["start"] for label, run in runs.items()}
    # The very same numbers: nothing is inserted, or what is inserted is the identity.
    for label in set(labels) - {"paper", "two-phase"}:
        assert begun[label]["loss"] == pytest.approx(base["loss"], rel=1e-6)
        assert begun[label]["top1"] == base["top1"]
    assert begun["paper"] == begun["two-phase"] != begun["none"]
    tuned = runs["two-phase"].recipe
    assert (tuned.train.epochs, tuned.train.gates_first) == (2, 1)
    assert tuned.train.lr == pytest.approx(0.005) and "none-seed0" in tuned.model.weights
    summary = json.loads((folder / "summary.json").read_text())
    assert shape_of(summary) == "starts" and summary["starts"]["epochs"] == [0, 1, 2]
    assert str(tmp_path) not in (folder / "summary.json").read_text()
    assert "fine-tuned" in summary["note"] and read_study(folder).labels == labels
    # Called again, from anywhere, nothing is left to do.
    monkeypatch.chdir(tmp_path)
    run_ablation("ablation-start", recipe=recipe, seeds=1, out="s", quiet=True)
    assert len(trained) == 7


def test_every_seed_starts_from_weights_of_its_own(recipe, tmp_path):
    base, tuned = starts.studies(recipe, 2, tmp_path)
    assert base.recipe.model.weights is None
    weights = [tuned.recipe_for("paper", seed).model.weights for seed in tuned.seeds]
    assert weights == [str(tmp_path / "base" / "runs" / f"none-seed{seed}") for seed in (0, 1)]
    assert tuned.recipe_for("none", 1).model.attention == "none"
    assert ablation.ABLATIONS["ablation-start"].variants == {}
