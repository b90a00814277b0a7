"""Tables of measurements: those that foveate writes, and those that come with it."""

import json
from pathlib import Path
from unittest.mock import patch

import tomllib
from harness import reader
from mutations import json_files
from setting_readers import toml_files

from foveate.bench import zoo
from foveate.bench.result import is_result, read_result
from foveate.paper import published

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
BENCH = json.loads(next(RESULTS.glob("*--cpu.json")).read_bytes())
BENCH["rows"] = BENCH["rows"][:2]


@reader("benchmarks", "the JSON of foveate bench", json.dumps(BENCH).encode(), json_files(BENCH))
def read_benchmark(content, folder):
    file = folder / "a.json"
    file.write_bytes(content)
    if is_result(file):
        read_result(file)


COSTS = json.loads(zoo.FILE.read_bytes())


@reader(
    "costs of the zoo", "zoo.json of the package", json.dumps(COSTS).encode(), json_files(COSTS)
)
def read_costs(content, folder):
    file = folder / "zoo.json"
    file.write_bytes(content)
    with patch.object(zoo, "FILE", file):
        zoo.plain_words()


@reader(
    "figures of the paper",
    "published.toml of the package",
    published.PATH.read_bytes(),
    toml_files(tomllib.loads(published.PATH.read_text(encoding="utf-8"))),
)
def read_figures(content, folder):
    file = folder / "published.toml"
    file.write_bytes(content)
    with patch.object(published, "PATH", file):
        published.published.__wrapped__()
