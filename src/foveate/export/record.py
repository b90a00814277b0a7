"""The JSON beside an exported file: what whoever deploys it must know to feed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from foveate.core import environment
from foveate.core.files import write_json
from foveate.core.reading import read_object
from foveate.export.check import Check
from foveate.export.program import INPUT, Program
from foveate.export.settings import Runner, Target
from foveate.export.timing import Speed


@dataclass(frozen=True)
class Preparation:
    """How images become input.

    Attributes:
        size: Side of the square that the network was trained on, in pixels.
        mean: Subtracted from each channel of an RGB image in [0, 1].
        std: What each is divided by.
        resize: Pixels that the shorter side is brought to before the center is cut out; None for
            a network that takes images of any size as they are.
    """

    size: int
    mean: Sequence[float]
    std: Sequence[float]
    resize: int | None = None


@dataclass(frozen=True)
class Subject:
    """What is exported, in words.

    Attributes:
        network: The base network.
        attention: What is inserted.
        part: What of it, if not the whole: ``"backbone and pyramid"``.
        classes: Names of the outputs of a classifier, in order.
        preparation: Of its images.
        more: What else is known.
    """

    network: str = "network"
    attention: str | None = None
    part: str | None = None
    classes: Sequence[str] | None = None
    preparation: Preparation | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


def record_path(file: Path) -> Path:
    """Where the JSON of a file lies: its name with ``.json`` behind it."""
    return file.with_name(f"{file.name}.json")


def compose(
    target: Target, program: Program, files: Sequence[Path], subject: Subject, *, half: bool
) -> dict[str, Any]:
    """Say what is known before the file is run."""
    names = {"network": subject.network, "attention": subject.attention, "part": subject.part}
    told = {key: value for key, value in names.items() if value is not None}
    return {
        "format": 1,
        "made_by": "foveate export",
        "runtime": target.name,
        "files": [one.name for one in files],
        **told,
        **dict(subject.more),
        "input": {
            "name": INPUT,
            "shape": list(program.shape),
            "layout": "NCHW, RGB",
            "dtype": str(program.dtype).removeprefix("torch."),
        },
        "preparation": None
        if subject.preparation is None
        else {key: _plain(value) for key, value in asdict(subject.preparation).items()},
        "outputs": list(program.outputs),
        "classes": None if subject.classes is None else list(subject.classes),
        "dtype": str(program.dtype).removeprefix("torch."),
        "half": half,
        "deform": program.deform,
        "dynamic": list(program.dynamic),
        "versions": environment.versions(("foveate", *target.packages)),
        "made": environment.timestamp(),
    }


def measured(runner: Runner, check: Check | None, speed: Speed | None) -> dict[str, Any]:
    """Say what came out when the file was run."""
    return {
        "precision": runner.precision,
        "ran_in": runner.runtime,
        "check": "not run"
        if check is None
        else {
            "images": check.images,
            "absolute": check.absolute,
            "relative": check.relative,
            "limit": check.limit,
            "same_class": check.agree,
            "shapes": [list(one.shape) for one in check.cases],
        },
        "latency": "not measured"
        if speed is None
        else {
            "ms": speed.exported.ms,
            "pytorch_ms": speed.eager.ms,
            "ratio": speed.exported.ratio,
            "low": speed.exported.low,
            "high": speed.exported.high,
            "shape": list(speed.shape),
            "threads": speed.threads,
            "processor": environment.processor(),
        },
    }


def read_record(file: Path) -> dict[str, Any]:
    """Read the JSON of an exported file; empty if there is none or it cannot be read."""
    try:
        return read_object(record_path(file))
    except (OSError, ValueError):
        return {}


def write_record(file: Path, tree: Mapping[str, Any]) -> Path:
    """Write the JSON of an exported file."""
    path = record_path(file)
    write_json(path, dict(tree))
    return path


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
