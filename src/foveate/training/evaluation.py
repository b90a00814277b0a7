"""Evaluate a trained network: every image once, and what could not be read by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from foveate.core import Words, expected
from foveate.data import ImageDataset, open_dataset
from foveate.training.loading import Transformed, as_batch
from foveate.training.order import EpochSampler
from foveate.training.recipe import DataSection
from foveate.training.run_folder import RunFolder
from foveate.training.transforms import eval_transform, normalize


def evaluate(
    target: str | Path | RunFolder | nn.Module,
    source: str | None = None,
    *,
    data: DataSection | None = None,
    batch_size: int = 64,
    device: str | torch.device | None = None,
) -> dict[str, Any]:
    """Measure a network on validation images.

    Args:
        target: A run folder, or a network with logits (N, classes).
        source: Where the images come from; by default those of the run. Another source must have
            the same classes in the same order.
        data: How images are prepared; by default as in the run. Needed for a bare network.
        batch_size: Images at a time.
        device: Where to compute; by default where the network is.

    Returns:
        ``top1``, ``top5`` (fractions), ``loss``, ``images`` (readable ones), ``unreadable`` (a list
        of ``name`` and ``reason``; none is replaced by another image), ``source``, and
        ``classes``: per class ``top1`` (None without images) and ``images``.

    Raises:
        ValueError: If the classes differ from those of the run, no image can be read, or a bare
            network comes without ``data``.
        FileNotFoundError: If the run is not finished.

    Example:
        >>> evaluate("runs/one")["top1"]  # doctest: +SKIP
        0.84
    """
    run = None
    if isinstance(target, nn.Module):
        network = target
    else:
        run = target if isinstance(target, RunFolder) else RunFolder(target)
        network = run.load_model()
        data = data or run.recipe.data
    if data is None:
        raise ValueError(expected("evaluate", "data=DataSection(...) for a bare network", None))
    if source is not None and source != data.source:
        # The limits and options belong to the run's own source.
        data = data.model_copy(update={"source": source, "limit_val": None, "options": {}})
    dataset = open_dataset(
        data.source, "val", size=data.size, seed=data.seed, limit=data.limit_val, **data.options
    )
    known = (run.result or {}).get("classes") if run else None
    if known is not None and list(dataset.classes) != known:
        raise ValueError(
            expected(f"evaluating {run}", f"the classes {known}", list(dataset.classes))
        )
    return {"source": data.source, **_measure(network, dataset, data, batch_size, device)}


def _measure(
    network: nn.Module,
    dataset: ImageDataset,
    data: DataSection,
    batch_size: int,
    device: str | torch.device | None,
) -> dict[str, Any]:
    """Run the network over the data set, in its present place and in eval mode."""
    place = torch.device(device) if device else next(network.parameters()).device
    was_training = network.training
    network.to(place).eval()
    loader = DataLoader(
        Transformed(dataset, eval_transform(data), None),
        batch_size=batch_size,
        sampler=EpochSampler(len(dataset), 0, shuffle=False, rank=0, world=1),
        num_workers=data.workers,
        collate_fn=as_batch,
        generator=torch.Generator(),
    )
    classes = len(dataset.classes)
    images, right = torch.zeros(classes), torch.zeros(classes)
    loss, in_top5 = 0.0, 0
    unreadable: dict[str, str] = {}
    try:
        with torch.inference_mode():
            for batch in loader:
                unreadable.update(dict(batch["unreadable"]))
                labels = batch["labels"]
                if not len(labels):
                    continue
                logits = network(normalize(batch["images"].to(place), data)).float().cpu()
                if logits.shape[1] != classes:
                    rule = f"a network with {classes} outputs"
                    raise ValueError(expected("evaluate", rule, logits.shape[1]))
                loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
                ranked = logits.topk(min(5, classes)).indices
                in_top5 += int((ranked == labels[:, None]).any(1).sum())
                images += torch.bincount(labels, minlength=classes)
                right += torch.bincount(labels[ranked[:, 0] == labels], minlength=classes)
    finally:
        network.train(was_training)
    total = int(images.sum())
    if not total:
        raise ValueError(expected("evaluate", "readable images", Words(f"none of {len(dataset)}")))
    return {
        "top1": float(right.sum()) / total,
        "top5": in_top5 / total,
        "loss": loss / total,
        "images": total,
        "unreadable": [{"name": name, "reason": reason} for name, reason in unreadable.items()],
        "classes": {
            name: {
                "top1": float(right[i] / images[i]) if images[i] else None,
                "images": int(images[i]),
            }
            for i, name in enumerate(dataset.classes)
        },
    }
