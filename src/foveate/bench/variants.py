"""The variants of one gate: ours, and what it is measured against."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import torch

from foveate.bench import modules
from foveate.bench.modules import Mix
from foveate.core import check_choice


def _no_reason(device: str) -> list[str]:
    return []


def _missing(package: str) -> list[str]:
    return [] if importlib.util.find_spec(package) else [f"the package {package} is not installed"]


def _why_not_torchvision(device: str) -> list[str]:
    return _missing("torchvision")


def _why_not_deformops(device: str) -> list[str]:
    needs = [] if device == "cuda" else [f"it is compared on CUDA only, and this is {device}"]
    return _missing("deformops") + needs


def _why_not_compiled(device: str) -> list[str]:
    compilers = (os.environ.get("CXX", "c++"), "g++", "clang++")
    found = device == "cuda" or any(shutil.which(one) for one in compilers)
    return _missing("torchvision") + ([] if found else ["there is no C++ compiler"])


@dataclass(frozen=True)
class Variant:
    """One way to compute the gate.

    Attributes:
        name: Its name in tables and on the command line.
        mix: Its deformable step.
        meaning: What it is, in a few words.
        oracle: The deformable step that it must agree with.
        whole: Whether the gate is the library's module, not the steps around ``mix``.
        channels_last: Whether input and weights are channels-last.
        compiled: Whether it goes through ``torch.compile``.
        halves: Whether it runs in bfloat16 on a CPU; if not, it stays in float32 there.
        why_not: The reasons why it cannot run on a device type.
    """

    name: str
    mix: Mix
    meaning: str
    oracle: Mix = modules.reference_mix
    whole: bool = False
    channels_last: bool = False
    compiled: bool = False
    halves: bool = True
    why_not: Callable[[str], list[str]] = _no_reason

    def dtype(self, wanted: torch.dtype, device: str) -> torch.dtype:
        """The dtype it computes in where ``wanted`` is asked for."""
        return wanted if self.halves or device != "cpu" else torch.float32


OURS = ("foveate", "foveate-nchw")
BASELINE = "torchvision"
_TABLE = (
    Variant(
        "torchvision",
        modules.torchvision_mix,
        "the same gate on torchvision.ops.deform_conv2d, NCHW, eager",
        halves=False,
        why_not=_why_not_torchvision,
    ),
    Variant(
        "torchvision-compiled",
        modules.torchvision_mix,
        "the same through torch.compile",
        compiled=True,
        halves=False,
        why_not=_why_not_compiled,
    ),
    Variant(
        "deformops",
        modules.deformops_mix,
        "the same gate on deformops' operator, channels-last",
        channels_last=True,
        why_not=_why_not_deformops,
    ),
    Variant(
        "foveate",
        modules.foveate_mix,
        "the library's module, channels-last",
        whole=True,
        channels_last=True,
    ),
    Variant("foveate-nchw", modules.foveate_mix, "the library's module, NCHW", whole=True),
    Variant(
        "conv",
        modules.conv_mix,
        "the same gate with an ordinary 3x3 convolution, channels-last, eager: the floor",
        oracle=modules.conv_mix,
        channels_last=True,
    ),
)
VARIANTS: dict[str, Variant] = {variant.name: variant for variant in _TABLE}


def line_up(versus: list[str]) -> list[Variant]:
    """Ours and the wanted baselines, in the order of the table.

    Raises:
        ValueError: If a baseline is unknown; near names are listed.

    Example:
        >>> [variant.name for variant in line_up(["conv"])]
        ['foveate', 'foveate-nchw', 'conv']
    """
    known = [name for name in VARIANTS if name not in OURS]
    for name in versus:
        check_choice("bench", "--vs", name, known)
    return [v for v in VARIANTS.values() if v.name in OURS or v.name in versus]


def baseline_of(versus: list[str]) -> str:
    """The variant that ratios refer to: torchvision if it is among them, else the first.

    Example:
        >>> baseline_of(["conv", "torchvision"]), baseline_of(["conv"]), baseline_of([])
        ('torchvision', 'conv', 'foveate')
    """
    return BASELINE if BASELINE in versus else (versus or ["foveate"])[0]
