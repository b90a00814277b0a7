"""Save and load segmenters without pickle."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from foveate.core import Words, expected
from foveate.models.folder import write_stored
from foveate.models.task_store import load_task
from foveate.segmentation.model.create import create_segmenter
from foveate.segmentation.model.segmenter import Segmenter

_KEY = "segmenter"


def save_segmenter(model: nn.Module, folder: str | os.PathLike[str]) -> Path:
    """Write ``model.safetensors`` and ``model.json`` into ``folder``, each whole or not at all.

    Raises:
        ValueError: If the model was not made by :func:`create_segmenter`, or an attention was
            inserted as a callable since.
        OSError: If the disk is full or cannot be written.
    """
    if not isinstance(model, Segmenter):
        got = Words(type(model).__name__)
        raise ValueError(expected("save_segmenter", "what create_segmenter makes", got))
    return write_stored(model, folder, _KEY, model.foveate_segmenter, who="save_segmenter")


def load_segmenter(folder: str | os.PathLike[str]) -> Segmenter:
    """Rebuild the segmenter that :func:`save_segmenter` wrote, in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or holds something else than a segmenter.
        ImportError: If a package is missing.
    """
    return load_task(folder, _KEY, create_segmenter, "load_segmenter")
