"""The runtimes that a network can be exported to, and the choices that each of them has."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from foveate.core import check_choice, expected
from foveate.export.program import Program


@dataclass(frozen=True)
class Settings:
    """How a file is made.

    Attributes:
        half: Half precision, as the runtime has it.
        opset: Of ONNX; None for the exporter's own.
        threads: Of the runtime when the file is run here.
    """

    half: bool = False
    opset: int | None = None
    threads: int = 1


class Runner(Protocol):
    """An exported file, opened in its runtime.

    Attributes:
        precision: The types that the runtime really computes in, as far as it tells.
        runtime: Its name and version.
        outputs: Names of what it returns.
    """

    precision: str
    runtime: str
    outputs: tuple[str, ...]

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run on images (N, C, H, W) float32; the outputs are float32."""


@dataclass(frozen=True)
class Target:
    """A runtime.

    Attributes:
        name: As the command line has it.
        title: In sentences.
        suffix: Of its file.
        deform: The form that deformable convolutions take by default.
        forms: The forms that it can run.
        half: What half precision is here: dtype of the traced network, or None for a runtime that
            takes a float32 network and computes in less.
        half_name: The type that counts for the limit of a check.
        module: Where it is implemented.
        packages: What its versions are asked of.
        beside: Endings of the files that it writes beside its own.
    """

    name: str
    title: str
    suffix: str
    deform: str
    forms: tuple[str, ...]
    half: torch.dtype | None
    half_name: str
    module: str
    packages: tuple[str, ...] = ("torch",)
    beside: tuple[str, ...] = ()

    def write(self, program: Program, path: Path, settings: Settings) -> list[Path]:
        """Write the program; returns the files, the one to open first."""
        written: list[Path] = self._home().write(program, path, settings)
        return written

    def open(self, path: Path, settings: Settings, record: Mapping[str, Any]) -> Runner:
        """Open an exported file."""
        runner: Runner = self._home().open_file(path, settings, record)
        return runner

    def _home(self) -> Any:
        return importlib.import_module(f"foveate.export.{self.module}")


_PORTABLE = ("gridsample", "gather")
TARGETS = {
    one.name: one
    for one in (
        Target(
            "onnx",
            "ONNX Runtime",
            ".onnx",
            "deformconv",
            ("deformconv", *_PORTABLE),
            torch.float16,
            "float16",
            "onnx",
            ("torch", "onnx", "onnxscript", "onnxruntime"),
        ),
        Target(
            "openvino",
            "OpenVINO",
            ".xml",
            "gridsample",
            ("deformconv", *_PORTABLE),
            None,
            "bfloat16",
            "openvino",
            ("torch", "openvino"),
            (".bin",),
        ),
        Target(
            "torch-export",
            "torch.export",
            ".pt2",
            "gridsample",
            ("deformconv", *_PORTABLE),
            torch.bfloat16,
            "bfloat16",
            "torch_export",
        ),
        Target(
            "aoti",
            "AOTInductor",
            ".aoti.pt2",
            "gather",
            _PORTABLE,
            torch.bfloat16,
            "bfloat16",
            "aoti",
        ),
    )
}


def find_target(name: str, deform: str | None = None) -> Target:
    """Return a target, checked against the form that is asked of it.

    Raises:
        ValueError: If there is none of that name, or it has not the form.
    """
    check_choice("export", "to", name, TARGETS)
    target = TARGETS[name]
    if deform is not None and deform not in target.forms:
        rule = f"deform as one of {', '.join(target.forms)} for {target.title}"
        raise ValueError(expected("export", rule, deform))
    return target


def target_of(path: Path) -> Target:
    """Return the target whose file a path is, by its ending.

    Raises:
        ValueError: If the ending is nobody's.
    """
    longest = sorted(TARGETS.values(), key=lambda one: -len(one.suffix))
    for target in longest:
        if path.name.endswith(target.suffix):
            return target
    endings = ", ".join(one.suffix for one in TARGETS.values())
    raise ValueError(expected("load_exported", f"a file that ends in {endings}", path.name))
