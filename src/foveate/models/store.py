"""Save and load networks without pickle: safetensors for the weights, JSON for the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor, nn

from foveate.core import Words, expected
from foveate.core.files import write_bytes, write_json
from foveate.models.create import create_model
from foveate.surgery import inserted

_FORMAT = 1
_KEY = "model"
WEIGHTS, SPEC = "model.safetensors", "model.json"
LOADERS = {
    "model": "foveate.load",
    "detector": "foveate.detection.load_detector",
    "segmenter": "foveate.segmentation.load_segmenter",
}
"""What loads each kind of model that a folder may hold."""


def save(model: nn.Module, folder: str | os.PathLike[str]) -> Path:
    """Write ``model.safetensors`` and ``model.json`` into ``folder``, each whole or not at all.

    Raises:
        ValueError: If the model was not made by :func:`foveate.create_model`.
        OSError: If the disk is full or cannot be written.
    """
    spec = getattr(model, "foveate_spec", None)
    if spec is None:
        raise ValueError(
            expected(
                "save",
                "a model made by foveate.create_model",
                Words(type(model).__name__),
                "for others save state_dict() with safetensors and insert again after loading",
            )
        )
    there = list(inserted(model))
    if there != spec["sites"]:
        raise ValueError(
            expected(
                "save",
                f"the attentions that create_model inserted, at {spec['sites']}",
                there,
                "insert by create_model, so that what is saved can be rebuilt",
            )
        )
    return write_stored(model, folder, _KEY, spec)


def write_stored(
    model: nn.Module, folder: str | os.PathLike[str], key: str, spec: dict[str, Any]
) -> Path:
    """Write the weights of a model, and under ``key`` what rebuilds it.

    Both files are written beside their names, flushed, and renamed: an interrupted save leaves the
    previous ones.

    Raises:
        OSError: If the disk is full or cannot be written.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
    write_bytes(target / WEIGHTS, serialize(weights))
    write_json(target / SPEC, {"format": _FORMAT, key: spec})
    return target


def read_stored(
    folder: str | os.PathLike[str], key: str, who: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what :func:`write_stored` wrote: what rebuilds the model, and its weights.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, of an unknown format, or of another kind of model.
    """
    source = Path(folder)
    for name in (SPEC, WEIGHTS):
        if not (source / name).is_file():
            raise FileNotFoundError(expected(who, f"a folder with {name}", str(source)))
    try:
        stored: Any = json.loads((source / SPEC).read_text(encoding="utf-8"))
        version = stored["format"]
        other = next((kind for kind in LOADERS if kind != key and kind in stored), None)
        spec = {} if other else dict(stored[key])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(expected(who, f"a readable {SPEC}", Words(error))) from error
    if version != _FORMAT:
        raise ValueError(expected(who, f"format {_FORMAT}", version, "update foveate"))
    if other is not None:
        remedy = f"call {LOADERS[other]}"
        raise ValueError(expected(who, f"a {key} in {source}", Words(f"a {other}"), remedy))
    try:
        return spec, load_file(source / WEIGHTS)
    except Exception as error:
        raise ValueError(expected(who, f"a readable {WEIGHTS}", Words(error))) from error


def fill_(model: nn.Module, weights: dict[str, Tensor], who: str) -> None:
    """Load all weights of a model, in the types that were saved.

    Raises:
        ValueError: If they do not fit.
    """
    # A network of one's own loads without the weights of its gates; what was saved has them all.
    missing = sorted(set(model.state_dict()) - set(weights))
    if missing:
        got = Words(f"none for {missing[0]} and {len(missing) - 1} more")
        raise ValueError(expected(who, f"weights that fit {SPEC}", got))
    learns = {name: one.requires_grad for name, one in model.named_parameters()}
    try:
        # In the types that were saved, which need not be those of a fresh network.
        model.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise ValueError(expected(who, f"weights that fit {SPEC}", Words(error))) from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(learns[name])


def load(folder: str | os.PathLike[str]) -> nn.Module:
    """Rebuild the model that :func:`save` wrote, in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, of an unknown format, or does not fit the other.
    """
    spec, weights = read_stored(folder, _KEY, "load")
    try:
        options, sites = dict(spec.pop("options")), list(spec.pop("sites"))
        shape = spec.pop("example", None)
        example = None if shape is None else torch.zeros([1, *shape[1:]])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(expected("load", f"a readable {SPEC}", Words(error))) from error
    try:
        model = create_model(**spec, example=example, **options)
    except TypeError as error:
        raise ValueError(expected("load", f"a readable {SPEC}", Words(error))) from error
    if list(inserted(model)) != sites:
        raise ValueError(expected("load", f"sites {sites} in {spec['name']}", inserted(model)))
    fill_(model, weights, "load")
    return model.eval()
