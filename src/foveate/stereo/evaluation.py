"""Evaluate a trained stereo network: every pair once, and what could not be read by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from foveate.core import Words, expected
from foveate.data.pairs import StereoDataset
from foveate.stereo.batches import Batch, as_batch, found_in
from foveate.stereo.data import open_stereo
from foveate.stereo.metrics import Disparities, Sums, error_sums, scores_of
from foveate.stereo.run import StereoRun
from foveate.training.shown import Tell, look_through


def evaluate_stereo(
    target: str | Path | StereoRun,
    source: str | None = None,
    *,
    limit: int | None = None,
    batch_size: int | None = None,
    iterations: int | None = None,
    device: str | torch.device | None = None,
    tell: Tell = lambda done, total: None,
) -> dict[str, Any]:
    """Measure a finished run on its validation pairs, or on others.

    Args:
        target: The run.
        source: Where other pairs come from, see ``open_stereo``.
        limit: At most so many pairs of another source.
        batch_size: Pairs at a time; by default as in the run. Those of one size go together.
        iterations: Steps of the recurrence; by default as in training.
        device: Where to compute; by default on the CPU.
        tell: Told how many pairs are done, of how many.

    Returns:
        The numbers, as ``result.json`` of a run has them, with ``source`` and ``iterations``.

    Raises:
        ValueError: If no pair can be read.
        FileNotFoundError: If the run is not finished, or the pairs are not there.
    """
    run = target if isinstance(target, StereoRun) else StereoRun(target)
    network, data = run.load_model(), run.recipe.data
    options, most = dict(data.options), data.limit_val
    if source is not None and source != data.source:
        # The limit and the options belong to the run's own source.
        options, most = {}, limit
    place = source or data.source
    dataset = open_stereo(
        place, "val", size=data.size, width=data.width, seed=data.seed, limit=most, **options
    )
    many = batch_size or run.recipe.train.batch_size
    found = measure_pairs(network, dataset, many, iterations=iterations, device=device, tell=tell)
    if not found["images"]:
        got = Words(f"none of {len(dataset)}")
        raise ValueError(expected("evaluate", "readable pairs", got))
    return {"source": place, "iterations": iterations or network.options.iterations, **found}


def measure_pairs(
    network: nn.Module,
    dataset: StereoDataset,
    batch_size: int = 1,
    *,
    iterations: int | None = None,
    device: str | torch.device | None = None,
    tell: Tell = lambda done, total: None,
) -> dict[str, Any]:
    """Run a network over pairs; it is left as it was.

    Returns:
        The scores of :func:`scores_of`; ``images`` (pairs that were read), ``unreadable`` (names
        and reasons of the others); ``disparity_mean`` and ``disparity_spread`` in pixels: the mean
        of the truth, and what the error of answering it everywhere would be, to a 64th of a pixel.
    """
    sums: dict[int, Sums] = {}
    truths = Disparities()

    def see(batch: Batch, place: torch.device) -> None:
        for number, disparity in found_in(network, batch, iterations, place):
            index = batch["indices"][number]
            truth = [batch[name][number] for name in ("disparity", "valid", "occluded")]
            sums[index] = error_sums(disparity.cpu(), *truth)
            truths.add(truth[0][truth[1]])

    unreadable = look_through(
        network, dataset, as_batch, see, batch_size=batch_size, device=device, tell=tell
    )
    mean, spread = truths.mean_and_spread()
    return {
        **scores_of(sums.values()),
        "disparity_mean": mean,
        "disparity_spread": spread,
        "images": len(sums),
        "unreadable": [{"name": name, "reason": why} for name, why in unreadable.items()],
    }
