"""What the pages say is run, or read by the command line; see pages.py for the convention."""

import re

import pytest
from pages import (
    COMMANDED,
    PAGES,
    ROOT,
    blocks_of,
    commands_of,
    foveate_words,
    is_slow,
    name_of,
    parse,
    run_page,
)

CODED = [page for page in PAGES if any(block.runs for block in blocks_of(page))]
FAST, SLOW = ([page for page in CODED if is_slow(page) is slow] for slow in (False, True))


@pytest.mark.parametrize("page", FAST, ids=name_of)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", SLOW, ids=name_of)
def test_the_code_of_a_slow_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)


@pytest.mark.parametrize("page", COMMANDED, ids=name_of)
def test_the_commands_of_a_page_are_commands(page):
    faults = []
    for line, words in commands_of(page):
        called = foveate_words(words)
        try:
            if called is not None:
                parse(called)
        except ValueError as error:
            faults.append(f"{name_of(page)}:{line}: foveate {' '.join(called)}: {error}")
        for word in words:
            named = re.fullmatch(r"(?:recipes|examples|benchmarks|docs)/[\w./-]+\.(toml|py)", word)
            if named and not (ROOT / word).is_file():
                faults.append(f"{name_of(page)}:{line}: no file {word}")
    assert faults == []


@pytest.mark.parametrize("page", COMMANDED, ids=name_of)
def test_commands_within_the_text_exist(page):
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for words in re.findall(r"`foveate((?: [a-z-]+)+)", text):
        first, *more = words.split()
        parse([first, *[word for word in more[:1] if first == "detect"], "--help"])


def test_what_is_not_run_says_why_and_is_little():
    """The reasons, for `pytest -rP`: blocks of code that cannot run in the tests."""
    kept = [block for page in PAGES for block in blocks_of(page) if block.language == "python"]
    skipped = [block for block in kept if not block.runs]
    for block in skipped:
        print(f"{block.place} {block.note}")
    print(f"{len(skipped)} of {len(kept)} blocks of code are not run")
    assert len(skipped) <= 0.3 * len(kept)


PAGE = """# A page

```python
kept = 2
print("of", kept)
```

<!-- output -->
```text
of ...
```

- within a list

    ```python
    >>> kept + 1
    3
    ```

<!-- not run: it needs a machine that nobody has -->
```python
1 / 0
```

<!-- run -->
```sh
pwd > here
```

```sh
pip install foveate
FOO=1 torchrun --nproc-per-node 2 -m foveate train RECIPE \\
  --set seed=3 | tee log   # a comment
foveate list && foveate detect nothing
```
"""


def test_the_check_runs_code_in_order_and_sees_faults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    names, printed = run_page(page)
    assert names["kept"] == 2 and list(printed.values()) == ["of 2\n", "", ""]
    assert (tmp_path / "here").read_text() == f"{tmp_path}\n"
    assert [block.line for block in blocks_of(page)] == [4, 10, 16, 22, 27, 31]
    for old, new in (("of ...", "no ..."), ("    3\n", "    4\n"), ("<!-- not run: ", "<!-- ")):
        page.write_text(PAGE.replace(old, new))
        with pytest.raises((AssertionError, ZeroDivisionError)):
            run_page(page)


def test_the_check_reads_commands_as_the_command_line_does(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    found = [(line, foveate_words(words)) for line, words in commands_of(page)]
    assert found == [
        (27, None),
        (31, None),
        (32, ["train", "RECIPE", "--set", "seed=3"]),
        (32, None),
        (34, ["list"]),
        (34, ["detect", "nothing"]),
    ]
    parse(["compare", "scenes", "--seeds", "3"])
    parse(["detect", "train", "--help"])
    for wrong in (
        ["detect", "nothing"],
        ["compare", "--sedes", "3"],
        ["compare", "--epochs", "none"],
        ["train"],
    ):
        with pytest.raises(ValueError, match=r"(?i)no such option|no command|a valid|missing"):
            parse(wrong)
