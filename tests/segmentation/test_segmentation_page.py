"""What docs/segmentation.md and the recipes of segmenters say."""

import re
from pathlib import Path

import pytest

from foveate.segmentation import load_segmentation_recipe, parse_segmentation_recipe
from foveate.segmentation.trainer import build_segmenter
from foveate.training.toml import read_toml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/segmentation.md").read_text(encoding="utf-8")
RECIPES = sorted((ROOT / "recipes/segmentation").glob("*.toml"))


def test_the_recipe_of_the_page_is_one(tmp_path):
    block = re.search(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]
    (tmp_path / "one.toml").write_text(block)
    recipe = parse_segmentation_recipe(read_toml(tmp_path / "one.toml"))
    assert recipe.model.weights == "runs/imagenet-das" and recipe.model.output_stride == 16


def test_its_recipes_are_there():
    named = set(re.findall(r"recipes/segmentation/[\w.-]+\.toml", PAGE))
    assert named and all((ROOT / path).is_file() for path in named)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_makes_its_network(path):
    recipe = load_segmentation_recipe(path)
    if recipe.data.source == "scenes":
        stride = build_segmenter(recipe.model, recipe.data, 5).output_stride
        assert stride == recipe.model.output_stride
