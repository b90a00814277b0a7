"""Finished runs that were never trained: a recipe and a result, as a run folder holds them."""

import json
from pathlib import Path

import pytest

from foveate.training import load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
FULL = {"imagenet": (1000, 50_000), "cifar100": (100, 10_000), "stanford-dogs": (120, 8_580)}


@pytest.fixture
def finished(tmp_path):
    """Write a finished run of a recipe of the repository with some changes."""

    def write(
        recipe, seed, top1, folder=None, classes=None, images=None, processes=None, **changes
    ):
        plan = load_recipe(RECIPES / f"{recipe}.toml").changed(seed=seed, **changes)
        path = tmp_path / "runs" / (folder or f"{plan.name}-seed{seed}")
        path.mkdir(parents=True)
        plan.save(path / "config.toml")
        number, measured = FULL[recipe.split("/")[0]]
        result = {
            "top1": top1,
            "top5": top1 + 0.1,
            "images": measured if images is None else images,
            "classes": [str(one) for one in range(classes or number)],
            "unreadable": [],
        }
        if processes is not None:
            (path / "environment.json").write_text(json.dumps({"processes": processes}))
        (path / "result.json").write_text(json.dumps(result))
        return tmp_path / "runs"

    return write
