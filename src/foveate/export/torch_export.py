"""``torch.export`` files: the graph itself, run by PyTorch without this package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foveate.core import Words, expected
from foveate.export.program import Program, calls, first_line, refused
from foveate.export.settings import Settings


def write(program: Program, path: Path, settings: Settings) -> list[Path]:
    """Write the program as ``path``."""
    torch.export.save(program.graph, path)
    return [path]


def open_file(path: Path, settings: Settings, record: Mapping[str, Any]) -> GraphRunner:
    """Open a file in PyTorch.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        program: Any = torch.export.load(path)
    except Exception as error:
        rule = "a readable torch.export file"
        raise ValueError(expected("load_exported", rule, first_line(error))) from error
    if calls(program, "torchvision::deform_conv2d"):
        import torchvision.ops  # noqa: F401 (brings the operator)
    return GraphRunner(program.module(), record, "torch.export")


_TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class GraphRunner:
    """Something that PyTorch calls with images and that returns a tuple."""

    def __init__(self, call: Any, record: Mapping[str, Any], title: str) -> None:
        self._call = call
        self.runtime = f"{title} (torch {torch.__version__.partition('+')[0]})"
        # The JSON beside a file may be anybody's.
        kind, names = record.get("dtype", "float32"), record.get("outputs", [])
        known = isinstance(names, list) and all(isinstance(one, str) for one in names)
        if not known or not isinstance(kind, str) or kind not in _TYPES:
            got = Words(f"{kind!r} and {names!r}"[:200])
            rule = f"a dtype of {', '.join(_TYPES)} and a list of outputs in the JSON beside it"
            raise ValueError(expected(title, rule, got))
        self.precision, self._dtype, self.outputs = kind, _TYPES[kind], tuple(names)

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run on images (N, C, H, W)."""
        try:
            with torch.no_grad():
                found = self._call(images.to(self._dtype))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise refused(self.runtime, images, error) from error
        return tuple(one.float() for one in found)
