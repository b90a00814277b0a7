"""What would run here: the backend of each operator, and the reasons against the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from foveate.ops.backends import explain
from foveate.ops.deform import BACKENDS
from foveate.ops.gate import EPILOGUES, GATES

OPERATORS = {"deform_conv2d": BACKENDS, "deform_gate": GATES, "gate_epilogue": EPILOGUES}


@dataclass(frozen=True)
class Choice:
    """One backend of one operator.

    Attributes:
        operator: Name of the operator.
        dtype: Dtype of the features.
        backend: Name of the backend.
        verdict: ``"chosen"``, ``"can run"``, or the reasons why it cannot.
    """

    operator: str
    dtype: str
    backend: str
    verdict: str


def choices(dtypes: Sequence[str], device: str) -> list[Choice]:
    """Say what the automatic choice takes, in the order in which it looks.

    Example:
        >>> [one.verdict for one in choices(["float64"], "cpu") if one.backend == "reference"]
        ['can run', 'can run', 'can run']
    """
    found = []
    for operator, backends in OPERATORS.items():
        for dtype in dtypes:
            example = torch.zeros(1, 8, 4, 4, dtype=getattr(torch, dtype), device=device)
            for row in explain(backends, example):
                can = "chosen" if row["chosen"] else "can run"
                verdict = "; ".join(row["reasons"]) or can
                found.append(Choice(operator, dtype, row["name"], verdict))
    return found
