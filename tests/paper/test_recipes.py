"""The recipes of the paper: every number of its experiments, every network of its tables."""

from pathlib import Path

import pytest

from foveate.paper.accuracy import Run, departures
from foveate.paper.counting import count_model
from foveate.paper.published import PublishedRow, experiments, published_table
from foveate.training import load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
FOLDERS = ("imagenet", "cifar100", "stanford-dogs")
PATHS = [path for folder in FOLDERS for path in sorted((RECIPES / folder).glob("[!_]*.toml"))]
CLASSES = {"imagenet": 1000, "cifar100": 100, "stanford-dogs": 120}

# What is stated of each experiment: epochs, batch, rate, decay, schedule, milestones, factor.
STATED = {
    "imagenet": (100, 256, 0.1, 1e-4, "step", [30, 60, 90], 0.1),
    "mobilenetv2": (None, 96, 0.045, 4e-5, "exponential", [], 0.98),
    "cifar100": (300, 128, 0.1, 5e-4, "step", [70, 130, 200, 260], 0.2),
    "stanford-dogs": (None, 32, 0.1, 1e-4, "cosine", [], None),
}
# What is missing there and was taken for a reason: epochs, size, stem, augmentation.
TAKEN = {
    "imagenet": (100, 224, "imagenet", "imagenet"),
    "mobilenetv2": (400, 224, "imagenet", "imagenet"),
    "cifar100": (300, 32, "small", "crop_flip"),
    "stanford-dogs": (300, 224, "imagenet", "imagenet"),
}


def family(path):
    return "mobilenetv2" if path.stem.startswith("mobilenetv2") else path.parent.name


def name_of(path):
    return f"{path.parent.name}-{path.stem}"


@pytest.mark.parametrize("path", PATHS, ids=name_of)
def test_recipes_hold_what_is_stated(path):
    recipe = load_recipe(path)
    epochs, batch, lr, decay, schedule, milestones, gamma = STATED[family(path)]
    train = recipe.train
    assert (train.optimizer, train.batch_size, train.lr_batch, train.lr) == (
        "sgd",
        batch,
        batch,
        lr,
    )
    assert (train.weight_decay, train.schedule, train.milestones) == (decay, schedule, milestones)
    assert epochs in (None, train.epochs)
    assert gamma in (None, train.gamma)
    taken = (train.epochs, recipe.data.size, recipe.model.stem, recipe.data.augment)
    assert taken == TAKEN[family(path)]
    assert (train.momentum, train.warmup_epochs, train.label_smoothing) == (0.9, 0, 0)
    assert (recipe.data.source, recipe.name) == (path.parent.name, name_of(path))
    assert recipe.model.start == "paper" and not recipe.model.pretrained


def test_names_are_unique():
    assert len({load_recipe(path).name for path in PATHS}) == len(PATHS) == 46


@pytest.mark.parametrize("table", ["table1", "table3"])
def test_every_row_of_the_tables_has_the_recipe_of_its_network(table):
    found = [load_recipe(path) for path in PATHS]
    for group in published_table(table).groups:
        same = [one for one in found if one.data.source == group.experiment.data]
        for row in group.rows:
            assert [one for one in same if one.model == row.model], f"{group.name} {row.label}"


@pytest.mark.parametrize("path", PATHS, ids=name_of)
def test_a_run_of_a_recipe_would_stand_beside_its_row(path):
    recipe = load_recipe(path)
    known = experiments()
    name = {"imagenet": "imagenet-resnet", "mobilenetv2": "imagenet-mobilenetv2"}
    experiment = known[name.get(family(path), family(path))]
    assert experiment.classes == CLASSES[path.parent.name]

    result = {"images": experiment.images, "classes": [""] * experiment.classes}
    run = Run(Path(), recipe, result)
    row = PublishedRow("", recipe.model, {}, (), ours=False)
    assert departures(run, row, experiment) == []


SMALL = {"resnet18-das", "resnet50-das", "mobilenetv2-das-lite"}
BUILT = [
    pytest.param(path, id=name_of(path), marks=() if path.stem in SMALL else pytest.mark.slow)
    for path in PATHS
]


@pytest.mark.parametrize("path", BUILT)
def test_every_network_is_built_for_its_classes(path):
    recipe = load_recipe(path)
    side = recipe.data.size
    classes = CLASSES[path.parent.name]
    cost = count_model(recipe.model, classes, (3, side, side))
    plain = recipe.model.model_copy(update={"attention": "none", "options": {}, "network": None})
    base = count_model(plain, classes, (3, side, side))
    # The classifier is as wide as the data have classes; the stem keeps what the images show.
    full = count_model(plain, 1000, (3, side, side))
    width = {"resnet18": 512, "torchvision/mobilenet_v2": 1280}.get(recipe.model.name, 2048)
    assert full.params - base.params == (1000 - classes) * (width + 1)
    if recipe.model.attention == "none":
        assert cost == base
    else:
        assert cost.params > base.params
        assert cost.macs > base.macs
