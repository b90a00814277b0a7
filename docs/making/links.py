"""Links of the repository's pages, led to where the same things are on the site."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from os.path import normpath, relpath
from pathlib import Path

# Where files that lie outside of docs stand on the site.
FOLDER = "files"
_LINK = re.compile(r"(\]\()([^)\s#]+)?(#[^)\s]*)?(\))")
_CODE = re.compile(r"(^ *```.*?^ *```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_ATTENTION = re.compile(r"#([a-z0-9_]+)$")


def outside(root: Path, elsewhere: Mapping[str, str]) -> list[str]:
    """Files of the repository, outside of docs, that a page of the site links to."""
    pages = [*(root / "docs").rglob("*.md"), *(root / place for place in elsewhere)]
    found = set()
    for page in pages:
        home = page.relative_to(root).as_posix()
        for _, path, _, _ in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
            target = _target(path, home)
            if target and not target.startswith("docs/") and (root / target).is_file():
                found.add(target)
    return sorted(found - set(elsewhere) - {"README.md"})


def on_site(markdown: str, home: str, source: str, root: Path, elsewhere: Mapping[str, str]) -> str:
    """Rewrite the links of a page.

    Args:
        markdown: Its text.
        home: Where it lies in the repository, such as ``docs/explain.md``.
        source: Its name on the site, such as ``explain.md``.
        root: The repository.
        elsewhere: Pages outside of docs by place, with their names on the site.
    """

    def lead(match: re.Match[str]) -> str:
        before, path, anchor, after = match.groups()
        if path is None and source == "attentions.md" and _attention(anchor):
            return f"{before}attentions/{anchor[1:]}.md{after}"
        target = _target(path, home)
        if target is None:
            return match[0]
        if target == "docs/attentions.md" and _attention(anchor):
            return f"{before}{_from(source, f'attentions/{anchor[1:]}.md')}{after}"
        if (root / target).is_dir():
            index = f"{target}/README.md"
            target = index if (root / index).is_file() else target
        if target == "README.md":
            name, anchor = "index.md", ""
        elif target == "src/foveate":
            name = "reference/index.md"
        elif target in elsewhere:
            name = elsewhere[target]
        elif target.startswith("docs/"):
            name = target.removeprefix("docs/")
        else:
            name = f"{FOLDER}/{target}"
        return f"{before}{_from(source, name)}{anchor or ''}{after}"

    return _outside_code(markdown, lambda text: _LINK.sub(lead, text))


def boxed_tables(html: str) -> str:
    """Put every table into a box of its own, in which it scrolls where it is too wide."""
    boxed = re.sub(r"<table(?! class)", '<div class="wide" tabindex="0"><table', html)
    if boxed == html:
        return html
    return boxed.replace("</table>", "</table></div>")


def _attention(anchor: str | None) -> bool:
    """Whether an anchor of docs/attentions.md is that of a card."""
    from foveate.attention import list_attentions

    found = _ATTENTION.match(anchor or "")
    return bool(found) and found[1] in list_attentions(undefined=True)


def _target(path: str | None, home: str) -> str | None:
    """The place in the repository that a link of the page at ``home`` names, if it names one."""
    if not path or re.match(r"[a-z]+:|/", path):
        return None
    return normpath(f"{home}/../{path}")


def _from(source: str, name: str) -> str:
    return relpath(name, str(Path(source).parent))


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    parts = _CODE.split(markdown)
    return "".join(part if odd % 2 else change(part) for odd, part in enumerate(parts))
