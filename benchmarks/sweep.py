"""Insert, run, train a step and remove a gate in every convolutional family of timm.

For the smallest member of each family, with random weights: ``insert_`` with both starts, a
forward and a backward pass, ``remove_``, and a comparison of the output and the state dict to the
bit. It proves that gates run, learn and come out again in these networks; where they sit stands in
the result, and in hybrids with attention layers that is a choice of this project's rule and no
author's. Families whose members have no convolutional map between their layers (transformers on
tokens) are listed as such.

    python benchmarks/sweep.py [--families resnet,regnet] [--out benchmarks/results/sweep.json]
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import timm
import torch
from rich.console import Console
from rich.progress import Progress

import foveate
from foveate.core.modes import evaluation
from foveate.training import environment

# Families whose features are token sequences, or channels-last maps, by their own definition:
# they have no (N, C, H, W) map after their stages. Judged from timm's sources.
NOT_CONVOLUTIONAL = {
    "beit",
    "cait",
    "convit",
    "crossvit",
    "deepseek_vit",
    "deit",
    "eva",
    "gemma4_vit",
    "hiera",
    "hieradet_sam2",
    "mlp_mixer",
    "mvitv2",
    "naflexvit",
    "pit",
    "qwen3_vit",
    "sequencer",
    "swin_transformer",
    "swin_transformer_v2",
    "swin_transformer_v2_cr",
    "tnt",
    "vision_transformer",
    "vision_transformer_hybrid",
    "vision_transformer_relpos",
    "vision_transformer_sam",
    "volo",
    "xcit",
}


def smallest_members(families: list[str]) -> dict[str, str]:
    """The model with the fewest parameters of each family, counted on the meta device."""
    smallest: dict[str, str] = {}
    with Progress(transient=True) as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task = progress.add_task("smallest members", total=len(families))
        for family in families:
            names = timm.list_models(module=family)
            sizes = {}
            for name in names:
                try:
                    with torch.device("meta"):
                        model = timm.create_model(name, num_classes=10)
                except Exception:  # some cannot be built on the meta device
                    continue
                sizes[name] = sum(weight.numel() for weight in model.parameters())
            if names:
                smallest[family] = min(sizes, key=sizes.__getitem__) if sizes else names[0]
            progress.advance(task)
    return smallest


def outputs(result: object) -> torch.Tensor:
    """The one tensor that a classifier returns, also in training mode."""
    while not isinstance(result, torch.Tensor):
        result = next(iter(result.values())) if isinstance(result, dict) else result[0]
    return result


def try_family(name: str) -> dict[str, object]:
    """Insert with both starts, run, step and remove; return what happened."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=10).eval()
    size = model.pretrained_cfg["input_size"]
    x = torch.rand(2, *size)
    with torch.no_grad():
        before = outputs(model(x))
    keys = list(model.state_dict())
    done = foveate.insert_(model, "das", "stages", start="identity", example=x[:1])
    with torch.no_grad():
        if not torch.equal(outputs(model(x)), before):
            raise AssertionError("the identity start changed the output")
    foveate.remove_(model)
    done = foveate.insert_(model, "das", "stages", example=x[:1])
    calls: collections.Counter[str] = collections.Counter()
    for site in done.sites:
        site.module.register_forward_hook(lambda *_, name=site.name: calls.update([name]))
    with evaluation(model):  # batch statistics stay, so that removal can be compared to the bit
        outputs(model(x)).square().mean().backward()
    for site in done.sites:
        for key, weight in site.module.named_parameters():
            if weight.grad is None or not weight.grad.isfinite().all():
                raise AssertionError(f"no finite gradient for {site.name}.{key}")
    if any(calls[site.name] != 1 for site in done.sites):
        raise AssertionError(f"gates ran {dict(calls)} times, not once each")
    foveate.remove_(model)
    with torch.no_grad():
        after = outputs(model(x))
    if not torch.equal(after, before) or list(model.state_dict()) != keys:
        raise AssertionError("removal did not restore the network")
    return {"model": name, "sites": [site.name for site in done.sites], "params": done.params}


def main() -> None:
    """Run the sweep and print failures by name with their reason."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", help="comma-separated; default: all")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    arguments = parser.parse_args()
    console = Console()
    families = arguments.families.split(",") if arguments.families else timm.list_modules()
    convolutional = [one for one in families if one not in NOT_CONVOLUTIONAL]
    members = smallest_members(convolutional)
    passed: dict[str, object] = {}
    failed: dict[str, str] = {}
    started = time.monotonic()
    with Progress(console=console) as progress:
        task = progress.add_task("families", total=len(members))
        for family, name in members.items():
            progress.update(task, description=f"{family}: {name}")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    passed[family] = try_family(name)
            except Exception as error:
                failed[family] = f"{name}: {type(error).__name__}: {error}"
                console.print(f"[red]{family}[/red] {failed[family]}", highlight=False)
            progress.advance(task)
    sites = collections.Counter(len(one["sites"]) for one in passed.values())
    console.print(
        f"{len(passed)} of {len(members)} families passed, {len(failed)} failed"
        f" ({100 * len(failed) / max(1, len(members)):.1f} %), in"
        f" {time.monotonic() - started:.0f} s; sites per network: {dict(sorted(sites.items()))}"
    )
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        described = environment.describe(seed=0)
        result = {
            "command": "python benchmarks/sweep.py",
            **{key: described[key] for key in ("commit", "machine", "threads")},
            "versions": {**described["versions"], "timm": timm.__version__},
            "not_convolutional": sorted(NOT_CONVOLUTIONAL),
            "passed": passed,
            "failed": failed,
        }
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
