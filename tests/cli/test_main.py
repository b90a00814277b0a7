"""The command line as a whole: help, errors, exit codes."""

import ast
import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import typer

import foveate.cli as cli

COMMANDS = sorted(cli.commands())
GROUPS = cli.groups()
SPOKEN = [
    *COMMANDS,
    *GROUPS,
    *(f"{name} {word}" for name, group in GROUPS.items() for word in cli.commands(group)),
]
LIGHT = {"__future__", "typer", *sys.stdlib_module_names}


def test_the_help_names_every_command(foveate):
    code, out, _ = foveate("--help")
    assert code == 0
    listed = [line.split()[0] for line in out.split("Commands:")[1].splitlines() if line.strip()]
    assert listed == [*COMMANDS, *GROUPS]
    assert {"compare", "evaluate", "list", "scenes", "train"} <= set(COMMANDS)


@pytest.mark.parametrize("name", SPOKEN)
def test_the_help_of_each_command_shows_an_example_on_one_line(foveate, name):
    code, out, _ = foveate(*name.split(), "--help")
    assert code == 0
    examples = [line for line in out.splitlines() if line.strip().startswith(f"foveate {name} ")]
    assert examples, out


def top_level_imports(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("path", sorted(Path(cli.__file__).parent.rglob("*.py")), ids=str)
def test_command_modules_import_nothing_heavy_at_their_top(path):
    heavy = [
        name
        for name in top_level_imports(path)
        if name.split(".")[0] not in LIGHT and not name.startswith("foveate.cli")
    ]
    assert heavy == []


@pytest.mark.parametrize("words", [["trian"], ["train"], ["list", "--knid", "x"]])
def test_wrong_usage_exits_with_2(foveate, words):
    code, out, err = foveate(*words)
    assert code == 2
    assert "Usage: foveate" in err
    assert "Traceback" not in err + out


def failing(error):
    def command():
        """Fail."""
        raise error

    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(cli.guarded(command))
    return typer.main.get_command(app)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("DAS expects alpha > 0; got 0"), "foveate: DAS expects alpha > 0; got 0\n"),
        (TypeError("bad type"), "foveate: bad type\n"),
        (ImportError("needs timm"), "foveate: needs timm\n"),
        (FileNotFoundError("no such recipe"), "foveate: no such recipe\n"),
        (
            OSError(errno.ENOSPC, "the disk is full; free it"),
            "foveate: the disk is full; free it\n",
        ),
        (
            FileNotFoundError(2, "No such file", "a.png"),
            "foveate: [Errno 2] No such file: 'a.png'\n",
        ),
    ],
)
def test_errors_are_one_line_without_traceback(capsys, monkeypatch, error, text):
    monkeypatch.delenv("FOVEATE_DEBUG", raising=False)
    with pytest.raises(SystemExit) as caught:
        failing(error).main(args=[])
    assert caught.value.code == 1
    assert capsys.readouterr().err == text


def test_foveate_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("FOVEATE_DEBUG", "1")
    with pytest.raises(ValueError, match="deep"):
        failing(ValueError("deep")).main(args=[])
    monkeypatch.setenv("FOVEATE_DEBUG", "0")
    with pytest.raises(SystemExit):
        failing(ValueError("deep")).main(args=[])


@pytest.mark.parametrize("text", ["", "resume with --resume"])
def test_ctrl_c_exits_with_130_and_says_how_to_go_on(capsys, text):
    with pytest.raises(SystemExit) as caught:
        failing(KeyboardInterrupt(*([text] if text else []))).main(args=[])
    assert caught.value.code == 130
    assert capsys.readouterr().err == f"foveate: {text or 'interrupted'}\n"


def test_version(foveate):
    code, out, _ = foveate("--version")
    assert code == 0
    assert out.startswith("foveate ")
    assert out.split()[1][0].isdigit()


def test_examples_keep_their_lines_in_the_help():
    def command():
        """Do it.

        A long text.

        Example:
            foveate do --this
        """

    assert cli.help_of(command).split("\n\n") == [
        "Do it.",
        "A long text.",
        "\b\nExample:\n    foveate do --this",
    ]


@pytest.mark.slow
def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "foveate", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.stdout.startswith("Usage: foveate ")


def test_warnings_are_one_plain_line_each_and_told_once(capsys):
    def work():
        warnings.simplefilter("always")  # the tests' own filter makes errors of them
        for _ in range(3):
            warnings.warn("2 images are left out", stacklevel=2)
        warnings.warn("something else", stacklevel=2)

    cli.guarded(work)()
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "foveate: warning: 2 images are left out",
        "foveate: warning: something else",
    ]


def test_without_typer_the_extra_is_named():
    code = "import sys; sys.modules['typer'] = None; import foveate.__main__ as m; m.main()"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert result.stderr == (
        'foveate: the command line needs the package typer; run `pip install "foveate[train]"`\n'
    )
