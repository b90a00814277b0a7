"""What MkDocs calls while it builds the site: pages from the code, links out of docs, formulas.

``mkdocs.yml`` names this file. Nothing is written beside the site itself: generated pages live in
memory, and the pages in ``docs/`` stay as they read on any host of repositories.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attentions
import benchmarks
import links
import mathml
import reference
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
# Pages that lie elsewhere in the repository, under the names that they have on the site.
ELSEWHERE = {
    "README.zh.md": "zh.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks/index.md",
}


def on_config(config: Any) -> Any:
    """Fill the navigation with what lists itself."""
    named = set(_paths(config.nav))
    section = {name: part[name] for part in config.nav for name in part}
    here = [path.name for path in sorted((ROOT / "docs").glob("*.md"))]
    section["Guides"] += [name for name in here if name not in named]
    section["Attentions"] += attentions.pages()
    results = sorted((ROOT / "docs" / "results").glob("[!R]*.md"))
    section["Results"] += [f"results/{path.name}" for path in results]
    section["Benchmarks"] += ["benchmarks/index.md", *benchmarks.pages()]
    section["Reference"] += [page for page in reference.pages() if page != "reference/index.md"]
    section["Reference"] += ["changelog.md", "contributing.md"]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made, those that lie elsewhere, and files that pages link to."""
    made = attentions.pages() | benchmarks.pages() | reference.pages()
    for place, name in ELSEWHERE.items():
        made[name] = (ROOT / place).read_text(encoding="utf-8")
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    results = [path.relative_to(ROOT).as_posix() for path in benchmarks.FOLDER.glob("*.json")]
    for path in sorted({*links.outside(ROOT, ELSEWHERE), *results}):
        name = f"{links.FOLDER}/{path}"
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to where things are on the site."""
    source = page.file.src_uri
    home = next((place for place, name in ELSEWHERE.items() if name == source), f"docs/{source}")
    if source == "attentions.md":
        markdown = attentions.without_cards(markdown)
    return links.on_site(markdown, home, source, ROOT, ELSEWHERE)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Set formulas as MathML, which browsers show by themselves."""
    return links.boxed_tables(mathml.set_formulas(html, page.file.src_uri))


def _paths(nav: Any) -> list[str]:
    """Every page that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [path for part in parts for path in _paths(part)]
