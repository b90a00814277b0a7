"""Save and load stereo networks without pickle, and take trained backbones into them."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from foveate.core import Words, expected
from foveate.models.backbone import take_network_
from foveate.models.folder import write_stored
from foveate.models.task_store import load_task
from foveate.stereo.model.create import create_stereo
from foveate.stereo.model.network import StereoNet

_KEY = "stereo"


def save_stereo(model: nn.Module, folder: str | os.PathLike[str]) -> Path:
    """Write ``model.safetensors`` and ``model.json`` into ``folder``, each whole or not at all.

    Raises:
        ValueError: If the model was not made by :func:`create_stereo`, or an attention was
            inserted as a callable since.
        OSError: If the disk is full or cannot be written.
    """
    if not isinstance(model, StereoNet):
        rule = "a network made by create_stereo"
        raise ValueError(expected("save_stereo", rule, Words(type(model).__name__)))
    return write_stored(model, folder, _KEY, model.foveate_stereo, who="save_stereo")


def load_stereo(folder: str | os.PathLike[str]) -> StereoNet:
    """Rebuild the network that :func:`save_stereo` wrote, in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or holds something else than a stereo network.
        ImportError: If a package is missing.
    """
    return load_task(folder, _KEY, create_stereo, "load_stereo")


def take_backbone_(model: StereoNet, folder: str | os.PathLike[str]) -> list[str]:
    """Start the backbone of a stereo network from a trained classifier.

    Args:
        model: What to fill.
        folder: A finished run of ``foveate train``, or what ``foveate.save`` wrote.

    Returns:
        Names of what keeps its fresh weights: gates that the classifier has not.

    Raises:
        FileNotFoundError: If the folder holds no weights.
        ValueError: If they are those of another network.
    """
    return take_network_(model.network, folder)
