"""Recipes and studies in TOML, and values of the command line."""

import tomli_w
from harness import reader
from hypothesis import strategies as st
from mutations import changed, chosen, damaged

from foveate.detection.recipe import load_detection_recipe
from foveate.training import Recipe, Study, StudyFolder, load_recipe
from foveate.training.toml import parse_value

RECIPE = {
    "name": "a",
    "seed": 3,
    "data": {"source": "scenes", "size": 32, "options": {"count": 20}, "mean": [0.5, 0.5, 0.5]},
    "model": {
        "name": "resnet18",
        "attention": "das",
        "where": ["layer1"],
        "options": {"alpha": 0.1},
    },
    "train": {"epochs": 4, "lr": 0.1, "schedule": "step", "milestones": [1, 2]},
}
DETECTOR = {
    "task": "detection",
    "data": {"source": "scenes", "size": 64, "max_size": 96, "multi_scale": [48]},
    "model": {"name": "resnet18", "detector": "fcos", "preset": "small"},
    "train": {"epochs": 14, "warm_start": "backbone_then_all", "warm_start_epochs": [1, 1]},
}
STUDY = {
    "attentions": ["none", "das", "se"],
    "seeds": [0, 1],
    "options": {"das": {"alpha": 0.1}},
    "variants": {
        "das-thin": {"attention": "das", "options": {}, "changes": {"model.start": "identity"}}
    },
    "recipe": RECIPE,
    "latency": {"batch": 2},
}  # fmt: skip
DEEP = [b"a = " + b"[" * 50000, b"a" + b".a" * 50000 + b" = 1", b"a = " + b"{a=" * 20000]


def _dumped(tree):
    try:
        return tomli_w.dumps(tree).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, AttributeError):  # TOML has no such value.
        return b"= "


def toml_files(tree):
    """Return a strategy of TOML files like that of a tree."""
    sound = tomli_w.dumps(tree).encode()
    return (
        changed(tree).map(_dumped)
        | damaged(sound, text=True)
        | chosen(*DEEP, b"", b"extends = 'a.toml'", b"extends = '.'", b"extends = 3")
    )


@reader("recipes", "TOML of foveate train and compare", _dumped(RECIPE), toml_files(RECIPE))
def read_recipe(content, folder):
    file = folder / "a.toml"
    file.write_bytes(content)
    recipe = load_recipe(file)
    recipe.save(folder / "b.toml")
    assert load_recipe(folder / "b.toml") == recipe


@reader("recipes of detectors", "TOML of foveate detect", _dumped(DETECTOR), toml_files(DETECTOR))
def read_detector_recipe(content, folder):
    file = folder / "a.toml"
    file.write_bytes(content)
    load_detection_recipe(file)


@reader("studies", "study.toml", _dumped(STUDY), toml_files(STUDY))
def read_study(content, folder):
    (folder / "study.toml").write_bytes(content)
    study = StudyFolder(folder).study
    assert isinstance(study, Study) and study.labels


@reader(
    "values of the command line",
    "KEY=VALUE of --set and --option",
    "[1, 2.5, 'a']",
    st.text() | damaged(b"[1, 2.5, 'a']", text=True).map(lambda text: text.decode("latin-1")),
)
def read_value(text, folder):
    value = parse_value(text)
    Recipe().changed(**{"train.epochs": 2, "data.options": {"a": value}})
