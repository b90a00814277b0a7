"""Exported files, opened again."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from foveate.core import expected
from foveate.export.record import read_record
from foveate.export.settings import Runner, Settings, target_of


def load_exported(file: str | os.PathLike[str], *, threads: int | None = None) -> Runner:
    """Open what :func:`foveate.export.export_model` wrote, in its runtime, on the CPU.

    Open only files that you trust: a package of AOTInductor is machine code.

    Args:
        file: ``.onnx``, ``.xml``, ``.pt2`` or ``.aoti.pt2``.
        threads: Of the runtime; those of torch by default.

    Returns:
        Something to call with images (N, C, H, W) float32, which returns a tuple of float32
        tensors; ``outputs`` names them, ``precision`` says what is computed in.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the runtime is missing.
        ValueError: If the file is not one of these, or the runtime cannot run it.
    """
    path = Path(file)
    target = target_of(path)
    if not path.is_file():
        raise FileNotFoundError(expected("load_exported", "an exported file", str(path)))
    record = read_record(path)
    settings = Settings(
        half=bool(record.get("half", False)), threads=threads or torch.get_num_threads()
    )
    return target.open(path, settings, record)
