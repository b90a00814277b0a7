"""Recipes: what is wrong is named with its place and a remedy; what is right survives the disk."""

from pathlib import Path

import pytest

from foveate.detection import DetectionRecipe
from foveate.segmentation import SegmentationRecipe
from foveate.stereo import StereoRecipe
from foveate.training import Recipe, load_recipe, parse_recipe
from foveate.training.recipe import differences

RECIPES = Path(__file__).parents[2] / "recipes"
KINDS = {
    "detection": DetectionRecipe,
    "segmentation": SegmentationRecipe,
    "stereo": StereoRecipe,
}


def write(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_text(text)
    return path


def test_all_errors_of_a_file_come_in_one_message(tmp_path):
    path = write(
        tmp_path,
        'sede = 1\n[data]\nsize = 4\n[train]\nepoch = 3\noptimizer = "sdg"\n[model]\nlr = 0.1\n',
    )
    with pytest.raises(ValueError, match="5 errors") as caught:
        load_recipe(path)
    text = str(caught.value)
    assert str(path) in text
    assert "unknown key 'sede' at the top; did you mean 'seed'" in text
    assert "unknown key 'epoch' in [train]; did you mean 'epochs'" in text
    assert "unknown key 'lr' in [model]; it belongs in [train]" in text
    assert "data.size: input should be greater than or equal to 8, got 4" in text
    assert "train.optimizer: input should be 'sgd' or 'adamw', got 'sdg'" in text


def test_a_broken_file_and_a_missing_one_are_told_apart(tmp_path):
    with pytest.raises(ValueError, match="valid TOML"):
        load_recipe(write(tmp_path, "[train\n"))
    with pytest.raises(FileNotFoundError, match=r"absent\.toml"):
        load_recipe(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"train": {"schedule": "step"}}, "needs milestones"),
        ({"train": {"milestones": [3, 2]}}, "rising"),
        ({"train": {"warmup_epochs": -1}}, "train.warmup_epochs"),
        ({"train": {"lr": float("nan")}}, "train.lr"),
        ({"data": {"std": [1, 0, 1]}}, "std must be above 0"),
        ({"train": {"devices": 0}}, "train.devices"),
    ],
)
def test_values_that_make_no_sense_are_refused(tree, message):
    with pytest.raises(ValueError, match=message):
        parse_recipe(tree)


def test_a_recipe_survives_the_disk(tmp_path):
    recipe = parse_recipe(
        {
            "seed": 7,
            "data": {"limit_train": 10, "options": {"clutter": 3}},
            "model": {"where": ["layer?"], "options": {"alpha": 0.1}},
            "train": {"schedule": "step", "milestones": [2, 4], "lr": 0.123456789012345},
        }
    )
    recipe.save(tmp_path / "c.toml")
    assert load_recipe(tmp_path / "c.toml") == recipe
    assert differences(recipe, load_recipe(tmp_path / "c.toml")) == []


def test_changed_replaces_dotted_keys_and_checks_them():
    recipe = Recipe()
    other = recipe.changed(seed=4, **{"train.epochs": 2})
    assert (other.seed, other.train.epochs, recipe.train.epochs) == (4, 2, 10)
    assert differences(recipe, other) == ["seed: 0 -> 4", "train.epochs: 10 -> 2"]
    with pytest.raises(ValueError, match="unknown key 'epoch'"):
        recipe.changed(**{"train.epoch": 2})
    with pytest.raises(ValueError, match=r"train\.epochs"):
        recipe.changed(**{"seed.deep.down": 2})


def test_default_learning_rates_follow_optimizer_and_batch():
    assert parse_recipe({"train": {"batch_size": 128}}).train.base_lr == 0.05
    assert parse_recipe({"train": {"optimizer": "adamw"}}).train.base_lr == 1e-3
    assert parse_recipe({"train": {"lr": 0.3}}).train.base_lr == 0.3


@pytest.mark.parametrize("path", sorted(RECIPES.glob("**/[!_]*.toml")), ids=lambda path: path.stem)
def test_every_recipe_of_the_repository_validates(path):
    recipe = load_recipe(path, KINDS.get(path.parent.name, Recipe))
    assert recipe.name == "-".join(path.relative_to(RECIPES).with_suffix("").parts)


def test_there_are_recipes():
    assert len(list(RECIPES.glob("**/*.toml"))) >= 2
