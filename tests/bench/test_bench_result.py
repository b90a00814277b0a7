"""The result file refuses what could mislead."""

import json
from pathlib import Path

import pytest
from bench_tools import result, row
from pydantic import ValidationError

from foveate.bench import is_result, read_result
from foveate.bench.result import file_name

PUBLISHED = sorted((Path(__file__).parents[2] / "benchmarks" / "results").glob("*.json"))


def test_a_result_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "one.json"
    made = result([row(), row("deformops", None, status="not run: it is not installed")])
    made.save(path)
    assert is_result(path)
    assert read_result(path) == made


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_results_keep_the_schema(path):
    if not is_result(path):
        return  # Of another kind.
    read = read_result(path)
    assert not read.conditions.quick and not read.conditions.interrupted
    assert read.conditions.commit and read.rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "failed: off by 1"}, "holds min_ms, median_ms, iqr_ms, rounds"),
        ({"status": "not run"}, "pattern"),
        ({"status": "fine"}, "pattern"),
        ({"ms": None}, "neither a time nor memory"),
        ({"median_ms": None}, "minimum and its median"),
        ({"min_ms": -1.0}, "greater than 0"),
        ({"min_ms": float("nan")}, "greater than 0"),
        ({"mode": "backward"}, "forward\\+backward"),
        ({"run": 0}, "greater than or equal to 1"),
        ({"colour": "red"}, "Extra inputs"),
        ({"shape": (1, 2, 3)}, "shape"),
    ],
)
def test_rows_that_mislead_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        row(**changes)


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("schema",), "foveate-bench/9", "schema"),
        (("conditions", "threads"), 0, "conditions.threads"),
        (("rows", 0, "status"), "ok?", "rows.0.status"),
        (("rows", 0, "shape"), None, "rows.0.shape"),
        (("extra",), 1, "extra"),
    ],
)
def test_a_broken_file_names_the_place(tmp_path, place, value, named):
    path = tmp_path / "broken.json"
    result([row()]).save(path)
    tree = json.loads(path.read_text())
    part = tree
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    path.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=rf"result of schema foveate-bench/1; got .*{named}"):
        read_result(path)


def test_files_are_named_by_suite_and_machine():
    cpu = {"processor": "AMD EPYC(TM) 9 @ 2.4GHz", "gpus": ["NVIDIA H100"], "device": "cpu"}
    assert file_name(["memory"], cpu) == "memory--amd-epyc-tm-9-2-4ghz--cpu.json"
    assert file_name(["gate", "op"], {**cpu, "device": "cuda"}) == "all--nvidia-h100--cuda.json"
