"""Formulas as MathML, made while the site is built: no script, nothing loaded, readable offline."""

from __future__ import annotations

import re
from html import unescape

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def set_formulas(html: str, place: str) -> str:
    """Replace every formula of a page.

    Raises:
        ValueError: If one cannot be read; the page is named.
    """
    from latex2mathml.converter import convert

    def show(match: re.Match[str]) -> str:
        text = unescape(match[2]).strip()
        try:
            return convert(text, display="inline" if match[1] == "span" else "block")
        except Exception as error:
            raise ValueError(f"{place}: the formula {text} cannot be set: {error!r}") from error

    return _FORMULA.sub(show, html)
