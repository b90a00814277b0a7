"""The result file: rows, and the conditions without which no number counts.

Reading a file validates it; a row that is not "ok" can hold no number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from foveate.core import Words, expected
from foveate.core.files import write_json
from foveate.core.reading import read_json, read_text

SCHEMA: Final = "foveate-bench/1"
OK = "ok"
NUMBERS = ("min_ms", "median_ms", "iqr_ms", "rounds", "speedup", "roof_ratio", "memory_mib")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Strict):
    """One variant on one map in one mode.

    Attributes:
        suite: The table it belongs to.
        case: The map, or the network.
        shape: (N, C, H, W) of the input.
        dtype: The dtype of the table.
        computed_in: The dtype the variant itself computed in.
        variant: Its name.
        mode: ``"forward"`` or ``"forward+backward"``.
        run: Which repetition of the table, from 1.
        status: ``"ok"``, ``"not run: <reason>"`` or ``"failed: <reason>"``.
        baseline: The variant that ``speedup`` refers to.
        min_ms: Milliseconds of the fastest call.
        median_ms: Their median.
        iqr_ms: Distance between their quartiles.
        rounds: Timed calls.
        speedup: Milliseconds of the baseline over those of this row, in the statistic of the file;
            above 1 is faster. None where the baseline has no number.
        roof_ratio: Milliseconds over the least that the machine's measured rates allow.
        memory_mib: Peak memory over the state before the call.
        load: Load average before and after.
    """

    suite: str
    case: str
    shape: tuple[int, int, int, int]
    dtype: str
    computed_in: str
    variant: str
    mode: Literal["forward", "forward+backward"]
    run: int = Field(ge=1)
    status: str = Field(pattern=r"^(ok|not run: .+|failed: .+)$")
    baseline: str
    min_ms: float | None = Field(default=None, gt=0)
    median_ms: float | None = Field(default=None, gt=0)
    iqr_ms: float | None = Field(default=None, ge=0)
    rounds: int | None = Field(default=None, ge=1)
    speedup: float | None = Field(default=None, gt=0)
    roof_ratio: float | None = Field(default=None, gt=0)
    memory_mib: float | None = Field(default=None, ge=0)
    load: tuple[float | None, float | None] = (None, None)

    @model_validator(mode="after")
    def _numbers_where_ok(self) -> Row:
        given = [name for name in NUMBERS if getattr(self, name) is not None]
        if self.status != OK and given:
            raise ValueError(f"a row that is {self.status!r} holds {', '.join(given)}")
        if self.status == OK and self.min_ms is None and self.memory_mib is None:
            raise ValueError("a row that is 'ok' holds neither a time nor memory")
        if (self.min_ms is None) != (self.median_ms is None):
            raise ValueError("a time has its minimum and its median")
        return self


class Conditions(_Strict):
    """What the numbers depend on; rates are measured in the same run."""

    command: str
    commit: str | None
    dirty: bool
    started: str
    ended: str
    interrupted: bool
    quick: bool
    device: Literal["cpu", "cuda"]
    threads: int = Field(ge=1)
    system: str
    processor: str
    cores: int | None
    gpus: list[str]
    versions: dict[str, str | None]
    statistic: Literal["minimum", "median"]
    clock: Literal["wall", "processor"]
    seconds: float = Field(gt=0)
    repeat: int = Field(ge=1)
    gemm_gflops: dict[str, float]
    bandwidth_gbs: float | None
    load: tuple[float | None, float | None]


class Result(_Strict):
    """A result file."""

    schema_: Literal["foveate-bench/1"] = Field(default=SCHEMA, alias="schema")
    suites: list[str]
    conditions: Conditions
    rows: list[Row]

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_json(path, self.model_dump(by_alias=True, mode="json"))


def is_result(path: Path) -> bool:
    """Whether a JSON file declares the schema, any version of it."""
    tree = read_json(path)
    return isinstance(tree, dict) and str(tree.get("schema", "")).startswith("foveate-bench/")


def read_result(path: Path) -> Result:
    """Read a result file.

    Raises:
        ValueError: If it breaks the schema; every breach is named.
    """
    try:
        return Result.model_validate_json(read_text(path))
    except ValidationError as error:
        breaches = [
            f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()
        ]
        raise ValueError(
            expected(str(path), f"a result of schema {SCHEMA}", Words("; ".join(breaches)))
        ) from None


def file_name(suites: list[str], conditions: dict[str, Any]) -> str:
    """Name a file by what was measured where.

    Example:
        >>> file_name(["gate"], {"processor": "Some CPU @ 2 GHz", "gpus": [], "device": "cpu"})
        'gate--some-cpu-2-ghz--cpu.json'
    """
    gpus = conditions["gpus"]
    on_gpu = conditions["device"] == "cuda" and gpus
    machine = gpus[0] if on_gpu else conditions["processor"].replace("(R)", "")
    slug = re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-") or "unknown"
    return f"{suites[0] if len(suites) == 1 else 'all'}--{slug}--{conditions['device']}.json"
