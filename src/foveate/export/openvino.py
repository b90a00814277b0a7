"""OpenVINO files, and OpenVINO to run them.

It gets GridSample by default: its own deformable convolution is slower. Left to itself it computes
in bfloat16 on processors that have it, without a word; here float32 is asked for, and what it
really does is read off the compiled network.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.core import expected, require
from foveate.export.program import INPUT, Program, first_line, refused
from foveate.export.settings import Settings

_WHO = "export --to openvino"
_NAMES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64"}
_HEAVY = ("Convolution", "MatMul", "FullyConnected", "Deformable", "GroupConvolution", "Gemm")


def write(program: Program, path: Path, settings: Settings) -> list[Path]:
    """Write the program as ``path`` (.xml) with its weights beside it (.bin).

    Raises:
        ImportError: If OpenVINO is missing.
        ValueError: If an operator has no conversion.
    """
    ov: Any = require("openvino", "export", _WHO)
    silence()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = ov.convert_model(program.graph)
    except Exception as error:
        rule = f"operators that OpenVINO {ov.__version__.split('-')[0]} converts"
        remedy = "choose another --deform, or --fixed shapes, or another runtime (--to)"
        raise ValueError(expected(_WHO, rule, first_line(error), remedy)) from error
    model.inputs[0].get_tensor().set_names({INPUT})
    shape = ov.PartialShape([-1 if isinstance(one, str) else one for one in program.shape])
    model.reshape({INPUT: shape})
    for port, name in zip(model.outputs, program.outputs, strict=True):
        port.get_tensor().set_names({name})
    ov.save_model(model, str(path), compress_to_fp16=settings.half)
    return [path, path.with_suffix(".bin")]


def silence() -> None:
    """Let OpenVINO's converter tell nobody what it converts, for the rest of this process.

    It reports each conversion to its makers through Google Analytics unless that was declined
    before; its own stub, which it takes where the reporting package is missing, says nothing.
    """
    stub: Any = require("openvino.tools.ovc.telemetry_stub", "export", _WHO)
    for name in ("convert_impl", "telemetry_utils", "utils", "main"):
        module = sys.modules.get(f"openvino.tools.ovc.{name}")
        if module is not None:
            module.tm = stub  # type: ignore[attr-defined]


def open_file(path: Path, settings: Settings, record: Mapping[str, Any]) -> OpenVinoRunner:
    """Open a file in OpenVINO.

    Raises:
        ImportError: If OpenVINO is missing.
        ValueError: If it cannot be compiled.
    """
    return OpenVinoRunner(path, settings)


class OpenVinoRunner:
    """A file in OpenVINO, on the CPU, in float32 unless half precision is asked for."""

    def __init__(self, path: Path, settings: Settings) -> None:
        ov: Any = require("openvino", "export", "running OpenVINO files")
        self.runtime = f"OpenVINO {ov.__version__.split('-')[0]}"
        core = ov.Core()
        able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if settings.half and "BF16" not in able:
            rule = "a processor with bfloat16 for half precision"
            raise ValueError(expected(self.runtime, rule, ", ".join(able), "leave out --half"))
        wanted = {
            "INFERENCE_PRECISION_HINT": "bf16" if settings.half else "f32",
            "INFERENCE_NUM_THREADS": settings.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            self._model = core.compile_model(str(path), "CPU", wanted)
        except Exception as error:
            remedy = "choose another --deform, or --fixed shapes, or another runtime (--to)"
            rule = "operators that it has on a CPU"
            raise ValueError(expected(self.runtime, rule, first_line(error), remedy)) from error
        self.precision = _precision(self._model)
        self.outputs = tuple(port.get_any_name() for port in self._model.outputs)

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run on images (N, C, H, W)."""
        try:
            found = self._model(images.float().contiguous().numpy())
        except Exception as error:
            raise refused(self.runtime, images, error) from error
        # Copied: the next call writes into the same memory.
        return tuple(
            torch.from_numpy(np.array(found[port], dtype=np.float32))
            for port in self._model.outputs
        )


def _precision(model: Any) -> str:
    """The floating types that the heavy layers of a compiled network run in."""
    used = set()
    for node in model.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        kind = str(info["layerType"]) if "layerType" in info else ""
        if any(word in kind for word in _HEAVY) and "runtimePrecision" in info:
            precision = str(info["runtimePrecision"])
            used.add(_NAMES.get(precision, precision))
    return ", ".join(sorted(used)) or _NAMES.get(
        str(model.get_property("INFERENCE_PRECISION_HINT").get_type_name()), "unknown"
    )
