"""ONNX files, and ONNX Runtime to run them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foveate.core import Words, expected, require
from foveate.export.program import AXIS_NAMES, INPUT, Program, first_line, refused
from foveate.export.settings import Settings

LEAST, LEAST_DEFORM, USUAL = 18, 19, 20
"""Opsets: the oldest that torch writes, the first with DeformConv, the default."""
_WHO = "export --to onnx"


def write(program: Program, path: Path, settings: Settings) -> list[Path]:
    """Write the program as ``path``, one file with its weights.

    Raises:
        ImportError: If onnx or onnxscript is missing.
        ValueError: If the opset lacks DeformConv, or an operator has no ONNX.
    """
    for module in ("onnx", "onnxscript"):
        require(module, "export", _WHO)
    opset = _opset(program, settings)
    axes = ({axis: name for axis, name in AXIS_NAMES.items() if name in program.shape},)
    try:
        with _silent():
            made: Any = torch.onnx.export(
                program.graph,
                (),
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=[INPUT],
                output_names=list(program.outputs),
                dynamic_shapes=axes,
            )
    except Exception as error:  # The exporter has many kinds of its own.
        remedy = "choose another --deform or --opset, or --fixed shapes"
        rule = f"operators that have an ONNX form in opset {opset}"
        raise ValueError(expected(_WHO, rule, _cause(error), remedy)) from error
    made.save(path)
    return [path]


def _opset(program: Program, settings: Settings) -> int:
    newest = int(require("onnx", "export", _WHO).defs.onnx_opset_version())
    opset = USUAL if settings.opset is None else settings.opset
    if program.deform == "deformconv" and opset < LEAST_DEFORM:
        rule = f"an opset of {LEAST_DEFORM} or more for DeformConv"
        remedy = "raise --opset, or take --deform gridsample"
        raise ValueError(expected(_WHO, rule, opset, remedy))
    if not LEAST <= opset <= newest:
        raise ValueError(expected(_WHO, f"an opset from {LEAST} to {newest}", opset))
    return opset


def _cause(error: BaseException) -> Words:
    """The innermost reason: what the exporter raises at last is a page of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the exporter's chatter from the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    try:
        for one in loggers:
            one.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


def open_file(path: Path, settings: Settings, record: Mapping[str, Any]) -> OnnxRunner:
    """Open a file in ONNX Runtime.

    Raises:
        ImportError: If ONNX Runtime is missing.
        ValueError: If it has not an operator of the file.
    """
    return OnnxRunner(path, settings)


class OnnxRunner:
    """A file in ONNX Runtime, on the CPU."""

    def __init__(self, path: Path, settings: Settings) -> None:
        ort: Any = require("onnxruntime", "export", "running ONNX files")
        self.runtime = f"ONNX Runtime {ort.__version__}"
        options = ort.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # What goes wrong is raised too.
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # Kinds of the runtime's own, without a common parent.
            remedy = "export with --deform gridsample, or for another runtime (--to)"
            rule = "operators that it has on a CPU"
            raise ValueError(expected(self.runtime, rule, first_line(error), remedy)) from error
        (given,) = self._session.get_inputs()
        self._input, self._half = given.name, given.type == "tensor(float16)"
        self.outputs = tuple(one.name for one in self._session.get_outputs())
        self.precision = "float16" if self._half else "float32"

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run on images (N, C, H, W)."""
        given = (images.half() if self._half else images.float()).contiguous().numpy()
        try:
            found = self._session.run(None, {self._input: given})
        except Exception as error:
            raise refused(self.runtime, images, error) from error
        return tuple(torch.from_numpy(one).float() for one in found)
