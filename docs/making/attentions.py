"""A page for each attention of the registry."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_CARDS = re.compile(r"## One by one\n<!-- begin: attention-cards -->.*?<!-- end[^>]*-->", re.DOTALL)
_SITE = 64  # channels of the example


@functools.cache
def pages() -> dict[str, str]:
    """The pages by name, in the order of the registry."""
    from foveate.attention import list_attentions

    return {f"attentions/{name}.md": _page(name) for name in list_attentions(undefined=True)}


def without_cards(markdown: str) -> str:
    """docs/attentions.md without the sections that are pages here."""
    return _CARDS.sub("", markdown)


def _page(name: str) -> str:
    from foveate.attention import attention_spec
    from foveate.attention.card import facts

    spec = attention_spec(name)
    paper = f"[arXiv {spec.paper}]({spec.link})" if spec.link else spec.paper
    lines = [f"# {name}", "", f"**{spec.title}** ({spec.kind}, {spec.year}). Paper: {paper}.", ""]
    if spec.undefined:
        return "\n".join([*lines, f"Not made: {spec.undefined}", "", _told(spec), ""])
    known = facts(spec)
    lines += _use(name, spec)
    lines += ["## What it computes", "", *_docstring(spec)]
    lines += ["## Where it goes", "", f"Its own site is `{spec.site}`: {'; '.join(known['site'])}."]
    lines += ["Another is chosen by `where`, see [sites](../attentions.md#sites).", ""]
    lines += [
        f"It works on maps {known['maps'][0]}, and a fresh one {known['at the start'][0]}.",
        "",
    ]
    lines += ["## Costs", "", *_costs(name, spec)]
    for head, title in (("departs", "Departures"), ("verified", "Verified against")):
        if known.get(head):
            lines += [f"## {title}", "", *(f"- {line}" for line in known[head]), ""]
    lines += [_told(spec), ""]
    lines += _mentions(name)
    return "\n".join(lines)


def _told(spec: Any) -> str:
    """Whose code there is, with a link where it can be one."""
    from foveate.attention.card import facts

    text = facts(spec)["code of the authors"][0]
    return "Code of the authors: " + re.sub(r"(https://[^\s,]+)", r"<\1>", text) + "."


def _use(name: str, spec: Any) -> list[str]:
    import torch

    import foveate

    with torch.device("meta"):
        done = foveate.plan(foveate.create_model("resnet18"), name)
    sites = f"{len(done.sites)} sites" if len(done.sites) > 1 else "1 site"
    lines = ["```python", "import foveate, timm", ""]
    lines += ['net = timm.create_model("resnet18")']
    lines += [f'print(foveate.insert_(net, "{name}"))  # {sites}, +{done.params:,} parameters']
    if not spec.borrows_kernel and not spec.site.startswith("replace"):
        lines += [f'module = foveate.create_attention("{name}", {_SITE})  # by itself']
    if spec.networks:
        first = next(iter(spec.networks))
        lines += [f'whole = foveate.create_model("resnet50", "{name}", network="{first}")']
    return [*lines, "```", "", f"On the command line: `--attentions none,{name}`.", ""]


def _docstring(spec: Any) -> list[str]:
    path = f"{spec.factory.__module__}.{spec.factory.__qualname__}"
    options = [
        f"::: {path}",
        "    options:",
        "      heading_level: 3",
        "      members: []",
        "      skip_local_inventory: true",
        "      show_root_toc_entry: false",
        "",
    ]
    module = __import__(spec.factory.__module__, fromlist=["_"])
    text = (module.__doc__ or "").strip()
    return [text, "", *options]


def _costs(name: str, spec: Any) -> list[str]:
    from foveate.bench.zoo import plain_words, read_zoo

    counted = {}
    for channels in (64, 256, 1024):
        try:
            counted[channels] = spec.params(channels)
        except (ValueError, ZeroDivisionError):
            continue
    heads = " | ".join(f"{channels} channels" for channels in counted)
    numbers = " | ".join(f"{number:,}" for number in counted.values())
    lines = [f"| parameters of one, at | {heads} |", "|---|" + "---:|" * len(counted)]
    lines += [f"| `{name}` | {numbers} |", ""] if counted else []
    cost = read_zoo().costs.get(name)
    if cost:
        lines += ["| ResNet-50 with it | parameters | MACs | forward | step |"]
        lines += ["|---|---:|---:|---:|---:|", f"| `{name}` | {' | '.join(cost.texts)} |", ""]
        lines += [f"{plain_words()} MACs are counted in full, norms included.", ""]
    return lines


def _mentions(name: str) -> list[str]:
    """The results whose tables have a row of this attention."""
    found = []
    for path in sorted((ROOT / "docs" / "results").glob("[!R]*.md")):
        text = path.read_text(encoding="utf-8")
        if re.search(rf"^\| `?{re.escape(name)}`? \|", text, re.MULTILINE):
            title = re.search(r"^# (.*)$", text, re.MULTILINE)
            found.append(f"- [{title[1] if title else path.stem}](../results/{path.name})")
    return ["## Results that have it", "", *(found or ["None: not run."]), ""]
