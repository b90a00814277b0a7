"""The exponential moving average of the weights, kept beside them."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def averaged_copy(network: nn.Module, decay: float) -> AveragedModel:
    """Return a copy that follows ``network`` as its moving average, running statistics included."""
    follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    copy = AveragedModel(network, multi_avg_fn=follow, use_buffers=True)
    # What is trained is the network: distributed training must not wait for gradients of the copy.
    copy.requires_grad_(False)
    return copy


class FollowAverage(Callback):  # type: ignore[misc]
    """Moves the average after every optimizer step.

    A callback and not a method of the module, since checkpoints are written by callbacks that run
    before the module's own hook and must hold the average of this step.
    """

    def __init__(self, network: nn.Module, average: AveragedModel) -> None:
        self.network, self.average = network, average
        self._step: int | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note how many steps are taken."""
        self._step = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Follow if the batch completed a step."""
        if trainer.global_step != self._step:
            self.average.update_parameters(self.network)
