"""The model card: what a network on the Hub says of itself, generated from the network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import nn

from foveate.core import Words, expected, require
from foveate.integrations.hub.describing import Facts, classes_of, describe

DAS = "DAS: A Deformable Attention to Capture Salient Information in CNNs"

_CITATION = f"""```bibtex
@article{{das2023,
  title = {{{DAS}}},
  author = {{Salajegheh, Farzad and Asadi, Nader and Saryazdi, Soroush and Mudur, Sudhir}},
  journal = {{arXiv preprint arXiv:2311.12091}},
  year = {{2023}}
}}
```"""

_LOADING = """```python
from foveate.integrations.hub import HubModel  # pip install "foveate[export,models]"

network = HubModel.from_pretrained("{where}").network
```

The same files in a folder are read by `foveate.load(folder)`: safetensors and JSON,
no pickle, no code of this repository."""


def model_card(
    network: nn.Module,
    *,
    run: str | os.PathLike[str] | None = None,
    license: str | None = None,
    repo_id: str | None = None,
) -> str:
    """Write the model card of a network, in Markdown with the Hub's header.

    Every number is counted on the network, or read from the run.

    Args:
        network: The network, with or without attentions.
        run: The run folder that it came from; its data, settings and results are told then.
        license: What the weights may be used under (``"apache-2.0"``); None says that nobody has
            stated it.
        repo_id: Where it will be, ``"owner/name"``.

    Raises:
        FileNotFoundError: If ``run`` is no run folder.
        ValueError: If the run is not finished, or its network has other classes.
        ImportError: If huggingface_hub is missing.

    Example:
        >>> import foveate
        >>> card = model_card(foveate.create_model("resnet10t", "das", num_classes=3))
        >>> "tags:" in card, "resnet10t with das" in card
        (True, True)
    """
    return str(card_of(network, run=run, license=license, repo_id=repo_id))


def card_of(
    network: nn.Module,
    *,
    run: str | os.PathLike[str] | None = None,
    license: str | None = None,
    repo_id: str | None = None,
) -> Any:
    """The same as an object of the Hub's library."""
    hub: Any = require("huggingface_hub", "export", "a model card")
    made = None if run is None else _run(run)
    classes = classes_of(network)
    if made is not None and classes not in (None, made["classes"]):
        rule = f"a run of {classes} classes, as the network has"
        raise ValueError(expected("model_card", rule, made["classes"]))
    facts = describe(network, None if made is None else made["size"])
    name = facts.title if repo_id is None else repo_id.rpartition("/")[2]
    header = hub.ModelCardData(
        library_name="foveate",
        license=license,
        pipeline_tag="image-classification",
        tags=["foveate", "image-classification", *(one.name for one in facts.attentions)],
        model_name=None if made is None else name,
        eval_results=None if made is None else _scores(hub, made),
    )
    parts = [
        f"# {name}",
        f"{facts.title}: {len(facts.sites)} attentions, inserted by foveate."
        if facts.sites
        else f"{facts.title}, without attention.",
        _table(facts),
    ]
    if made is not None:
        parts += ["## Results", _results(made)]
    parts += ["## Loading", _LOADING.format(where=repo_id or "a folder, or owner/name")]
    if facts.attentions:
        parts += ["## What was inserted", "\n".join(_about(facts))]
    terms = license or "Whoever published these weights has not stated a license."
    parts += ["## License", terms, "## Citation", _cited(facts), _CITATION]
    return hub.ModelCard(f"---\n{header.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n")


def _run(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a card tells of a run."""
    from foveate.training import RunFolder

    folder = RunFolder(os.fspath(path))
    recipe, result = folder.recipe, folder.result
    if result is None:
        remedy = "finish it first: foveate train --resume"
        raise ValueError(expected("model_card", "a finished run", str(folder.path), remedy))
    if "top1" not in result:
        got = Words(f"{folder.path}, which has none")
        raise ValueError(expected("model_card", "the run of a classifier, with its top-1", got))
    return {
        **result,
        "classes": len(result["classes"]),
        "data": recipe.data.source,
        "size": recipe.data.size,
        "seed": recipe.seed,
        "environment": folder.environment or {},
    }


def _scores(hub: Any, run: dict[str, Any]) -> list[Any]:
    names = {"top1": ("accuracy", "top-1"), "top5": ("accuracy", "top-5")}
    return [
        hub.EvalResult(
            task_type="image-classification",
            dataset_type=_word(run["data"]),
            dataset_name=_word(run["data"]),
            dataset_split="validation",
            metric_type=kind,
            metric_name=f"{label} accuracy, percent",
            metric_value=round(100 * run[key], 2),
        )
        for key, (kind, label) in names.items()
        if run.get(key) is not None
    ]


def _word(source: str) -> str:
    """A data set's name without the folder that it lies in, which is nobody's business.

    Example:
        >>> _word("fashion-mnist:/data"), _word("scenes"), _word("shots/photos")
        ('fashion-mnist', 'scenes', 'photos')
    """
    kind, _, place = source.partition(":")
    return kind if place and len(kind) > 1 else Path(source).name


def _table(facts: Facts) -> str:
    cost, (_, height, width) = facts.cost, facts.cost.size
    start = "closed (identity)" if facts.identity else "as in the attention's own paper"
    rows = {
        "base network": facts.network,
        "attention": ", ".join(f"{one.name} ({one.title})" for one in facts.attentions) or "none",
        "sites": ", ".join(facts.sites) or "none",
        "start": start if facts.sites else "",
        "classes": "" if facts.classes is None else str(facts.classes),
        "image": f"{cost.size[0]} x {height} x {width}",
        "parameters": f"{cost.params:,}, {facts.added:,} of them in attentions",
        "multiply-accumulates": f"{cost.macs / 1e9:.3f} G an image",
        "published convention": f"{cost.params_published:,} parameters,"
        f" {cost.macs_published / 1e9:.3f} GMAC (without deformable kernels)",
    }
    lines = [f"| {key} | {value} |" for key, value in rows.items() if value]
    return "\n".join(["| | |", "|---|---|", *lines])


def _results(run: dict[str, Any]) -> str:
    machine = run["environment"]
    rows = {
        "data": _word(run["data"]),
        "validation images": f"{run['images']:,}",
        "top-1": f"{100 * run['top1']:.2f} %",
        "top-5": "" if run.get("top5") is None else f"{100 * run['top5']:.2f} %",
        "epochs": str(run.get("epochs", "")),
        "seed": f"{run['seed']}, a single run: no interval",
        "torch": str(machine.get("torch", "")),
        "foveate": str(machine.get("foveate", "")),
        "commit": str(machine.get("commit", "") or ""),
    }
    lines = [f"| {key} | {value} |" for key, value in rows.items() if value]
    return "\n".join(["| | |", "|---|---|", *lines])


def _about(facts: Facts) -> list[str]:
    lines = []
    for one in facts.attentions:
        lines.append(f"**{one.name}**, {one.title}.")
        lines += [f"- Departs from its paper: {text}" for text in one.departs]
    return lines


def _cited(facts: Facts) -> str:
    """The papers of the attentions that are not DAS itself."""
    others = [one for one in facts.attentions if one.paper != "2311.12091"]
    lines = [f"- {one.name}: {one.title}, {one.year}, {one.link or one.paper}" for one in others]
    lines.append("- the library stands on DAS, https://arxiv.org/abs/2311.12091:")
    return "\n".join(lines)
