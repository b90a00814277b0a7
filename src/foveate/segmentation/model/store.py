"""Save and load segmenters without pickle."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from foveate.core import Words, expected
from foveate.models.store import fill_, read_stored, write_stored
from foveate.segmentation.model.create import create_segmenter
from foveate.segmentation.model.segmenter import Segmenter
from foveate.surgery import inserted

_KEY = "segmenter"


def save_segmenter(model: nn.Module, folder: str | os.PathLike[str]) -> Path:
    """Write ``model.safetensors`` and ``model.json`` into ``folder``, each whole or not at all.

    Raises:
        ValueError: If the model was not made by :func:`create_segmenter`, or its attentions were
            changed since.
        OSError: If the disk is full or cannot be written.
    """
    if not isinstance(model, Segmenter):
        got = Words(type(model).__name__)
        raise ValueError(expected("save_segmenter", "what create_segmenter makes", got))
    spec, there = model.foveate_segmenter, list(inserted(model.network))
    if there != spec["sites"]:
        rule = f"the attentions that create_segmenter inserted, at {spec['sites']}"
        raise ValueError(expected("save_segmenter", rule, there))
    return write_stored(model, folder, _KEY, spec)


def load_segmenter(folder: str | os.PathLike[str]) -> Segmenter:
    """Rebuild the segmenter that :func:`save_segmenter` wrote, in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or holds something else than a segmenter.
    """
    spec, weights = read_stored(folder, _KEY, "load_segmenter")
    try:
        sites, options = list(spec.pop("sites")), dict(spec.pop("options"))
        model = create_segmenter(**spec, **options)
    except (KeyError, TypeError) as error:
        rule = "a readable model.json"
        raise ValueError(expected("load_segmenter", rule, Words(error))) from error
    there = list(inserted(model.network))
    if there != sites:
        rule = f"sites {sites} in {spec['backbone']}"
        raise ValueError(expected("load_segmenter", rule, there))
    fill_(model, weights, "load_segmenter")
    return model.eval()
