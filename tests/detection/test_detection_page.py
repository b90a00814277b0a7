"""What docs/detection.md says runs."""

import contextlib
import io
import re
from pathlib import Path

from foveate.detection import parse_detection_recipe
from foveate.training.toml import read_toml

PAGE = (Path(__file__).parents[2] / "docs/detection.md").read_text(encoding="utf-8")


def block(kind):
    return re.search(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]


def test_the_python_runs():
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        exec(compile(block("python"), "detection.md", "exec"), {})
    assert told.getvalue().startswith("4 gates; levels at ['layer1")


def test_the_recipe_is_one(tmp_path):
    (tmp_path / "one.toml").write_text(block("toml"))
    recipe = parse_detection_recipe(read_toml(tmp_path / "one.toml"))
    assert recipe.train.epochs - recipe.train.lead_in == 12
    assert recipe.train.scaled_lr(8) == 0.02


def test_its_files_and_commands_are_there():
    root = Path(__file__).parents[2]
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (root / "docs" / link).exists(), link
    for path in re.findall(r"recipes/detection/[\w.-]+\.toml", PAGE):
        assert (root / path).is_file(), path
