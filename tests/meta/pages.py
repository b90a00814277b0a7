"""The code and the commands of the Markdown pages.

Every ``python`` block of README and docs/*.md runs. Blocks of a page share their names, in order,
in a temporary folder:

- ``<!-- not run: the reason -->`` on the line before keeps a block from running,
- ``<!-- output -->`` before a ``text`` block says that it is what the code before it printed;
  ``...`` stands for any text,
- ``<!-- slow: the reason -->`` anywhere says that a page takes more than about 5 seconds.

- ``<!-- run -->`` before a shell block says that it is run too, with the pages' code around it.

Other shell blocks (``sh``, ``bash``, ``console`` or no word) are not run. Each ``foveate`` line in
them is read by the real command line: its words, options and their values.
"""

import contextlib
import doctest
import functools
import io
import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").glob("*.md"))]
COMMANDED = [*PAGES, *sorted((ROOT / "docs/results").glob("*.md")), ROOT / "CONTRIBUTING.md"]
SHELLS = ("", "sh", "bash", "console")
_BLOCK = re.compile(r"^( *)(`{3,})([\w-]*)[^\n`]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- *(not run: *(?:(?!-->).)+?|output|run) *-->\s*\Z", re.DOTALL)
_SLOW = re.compile(r"<!-- *slow: *\S.*?-->")
_STARTERS = {"torchrun", "srun", "python", "/usr/bin/time", "nohup", "time", "docker", "uv"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    ``line`` is that of its first line of code, ``note`` what the comment before it says.
    """

    page: Path
    line: int
    language: str
    code: str
    note: str

    @property
    def place(self):
        return f"{name_of(self.page)}:{self.line}"

    @property
    def runs(self):
        if self.language in SHELLS:
            return self.note == "run"
        return self.language == "python" and not self.note.startswith("not run")


def name_of(page):
    return page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name


def blocks_of(page):
    """Every fenced block of a page, in order."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in _BLOCK.finditer(text):
        before = _COMMENT.search(text[: match.start()])
        line = text.count("\n", 0, match.start(4)) + 1
        code, note = textwrap.dedent(match[4]), before[1] if before else ""
        found.append(Block(page, line, match[3], code, note))
    return found


def is_slow(page):
    return _SLOW.search(page.read_text(encoding="utf-8")) is not None


def run_page(page):
    """Run the code of a page; returns the names that it has made and what each block printed.

    Raises:
        AssertionError: If an example or an output is not what the page says.
    """
    names, printed, last = {"__name__": "__page__"}, {}, None
    for block in blocks_of(page):
        if block.note == "output":
            assert last is not None, f"{block.place}: no code before this output"
            _same(block, printed[last.line])
        if not block.runs:
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            if block.language in SHELLS:
                _shell(block)
            elif ">>> " in block.code:
                _examples(block, names)
            else:
                # Empty lines before the code, so that errors name the line of the page.
                code = "\n" * (block.line - 1) + block.code
                exec(compile(code, str(page), "exec"), names)
        printed[block.line], last = out.getvalue(), block
    return names, printed


def _shell(block):
    """Run the commands in the present folder, ``foveate`` being the one that is tested."""
    line = f'foveate() {{ {shlex.quote(sys.executable)} -m foveate "$@"; }}\nset -e\n{block.code}'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0, f"{block.place} {done.stdout[-2000:]}{done.stderr[-2000:]}"


def _same(block, got):
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert checker.check_output(block.code, got, flags), f"{block.place} got:\n{got}"


def _examples(block, names):
    test = doctest.DocTestParser().get_doctest(
        block.code, names, block.place, str(block.page), block.line - 1
    )
    said = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(test, out=said.write, clear_globs=False).failed == 0, said.getvalue()
    names |= test.globs


def commands_of(page):
    """Every simple command of the shell blocks, with its line: lists of words."""
    for block in blocks_of(page):
        if block.language not in SHELLS or block.note.startswith("not run"):
            continue
        lines = block.code.replace("\\\n", " \0").split("\n")
        number = block.line
        for line in lines:
            yield from ((number, words) for words in _simple(line.replace("\0", "")))
            number += 1 + line.count("\0")


def _simple(line):
    """Split a line of shell into simple commands, without variables set before them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = []
    try:
        tokens = [*lexer, ";"]
    except ValueError:  # an apostrophe in printed text: no command of ours
        return
    target = False  # what a redirection names is no word of the command
    for token in tokens:
        if set(token) <= set("<>&") and token not in ("&", "&&"):
            target = True
        elif set(token) <= set(";&|"):
            if words:
                yield words
            words, target = [], False
        elif target:
            target = False
        elif words or not (token == "$" or re.fullmatch(r"\w+=.*", token)):
            words.append(token)


def foveate_words(words):
    """What comes after ``foveate`` in a command, also behind torchrun and the like; else None."""
    if "foveate" not in words:
        return None
    at = words.index("foveate")
    if at == 0 or (words[0] in _STARTERS and words[at - 1] not in ("install", "clone")):
        return words[at + 1 :]
    return None


@functools.cache
def _command_line():
    import typer

    from foveate.cli import build

    return typer.main.get_command(build())


def parse(words):
    """Let the real command line read the words; runs nothing.

    Raises:
        ValueError: If they are no command or have a wrong option or value.
    """
    import typer

    usage_error = typer.BadParameter.__mro__[1]
    command, name, rest = _command_line(), "foveate", list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.commands:
            raise ValueError(f"no command {name}")
        command = command.commands[name]
    try:
        if "--help" not in rest:
            command.make_context(name, rest)
    except usage_error as error:
        raise ValueError(error.format_message()) from None
    except typer.Exit:
        pass  # --version ends here
