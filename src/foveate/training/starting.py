"""The network of a recipe, and the weights it starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import Words, expected
from foveate.models import create_model, load
from foveate.surgery import is_inserted_path, remove_
from foveate.training.recipe import ModelSection


@dataclass(frozen=True)
class Start:
    """A network that is ready to be trained.

    Attributes:
        network: The network.
        fresh: Parameters of the base network that start at random although the rest starts from
            trained weights: those of a new classifier. Empty where everything is random.
    """

    network: nn.Module
    fresh: list[str] = field(default_factory=list)


def build(model: ModelSection, classes: int, size: int) -> nn.Module:
    """Make the network of a recipe with fresh (or published) weights, for images of ``size``.

    Raises:
        ValueError: For an unknown model, attention or option.
    """
    attention = None if model.attention == "none" else model.attention
    return create_model(
        model.name,
        attention,
        model.where,
        start=model.start,
        position=model.position,
        network=model.network,
        host=model.host,
        num_classes=classes,
        pretrained=model.pretrained,
        stem=model.stem,
        width=model.width,
        example=torch.zeros(1, 3, size, size),
        **model.options,
    )


def start(model: ModelSection, classes: int, size: int) -> Start:
    """Make the network of a recipe and give it the weights that it starts from.

    Raises:
        ValueError: As ``build``; if ``model.weights`` are those of another network.
        FileNotFoundError: If ``model.weights`` names no folder of trained weights.
    """
    network = build(model, classes, size)
    if model.weights is not None:
        return Start(network, take_weights_(network, model.weights))
    if model.pretrained and classes != 1000:
        return Start(network, _classifier_of(network))
    return Start(network)


def take_weights_(network: nn.Module, folder: str | Path) -> list[str]:
    """Copy the trained weights of a base network into one that may hold an attention besides.

    An attention of the trained network is left behind, and so is a classifier of another size.

    Args:
        network: What to fill; its attention keeps the weights it has.
        folder: A finished run, or what ``foveate.save`` wrote.

    Returns:
        Names of parameters of the base that stay as they are.

    Raises:
        FileNotFoundError: If the folder holds no weights.
        ValueError: If the weights are those of another network.
    """
    trained = load(folder)
    if any(is_inserted_path(name) for name, _ in trained.named_modules()):
        remove_(trained)
    given = trained.state_dict()
    wanted = {
        key: value for key, value in network.state_dict().items() if not is_inserted_path(key)
    }
    sizes = tuple(int(_spec(one).get("num_classes", 0)) for one in (trained, network))
    differ = {key for key in wanted.keys() & given.keys() if given[key].shape != wanted[key].shape}
    fresh = {key for key in differ if _is_head(given[key], wanted[key], sizes)}
    strange = sorted((wanted.keys() ^ given.keys()) | (differ - fresh))
    if strange:
        raise ValueError(
            expected(
                f"weights from {folder}",
                "weights of the same base network",
                Words(f"others: {_listed(strange)} do not fit"),
                "name the same model, stem and width as the run that they come from",
            )
        )
    taken: dict[str, Tensor] = {key: given[key] for key in wanted if key not in fresh}
    taken |= {key: value for key, value in network.state_dict().items() if key not in taken}
    network.load_state_dict(taken)
    return sorted(fresh)


def _spec(network: nn.Module) -> dict[str, Any]:
    spec: dict[str, Any] = getattr(network, "foveate_spec", {})
    return spec


def _is_head(given: Tensor, wanted: Tensor, classes: tuple[int, ...]) -> bool:
    """Whether a weight differs by the number of classes alone, which classifiers have first."""
    return (len(given), len(wanted)) == classes and given.shape[1:] == wanted.shape[1:]


def _classifier_of(network: nn.Module) -> list[str]:
    """Name the parameters of the classifier, or of the classifiers, of a network of timm."""
    found: Any = network.get_classifier()  # type: ignore[operator]
    heads = found if isinstance(found, tuple) else (found,)
    own = {id(parameter) for head in heads for parameter in head.parameters()}
    names = [name for name, parameter in network.named_parameters() if id(parameter) in own]
    if not names:
        kind = type(network).__name__
        raise ValueError(expected("pretrained", "a network that tells its classifier", Words(kind)))
    return names


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
