"""Save and load detectors without pickle, and take trained backbones into them."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from foveate.core import Words, expected
from foveate.detection.model.create import create_detector
from foveate.detection.model.detector import Detector
from foveate.models.backbone import take_network_
from foveate.models.store import fill_, read_stored, write_stored
from foveate.surgery import inserted

_KEY = "detector"


def save_detector(model: nn.Module, folder: str | os.PathLike[str]) -> Path:
    """Write ``model.safetensors`` and ``model.json`` into ``folder``, each whole or not at all.

    Raises:
        ValueError: If the model was not made by :func:`create_detector`, or its attentions were
            changed since.
        OSError: If the disk is full or cannot be written.
    """
    if not isinstance(model, Detector):
        rule = "a detector made by create_detector"
        raise ValueError(expected("save_detector", rule, Words(type(model).__name__)))
    spec, there = model.foveate_detector, list(inserted(model.network))
    if there != spec["sites"]:
        rule = f"the attentions that create_detector inserted, at {spec['sites']}"
        remedy = "insert by create_detector, so that what is saved can be rebuilt"
        raise ValueError(expected("save_detector", rule, there, remedy))
    return write_stored(model, folder, _KEY, spec)


def load_detector(folder: str | os.PathLike[str]) -> Detector:
    """Rebuild the detector that :func:`save_detector` wrote, in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or holds something else than a detector.
    """
    spec, weights = read_stored(folder, _KEY, "load_detector")
    try:
        sites, options = list(spec.pop("sites")), dict(spec.pop("options"))
        shorter, longer = spec.pop("size")
        model = create_detector(**spec, size=(shorter, longer), **options)
    except (KeyError, TypeError) as error:
        raise ValueError(
            expected("load_detector", "a readable model.json", Words(error))
        ) from error
    if list(inserted(model.network)) != sites:
        rule = f"sites {sites} in {spec['backbone']}"
        raise ValueError(expected("load_detector", rule, list(inserted(model.network))))
    fill_(model, weights, "load_detector")
    return model.eval()


def take_backbone_(detector: Detector, folder: str | os.PathLike[str]) -> list[str]:
    """Start the backbone of a detector from a trained classifier.

    Args:
        detector: What to fill.
        folder: A finished run of ``foveate train``, or what ``foveate.save`` wrote.

    Returns:
        Names of what keeps its fresh weights: gates that the classifier has not.

    Raises:
        FileNotFoundError: If the folder holds no weights.
        ValueError: If they are those of another network.
    """
    return take_network_(detector.network, folder)
