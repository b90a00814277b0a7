"""What all HTML pages share: the templates and how they are read."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from foveate.core import require

_TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Any:
    """The templates of the package; what they are given is escaped, and a missing name fails.

    Raises:
        ImportError: If jinja2 is missing.
    """
    jinja2 = require("jinja2", "train", "the HTML report")
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def markup(text: str) -> Any:
    """A piece of HTML that we made ourselves, which is not escaped again."""
    return require("jinja2", "train", "the HTML report").utils.markupsafe.Markup(text)


def inline_png(path: Path) -> str:
    """A PNG file as an address that holds it whole, so that a page needs no file beside it."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
