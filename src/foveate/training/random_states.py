"""The random generators of every process, kept in checkpoints."""

from __future__ import annotations

import random
import warnings
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback


class RandomStates(Callback):  # type: ignore[misc]
    """Puts the generators of all processes into the checkpoint, and back on a resume."""

    def __init__(self) -> None:
        self._pending: list[dict[str, Any]] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all processes, as tensors and plain numbers."""
        return {"processes": gathered(random_states())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training goes on."""
        self._pending = list(state_dict["processes"])

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the generators as they were when the checkpoint was written."""
        if self._pending is None:
            return
        if trainer.global_rank < len(self._pending):
            set_random_states(self._pending[trainer.global_rank])
        else:
            warnings.warn(
                f"the checkpoint is of {len(self._pending)} processes: process"
                f" {trainer.global_rank} draws anew",
                stacklevel=2,
            )
        self._pending = None


def gathered(value: Any) -> list[Any]:
    """Return the value of every process, in their order; of this one alone where it is alone."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def random_states() -> dict[str, Any]:
    """Return the states of Python's, numpy's and torch's generators as tensors and plain values."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    words = torch.from_numpy(np.asarray(keys, dtype=np.int64))
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": (str(name), words, position, has_gauss, gauss),
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Set all generators to what ``random_states`` returned."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    name, words, *rest = states["numpy"]
    np.random.set_state((name, words.numpy().astype(np.uint32), *rest))
