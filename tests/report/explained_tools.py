"""An explain folder as `foveate explain` leaves it: a table of scores through the real summary."""

import csv
import json
import math
import random
from dataclasses import asdict

from tests_report_tools import tiny_png

from foveate.explain.scores import SCORES
from foveate.explain.survey import summarize

LAYERS = ("stage4", "stage4:before", "stage3")
GRID = [(b, s, t) for b in ("2", "e", "10") for s in ("0", "1") for t in (0.3, 0.5, 0.7)]
QUALITY = {"das": 0.72, "none": 0.59}
NAMES = ("sfd", "pointing_game", "iou", "sfd:same B", "deletion")


def _share(value):
    return min(1.0, max(0.0, value))


def _scores(noise, quality, layer, turns):
    """Scores of one map; with `turns` the order of networks turns at the layer before the last."""
    level = 1.2 - quality if turns and layer == "stage3" else quality
    chance = _share(noise.gauss(0.42, 0.05))
    row = {}
    for name in NAMES:
        value = 1 - level if name == "deletion" else level
        row[name], row[f"{name}:chance"] = _share(value + noise.gauss(0, 0.05)), chance
    row |= {"area": 0.2, "sfd:outside": _share(0.7 - 0.6 * level)}
    for base, shift, threshold in GRID:
        key = f"sfd base={base} shift={shift} threshold={threshold:g}"
        row[key] = _share(level + 0.1 * (shift == "1") + 0.2 * (threshold - 0.5))
    return row


def write_explained(
    path,
    quality=None,
    *,
    base="none",
    seeds=(0, 1, 2),
    images=30,
    missing=(),
    pictures=2,
    turns=False,
    constant=0,
    labels=True,
):
    """Write the folder; scores named in ``missing`` are defined for no image."""
    quality = QUALITY if quality is None else quality
    path.mkdir(parents=True, exist_ok=True)
    noise, rows = random.Random(0), []
    for index in range(images):
        for network, level in quality.items():
            for seed in seeds:
                for layer in LAYERS:
                    flag = "constant map" if index < constant and network != base else ""
                    flag = flag or ("no mask" if "sfd" in missing else "")
                    scores = _scores(noise, level + 0.01 * (seed or 0), layer, turns)
                    gone = [n for n in scores if flag or n.partition(":chance")[0] in missing]
                    rows.append(
                        {
                            "index": index, "image": f"val-{index}", "network": network,
                            "seed": "" if seed is None else seed, "layer": layer,
                            "truth": 1 if labels else "", "said": int(noise.random() < level),
                            "explained": 1, "flag": flag, **scores, **dict.fromkeys(gone, math.nan),
                        }
                    )  # fmt: skip
    with (path / "scores.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({key: "" if value != value else value for key, value in row.items()})
    (path / "pictures").mkdir(exist_ok=True)
    shown = []
    for turn in range(pictures):
        (path / "pictures" / f"{turn}.png").write_bytes(tiny_png(40 * turn))
        shown.append(
            {"file": f"pictures/{turn}.png", "name": f"val-{turn}", "class": "disk <near>",
             "caption": "Rows are networks.", "alt": f"Maps of val-{turn} & gates"}
        )  # fmt: skip
    (path / "viewer.html").write_text("<!doctype html><title>viewer</title>")
    told = {name: asdict(one) for name, one in SCORES.items()}
    told["sfd:same B"] = {**told["sfd"], "title": "sfd, the same B for all networks"}
    content = {
        "title": "das against none",
        "summary": summarize(path, base),
        "settings": {
            "layers": list(LAYERS),
            "explained": "predicted",
            "scores": {"base": 10.0, "shift": 0.0, "threshold": 0.5},
            "regions": {"kind": "masks", "which": "decisive"},
            "source": "scenes",
        },
        "scores": told,
        "health": {"das": [gate("layer4.1"), gate("layer3.1", verdict=["dead", "offsets unused"])]},
        "pictures": shown,
        "viewer": "viewer.html",
        "contact_sheet": None,
        "left_out": [{"image": "cat/7<b>.jpg", "reason": "empty file"}],
        "notes": [],
        "conditions": {
            "versions": {"torch": "2.15.0"},
            "machine": {"processor": "some processor", "cores": 2},
            "command": "foveate explain /home/me/runs/das --against /home/me/runs/none",
            "commit": None,
            "seconds": 12.5,
        },
        "about": {name: {"attention": name} for name in quality},
    }
    (path / "explain.json").write_text(json.dumps(content))
    return path


def gate(site, **more):
    """What is told of the health of one gate."""
    return {
        "site": site, "attention": "das", "images": 16, "verdict": ["alive"], "openness": None,
        "change": 0.4321, "mean": 0.5, "spread": 0.123, "entropy": 4.25, "shut": 0.01,
        "open": 0.02, "dead_channels": 3, "channels": 64, "offset_mean_px": 12.5,
        "offset_p95_px": 31.0, "outside": 0.05, **more,
    }  # fmt: skip


def edited(path, change):
    """Change explain.json by a function of its tree."""
    tree = json.loads((path / "explain.json").read_text())
    change(tree)
    (path / "explain.json").write_text(json.dumps(tree))
    return path
