"""A study folder as `foveate detect compare` leaves it, written by its documented file formats."""

import json
import random

from tests_report_tools import cost, tiny_png

AP = {
    "none": [0.300, 0.310, 0.320],
    "das": [0.360, 0.375, 0.380],
    "se": [0.305, 0.300, 0.330],
}
CLASSES = ("ring", "star", "bar")
OBJECTS = (40, 30, 12)


def scores(ap):
    """The numbers of a result with this AP; the last class has no large object."""
    curve = [round(max(0.0, ap * 2 * (1 - place / 110)), 6) for place in range(101)]
    by_class = [ap + 0.1, ap, ap - 0.1]
    return {
        "ap": ap, "ap50": ap + 0.2, "ap75": ap + 0.02, "aps": ap - 0.15, "apm": ap + 0.05,
        "apl": None, "ar1": ap, "ar10": ap + 0.1, "ar100": ap + 0.15,
        "per_class": [
            {"name": name, "ap": value, "ap50": value + 0.2, "ar100": value + 0.15,
             "objects": count, "detections": 100, "best_score": 0.5}
            for name, value, count in zip(CLASSES, by_class, OBJECTS, strict=True)
        ],
        "curves": {
            "0.50": curve, "0.75": [y / 2 for y in curve], "0.50:0.95": [y / 3 for y in curve],
        },
    }  # fmt: skip


def write_detection_run(study, label, seed, ap, *, epochs=6, finished=True):
    """One run folder; an unfinished one has no result.json."""
    folder = study / "runs" / f"{label}-seed{seed}"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        f'task = "detection"\nseed = {seed}\n[data]\nsource = "scenes"\nsize = 64\n[model]\n'
        f'name = "resnet18"\nwidth = 0.25\ndetector = "faster-rcnn"\nattention = "{label}"\n'
        f"[train]\nepochs = {epochs}\n"
    )
    noise = random.Random(f"{label}{seed}")
    lines = ["epoch,lr,train_loss,loss_classifier,loss_objectness,val_ap,val_ap50,val_ap75,seconds"]
    for epoch in range(1, epochs + 1):
        share = epoch / epochs
        now = ap * share + noise.uniform(-0.01, 0.01) * (epoch < epochs)
        lines.append(f"{epoch},0.002,{2 - share},{1.5 - share},0.5,{now},{now + 0.2},{now},7.5")
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    (folder / "environment.json").write_text(
        json.dumps(
            {
                "versions": {"torch": "2.15.0", "foveate": "0.1.0"},
                "machine": "x86_64, 2 cores",
                "command": "foveate detect compare scenes --attentions none,das,se",
                "commit": None,
                "seed": seed,
                "threads": 1,
            }
        )
    )
    if finished:
        found = {"outside": {"count": 2, "names": ["7", "9"]}}
        result = {
            "task": "detection", **scores(ap), "images": 50, "objects": sum(OBJECTS),
            "detections": 300, "classes": list(CLASSES), "unreadable": [], "epochs": epochs,
            "problems": {"train": {}, "val": found}, "seconds": 45.0, "params": 4_000_000,
        }  # fmt: skip
        (folder / "result.json").write_text(json.dumps(result))


def write_detection_study(path, ap=None, seeds=(0, 1, 2), pictures=1):
    """A whole study folder with the average precisions ``ap`` by label."""
    ap = AP if ap is None else ap
    path.mkdir(parents=True, exist_ok=True)
    (path / "study.toml").write_text(
        f'task = "detection"\nattentions = {json.dumps(list(ap))}\nseeds = {list(seeds)}\n'
        'control = false\n[recipe]\ntask = "detection"\n[recipe.data]\nsource = "scenes"\n'
        '[recipe.model]\nname = "resnet18"\ndetector = "faster-rcnn"\n'
    )
    for label, values in ap.items():
        for seed, value in zip(seeds, values, strict=False):
            write_detection_run(path, label, seed, value)
    turns = {label: cost(4_000_000 + turn, 10**9, 1 + turn, 1) for turn, label in enumerate(ap)}
    (path / "costs.json").write_text(json.dumps({**turns, "_conditions": {"threads": 1}}))
    told = []
    for place in range(pictures):
        (path / "pictures").mkdir(exist_ok=True)
        (path / "pictures" / f"{place:02d}.png").write_bytes(tiny_png(100 + place))
        told.append({"file": f"pictures/{place:02d}.png", "alt": f"{place}.jpg: 2 [objects] found"})
    (path / "pictures.json").write_text(json.dumps(told))
    return path
