"""Finished runs and studies that were never trained: random networks with all that a run leaves."""

import json

import torch

import foveate
from foveate.data import open_dataset
from foveate.training import Recipe, Study

SIZE = 32


def make_run(path, attention="none", seed=0, label=None):
    """A finished run on small scenes: recipe, weights and result."""
    recipe = Recipe(seed=seed, name=label or attention).changed(
        **{
            "data.source": "scenes",
            "data.size": SIZE,
            "data.limit_val": 16,
            "model.name": "resnet10t",
            "model.attention": attention,
            "model.stem": "small",
            "model.width": 0.25,
        }
    )
    classes = open_dataset("scenes", "val", size=SIZE).classes
    torch.manual_seed(seed + 100 * len(attention))
    net = foveate.create_model(
        "resnet10t", attention, num_classes=len(classes), stem="small", width=0.25
    )
    with torch.no_grad():
        net.fc.weight.abs_()  # Every channel speaks for the class, so no map is empty.
    path.mkdir(parents=True)
    recipe.save(path / "config.toml")
    foveate.save(net, path)
    result = {"top1": 0.125, "top5": 0.6, "images": 16, "classes": list(classes), "params": 1}
    (path / "result.json").write_text(json.dumps(result))
    return path


def make_study(path, attentions=("none", "das"), seeds=(0, 1)):
    """A finished study of such runs; its costs are not measured."""
    path.mkdir(parents=True)
    Study(attentions=list(attentions), seeds=list(seeds), control=False).save(path / "study.toml")
    for attention in attentions:
        for seed in seeds:
            make_run(path / "runs" / f"{attention}-seed{seed}", attention, seed)
    return path
