"""Save and load detectors without pickle, and take trained backbones into them."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from foveate.core import Words, expected
from foveate.detection.model.create import create_detector
from foveate.detection.model.detector import Detector
from foveate.models.backbone import take_network_
from foveate.models.folder import write_stored
from foveate.models.task_store import load_task

_KEY = "detector"


def save_detector(model: nn.Module, folder: str | os.PathLike[str]) -> Path:
    """Write ``model.safetensors`` and ``model.json`` into ``folder``, each whole or not at all.

    Raises:
        ValueError: If the model was not made by :func:`create_detector`, or an attention was
            inserted as a callable since.
        OSError: If the disk is full or cannot be written.
    """
    if not isinstance(model, Detector):
        rule = "a detector made by create_detector"
        raise ValueError(expected("save_detector", rule, Words(type(model).__name__)))
    return write_stored(model, folder, _KEY, model.foveate_detector, who="save_detector")


def load_detector(folder: str | os.PathLike[str]) -> Detector:
    """Rebuild the detector that :func:`save_detector` wrote, in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or holds something else than a detector.
        ImportError: If a package is missing.
    """
    return load_task(folder, _KEY, create_detector, "load_detector")


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
