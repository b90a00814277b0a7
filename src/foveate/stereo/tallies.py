"""What an epoch of a stereo network adds up to, over all processes."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from foveate.stereo.metrics import COLUMNS, Sums, scores_of
from foveate.training.random_states import gathered


class PairTallies:
    """The loss in training; in validation the sums of the errors of every pair."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start anew."""
        self._pairs, self._loss = 0, 0.0
        self._sums: dict[int, Sums] = {}

    def trained(self, loss: Tensor, pairs: int) -> None:
        """Add a batch of training: its mean loss."""
        self._pairs += pairs
        self._loss += float(loss.detach()) * pairs

    def validated(self, index: int, sums: Sums) -> None:
        """Add a pair of validation by its place: the sums of its errors."""
        self._sums[index] = sums

    def of_training(self) -> tuple[int, dict[str, float]]:
        """Return the pairs of all processes, and their mean loss."""
        shares = gathered((self._pairs, self._loss))
        pairs = sum(count for count, _ in shares)
        total = math.fsum(loss for _, loss in shares)
        return pairs, {"train_loss": total / pairs} if pairs else {}

    def of_validation(self) -> tuple[int, dict[str, float]]:
        """Return the pairs of all processes, and their scores; NaN where no pixel counts."""
        sums: dict[int, Sums] = {}
        for share in gathered(self._sums):
            sums.update(share)
        if not sums:
            return 0, {}
        scores = scores_of(sums.values())
        found = {name: scores[name] for name in COLUMNS}
        return len(sums), {
            f"val_{name}": math.nan if value is None else value for name, value in found.items()
        }

    def states(self) -> dict[str, Any]:
        """Return the sums of this process; validation never stands half done in a checkpoint."""
        return {"pairs": self._pairs, "loss": self._loss}

    def restore(self, states: dict[str, Any]) -> None:
        """Take back what ``states`` returned."""
        self._pairs, self._loss = int(states["pairs"]), float(states["loss"])
