"""A study folder as `foveate compare` leaves it, written by its documented file formats."""

import json
import math
import random
import struct
import zlib

TOP1 = {
    "none": [0.70, 0.72, 0.74],
    "das": [0.80, 0.83, 0.84],
    "se": [0.71, 0.70, 0.76],
    "wider": [0.72, 0.73, 0.75],
}


def tiny_png(gray=128):
    """An 8x8 gray PNG, by hand."""

    def chunk(kind, body):
        code = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", code)

    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\x00" + bytes([gray]) * 8 for _ in range(8)))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def write_run(study, label, seed, top1, *, epochs=8, finished=True, unreadable=()):
    """One run folder; an unfinished one has no result.json."""
    folder = study / "runs" / f"{label}-seed{seed}"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        f'seed = {seed}\n[data]\nsource = "scenes"\nsize = 64\n[model]\nname = "resnet18"\n'
        f'attention = "{label}"\n[train]\nepochs = {epochs}\n'
    )
    noise = random.Random(f"{label}{seed}")
    lines = ["epoch,lr,train_loss,train_top1,val_loss,val_top1,val_top5,seconds"]
    for epoch in range(1, epochs + 1):
        share = (1 - math.exp(-epoch / 2.5)) / (1 - math.exp(-epochs / 2.5))
        wobble = noise.uniform(-0.02, 0.02) * (epoch < epochs)
        train, val = min(1.0, 0.125 + 0.85 * share), 0.125 + (top1 - 0.125) * share + wobble
        lines.append(f"{epoch},0.001,{2 - share},{train},{2.1 - share},{val},{0.95},1.5")
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    (folder / "environment.json").write_text(
        json.dumps(
            {
                "versions": {"torch": "2.15.0", "foveate": "0.1.0"},
                "machine": "x86_64, 2 cores",
                "command": "foveate compare scenes --model resnet18 --attentions none,das,se",
                "commit": None,
                "seed": seed,
                "threads": 2,
            }
        )
    )
    if finished:
        (folder / "result.json").write_text(
            json.dumps(
                {
                    "top1": top1, "top5": 0.95, "loss": 0.8, "images": 400,
                    "unreadable": list(unreadable), "epochs": epochs, "seconds": 12.0,
                    "best_epoch": epochs, "params": 11_000_000,
                }
            )
        )  # fmt: skip


def cost(params, macs, forward, step, **more):
    """One entry of costs.json."""
    return {
        "params": params, "macs": macs, "params_published": params, "macs_published": macs,
        "forward_ms": 10 * forward, "forward_ratio": forward,
        "forward_ratio_low": forward * 0.98, "forward_ratio_high": forward * 1.03,
        "step_ms": 30 * step, "step_ratio": step,
        "step_ratio_low": step * 0.97, "step_ratio_high": step * 1.04, **more,
    }  # fmt: skip


def write_study(path, top1=None, seeds=(0, 1, 2)):
    """A whole study folder with the accuracies ``top1`` by label."""
    top1 = TOP1 if top1 is None else top1
    path.mkdir(parents=True, exist_ok=True)
    names = [name for name in top1 if name != "wider"]
    (path / "study.toml").write_text(
        f"attentions = {json.dumps(names)}\nseeds = {json.dumps(list(seeds))}\n"
        '[recipe.data]\nsource = "scenes"\n[recipe.model]\nname = "resnet18"\n'
    )
    for label, values in top1.items():
        for seed, value in zip(seeds, values, strict=False):
            write_run(path, label, seed, value)
    costs = {
        "none": cost(11_180_000, 149_000_000, 1.0, 1.0),
        "das": cost(11_930_000, 160_000_000, 1.62, 1.88) | {"params_published": 11_310_000},
        "se": cost(11_270_000, 149_500_000, 1.12, 1.15),
        "wider": cost(11_925_000, 158_000_000, 1.07, 1.06, width=1.03),
    }
    content = {label: costs[label] for label in top1 if label in costs}
    content["_conditions"] = {"threads": 2, "batch": 16, "statistic": "median of 20"}
    (path / "costs.json").write_text(json.dumps(content))
    return path
