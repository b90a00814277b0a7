"""Trained networks as backbones of dense tasks."""

from __future__ import annotations

import os

from torch import nn

from foveate.core import Words, expected
from foveate.models.store import load
from foveate.surgery import is_inserted_path


def take_network_(network: nn.Module, folder: str | os.PathLike[str]) -> list[str]:
    """Start a backbone, without what a trunk cut off of it, from a trained classifier.

    Args:
        network: What to fill.
        folder: A finished run of ``foveate train``, or what ``foveate.save`` wrote.

    Returns:
        Names of what keeps its fresh weights: gates that the classifier has not.

    Raises:
        FileNotFoundError: If the folder holds no weights.
        ValueError: If they are those of another network.
    """
    given, wanted = load(folder).state_dict(), network.state_dict()
    fits = {key for key in wanted if key in given and given[key].shape == wanted[key].shape}
    fresh = sorted(wanted.keys() - fits)
    strange = [key for key in fresh if not is_inserted_path(key)]
    if strange:
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        raise ValueError(
            expected(
                f"a backbone from {folder}",
                "weights of the same base network",
                Words(f"others: {', '.join(strange[:3])}{more} do not fit"),
                "name the same model, stem and width as the run that they come from",
            )
        )
    network.load_state_dict({**wanted, **{key: given[key] for key in fits}})
    return fresh
