"""What a survey came to: means with intervals, chance, and paired tests, from its table alone."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foveate.core import Words, expected
from foveate.explain.statistics import bootstrap, paired
from foveate.explain.survey.ledger import KEYS, as_number, read_rows

CHANCE = ":chance"
OVER = "sfd:over chance"
"""sfd less its chance level, image by image: the level moves with the map."""

Floats = NDArray[np.float64]


def summarize(folder: str | Path, base: str | None = None) -> dict[str, Any]:
    """Put the table of a survey together.

    A network that was trained with several seeds is measured by the mean over its seeds, image by
    image, so an image counts once. Intervals are over images; how much the seeds differ is told by
    their means beside them.

    Args:
        folder: Holds ``scores.csv``.
        base: The network that the others are compared with; by default none is.

    Returns:
        A tree for JSON: ``networks``, ``seeds``, ``layers``, ``images``; ``accuracy`` by network;
        ``flags``, why images have no score, by layer and network; ``scores`` by layer, score and
        network (``mean``, ``low``, ``high``, ``count``, ``seeds``, ``chance``); ``against`` by
        layer, score and network (``mean``, ``low``, ``high``, ``count``, ``p`` of the difference
        to the base). Scores that are no number for any image are left out.

    Raises:
        ValueError: If the table is empty, or holds no such base.
    """
    place = Path(folder) / "scores.csv"
    axes = _axes(place)
    networks, layers, seeds = list(axes.seeds), list(axes.layers), axes.seeds
    if not networks:
        rule = "a table with at least one image"
        raise ValueError(expected("summarize", rule, Words(f"none in {place}")))
    if base is not None and base not in networks:
        raise ValueError(expected("summarize", f"one of the networks {networks}", base))
    images, names = axes.images, axes.names
    cube = {
        (layer, network): np.full((len(names), len(seeds[network]), len(images)), math.nan)
        for layer in layers
        for network in networks
    }
    flags: dict[tuple[str, str], Counter[str]] = {key: Counter() for key in cube}
    right: dict[str, list[bool]] = {name: [] for name in networks}
    for row in read_rows(place):
        key = row["layer"], row["network"]
        where = seeds[row["network"]].index(row["seed"]), images[row["index"]]
        cube[key][:, where[0], where[1]] = [as_number(row[name]) for name in names]
        if row["flag"]:
            flags[key][row["flag"]] += 1
        if row["layer"] == layers[0] and row["truth"]:
            right[row["network"]].append(row["truth"] == row["said"])
    names = _with_gain(names, cube)
    tree: dict[str, Any] = {
        "networks": networks,
        "seeds": seeds,
        "layers": layers,
        "base": base,
        "images": len(images),
        "accuracy": {name: sum(all_) / len(all_) for name, all_ in right.items() if all_},
        "flags": {layer: {name: dict(flags[layer, name]) for name in networks} for layer in layers},
        "scores": {},
        "against": {},
    }
    for layer in layers:
        tree["scores"][layer], tree["against"][layer] = {}, {}
        for turn, name in enumerate(names):
            if name.endswith(CHANCE):
                continue
            by_network = {network: cube[layer, network][turn] for network in networks}
            if all(np.isnan(values).all() for values in by_network.values()):
                continue
            chance = names.index(name + CHANCE) if name + CHANCE in names else None
            tree["scores"][layer][name] = {
                network: {
                    **_mean(values),
                    "seeds": _by_seed(values, seeds[network]),
                    "chance": None
                    if chance is None
                    else _finite(_nanmean(cube[layer, network][chance].ravel())),
                }
                for network, values in by_network.items()
            }
            if base is not None:
                tree["against"][layer][name] = {
                    network: _difference(values, by_network[base])
                    for network, values in by_network.items()
                    if network != base
                }
    return tree


@dataclass
class _Axes:
    """What a table is about, each in the order of its first row."""

    seeds: dict[str, list[str]] = field(default_factory=dict)
    layers: dict[str, None] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)


def _axes(place: Path) -> _Axes:
    """Go through a table once, row by row: it may be longer than what fits into memory as text."""
    found = _Axes()
    for row in read_rows(place):
        found.names = found.names or [name for name in row if name not in KEYS]
        found.layers.setdefault(row["layer"])
        found.images.setdefault(row["index"], len(found.images))
        seeds = found.seeds.setdefault(row["network"], [])
        if row["seed"] not in seeds:
            seeds.append(row["seed"])
    return found


def _with_gain(names: list[str], cube: dict[tuple[str, str], Floats]) -> list[str]:
    """Add sfd less its chance level, whose own chance level is 0, to the columns."""
    if "sfd" not in names or f"sfd{CHANCE}" not in names:
        return names
    score, chance = names.index("sfd"), names.index(f"sfd{CHANCE}")
    for key, values in cube.items():
        gain = values[score] - values[chance]
        cube[key] = np.concatenate([values, gain[None], np.where(np.isnan(gain), gain, 0.0)[None]])
    return [*names, OVER, f"{OVER}{CHANCE}"]


def _over_seeds(values: Floats) -> Tensor:
    """One value per image: the mean over the seeds that have one."""
    return torch.from_numpy(_nanmean(values, axis=0))


def _mean(values: Floats) -> dict[str, Any]:
    one = asdict(bootstrap(_over_seeds(values)))
    return {key: _finite(value) for key, value in one.items()}


def _by_seed(values: Floats, seeds: list[str]) -> dict[str, float | None]:
    return {seed: _finite(_nanmean(row)) for seed, row in zip(seeds, values, strict=True)}


def _difference(values: Floats, base: Floats) -> dict[str, Any]:
    found = paired(_over_seeds(values), _over_seeds(base))
    one = {**asdict(found.difference), "count": found.count, "p": found.p}
    return {key: _finite(value) for key, value in one.items()}


def _nanmean(values: Floats, axis: int | None = None) -> Any:
    """The mean without NaN; NaN, and no warning, where nothing else is there."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), math.nan)


def _finite(value: Any) -> Any:
    """A number for JSON, which knows no NaN."""
    if isinstance(value, (float, np.ndarray, np.floating)):
        return float(value) if math.isfinite(float(value)) else None
    return value
