"""The code of docs/detectors.md: files by their name, and what runs from top to bottom."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/detectors.md").read_text()
_FRAMEWORK, _OWN = PAGE.split("\n## Your own detector\n")


def _code(text):
    return re.findall(r"```python\n(.*?)```", text, re.S)


FILES = {re.match(r"# (\w+\.py)", code)[1]: code for code in _code(_FRAMEWORK)}
SNIPPETS = _code(_OWN)
