"""What docstrings write and the site's reader does not know.

Roles such as ``:func:`~foveate.plan` `` become links where the site has the name, and a section
"Example" becomes "Examples", which is the one whose code is shown as code.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|mod|meth|attr|data|obj|exc):`(~?)([\w.]+)`")


class Roles(griffe.Extension):
    """Rewrites the docstring of every object when it is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Replace the roles of one docstring."""
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = _ROLE.sub(_plain, text)


def _plain(match: re.Match[str]) -> str:
    path = match[2]
    shown = path.rsplit(".", 1)[-1] if match[1] else path
    home = _documented().get(path) or _documented().get(path.rsplit(".", 1)[-1])
    return f"[`{shown}`][{home}]" if home else f"`{shown}`"


def _documented() -> dict[str, str]:
    folder = str(Path(__file__).parent)
    if folder not in sys.path:
        sys.path.append(folder)
    import reference

    return reference.homes()
