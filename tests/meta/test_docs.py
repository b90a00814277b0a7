"""What README and CONTRIBUTING say is run."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
COMMANDS = sorted(set(re.findall(r"^foveate (\w+)", README, re.M)))


def test_the_first_lines_of_the_readme_run_and_say_what_they_promise():
    assert 0 < len(PYTHON[0].strip().splitlines()) <= 9
    printed = io.StringIO()
    torch.manual_seed(0)
    with contextlib.redirect_stdout(printed):
        exec(compile(PYTHON[0], "README.md", "exec"), {})
    text = printed.getvalue()
    claim = re.search(r"# (\d) sites, (\+[\d,]+) parameters, (\+[\d.]+ GMAC)", PYTHON[0])
    assert f"at {claim[1]} sites of ResNet: {claim[2]} parameters, {claim[3]} an image" in text
    assert "\nTrue\n" in text
    assert "'das'" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_exists_and_shows_an_example(command):
    from foveate.cli import build

    result = CliRunner().invoke(build(), [command, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output


def test_every_make_target_of_the_documents_exists():
    makefile = (ROOT / "Makefile").read_text()
    pages = README + (ROOT / "CONTRIBUTING.md").read_text()
    for target in set(re.findall(r"\bmake ([a-z-]+)", pages)) - {"makes"}:
        assert re.search(rf"^{target}:", makefile, re.M), target
    help_text = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "make demo" in help_text and "make test" in help_text


def test_files_that_the_documents_link_to_exist():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        text = page.read_text()
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / link).exists(), f"{page}: {link}"
        titles = {title.lower() for title in re.findall(r"^#+ (.*)$", text, re.M)}
        assert {*re.findall(r"\]\(#([^)]+)\)", text)} <= {t.replace(" ", "-") for t in titles}


def test_generated_tables_are_up_to_date():
    result = subprocess.run(
        [sys.executable, "docs/build.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_the_published_sweep_is_whole():
    import json

    sweep = json.loads((ROOT / "benchmarks/results/sweep.json").read_text())
    tried = len(sweep["passed"]) + len(sweep["failed"])
    assert f"{len(sweep['passed'])} of {tried} convolutional families" in README.replace("\n", " ")
    assert len(sweep["failed"]) < 0.05 * tried
