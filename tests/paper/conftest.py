"""Finished runs that were never trained: a recipe and a result, as a run folder holds them."""

import json
from pathlib import Path

import pytest

from foveate.paper import paper_table
from foveate.paper.counting import count_model
from foveate.training import ModelSection, load_recipe

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


def count_nothing(patch):
    """Let every network cost what a plain one does, where the costs are not what is looked at."""
    plain = count_model(ModelSection(name="resnet18"))
    for module in ("rows", "figure3"):
        patch.setattr(f"foveate.paper.{module}.count_model", lambda *_, **__: plain)


@pytest.fixture
def uncounted(monkeypatch):
    """Count no network: many are slow, and not every test looks at costs."""
    count_nothing(monkeypatch)


@pytest.fixture(scope="session")
def uncounted_table():
    """Make a table without counting its networks."""

    def make(name):
        with pytest.MonkeyPatch.context() as patch:
            count_nothing(patch)
            return paper_table(name)

    return make
