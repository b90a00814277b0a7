"""The LightningModule: one network, its loss, its optimizer, and the numbers of each epoch."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import SumMetric
from torchmetrics.classification import MulticlassAccuracy

from foveate.core import Words, expected
from foveate.training.loading import Batch
from foveate.training.optimizers import make_optimizer
from foveate.training.recipe import Recipe
from foveate.training.schedule import lr_factor
from foveate.training.transforms import normalize


class Classifier(pl.LightningModule):  # type: ignore[misc]
    """Trains a network by a recipe and keeps one row of numbers per epoch.

    Args:
        network: (N, 3, size, size) -> (N, classes), logits.
        recipe: How to train it.
        classes: Number of classes.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, classes: int) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.rows: list[dict[str, float]] = []
        self.unreadable: dict[str, str] = {}
        self.val_images = 0
        top5 = min(5, classes)
        self.train_top1 = MulticlassAccuracy(classes, average="micro", validate_args=False)
        self.val_top1 = MulticlassAccuracy(classes, average="micro", validate_args=False)
        self.val_top5 = MulticlassAccuracy(
            classes, top_k=top5, average="micro", validate_args=False
        )
        # Sums and counts, since a MeanMetric that lets NaN through (a diverged run must show)
        # leaves its weights out.
        self.train_loss, self.val_loss = SumMetric("disable"), SumMetric("disable")
        self.train_count, self.val_count = SumMetric("error"), SumMetric("error")
        # A tuple hides the compiled twin from the module tree, whose names must stay the network's.
        self._call = (torch.compile(network) if recipe.train.compile else network,)
        self._epoch_start = time.perf_counter()
        self._lr = recipe.train.base_lr

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes) of uint8 images (N, 3, size, size)."""
        ready = normalize(images, self.recipe.data)
        if self.recipe.train.channels_last:
            ready = ready.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self._call[0](ready)
        return logits

    def on_train_epoch_start(self) -> None:
        """Start the clock of the epoch."""
        self._epoch_start = time.perf_counter()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the loss of a batch; a batch without two readable images is left out."""
        self._note_unreadable(batch)
        images, labels = batch["images"], batch["labels"]
        if len(labels) < 2:
            return self._no_loss()
        logits = self(images)
        loss = functional.cross_entropy(
            logits.float(), labels, label_smoothing=self.recipe.train.label_smoothing
        )
        self.train_count.update(len(labels))
        self.train_loss.update(loss.detach() * len(labels))
        self.train_top1.update(logits.detach(), labels)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the numbers of the epoch."""
        self._note_unreadable(batch)
        counted = batch["labels"] >= 0
        if not bool(counted.any()):
            return
        logits = self(batch["images"])[counted].float()
        labels = batch["labels"][counted]
        self.val_count.update(len(labels))
        self.val_loss.update(functional.cross_entropy(logits, labels, reduction="sum"))
        self.val_top1.update(logits, labels)
        self.val_top5.update(logits, labels)

    def on_train_epoch_end(self) -> None:
        """Close the epoch: one row of numbers, the same on every process.

        Raises:
            ValueError: If no image of the epoch could be read.
        """
        for name, metric in (("training", self.train_loss), ("validation", self.val_loss)):
            if metric.update_count == 0:
                names = ", ".join(list(self.unreadable)[:3])
                raise ValueError(
                    expected(
                        f"{name} data", "readable images", Words(f"none in an epoch ({names} ...)")
                    )
                )
        images = self.val_images = round(float(self.val_count.compute()))
        self.rows.append(
            {
                "epoch": float(self.current_epoch + 1),
                "lr": self._lr,
                "train_loss": float(self.train_loss.compute() / self.train_count.compute()),
                "train_top1": float(self.train_top1.compute()),
                "val_loss": float(self.val_loss.compute()) / images,
                # The metrics divide in float32: the fraction of whole images is exact.
                "val_top1": round(float(self.val_top1.compute()) * images) / images,
                "val_top5": round(float(self.val_top5.compute()) * images) / images,
                "seconds": time.perf_counter() - self._epoch_start,
            }
        )
        for metric in self._metrics():
            metric.reset()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate of the step: a function of the step and of the rows so far."""
        steps = max(1, int(self.trainer.num_training_batches))
        history = [row[self.recipe.train.monitor] for row in self.rows]
        factor = lr_factor(self.recipe.train, self.global_step, steps, history)
        self._lr = self.recipe.train.base_lr * factor
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self._lr

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer; the schedule holds no state and is applied per batch."""
        return make_optimizer(self.network, self.recipe.train)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the rows and the unreadable images into the checkpoint."""
        checkpoint["foveate"] = {
            "rows": self.rows,
            "unreadable": dict(self.unreadable),
            "val_images": self.val_images,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the rows and the unreadable images back."""
        self.rows = list(checkpoint["foveate"]["rows"])
        self.unreadable = dict(checkpoint["foveate"]["unreadable"])
        self.val_images = int(checkpoint["foveate"]["val_images"])

    def _metrics(self) -> tuple[Any, ...]:
        training = self.train_loss, self.train_count, self.train_top1
        return *training, self.val_loss, self.val_top1, self.val_top5, self.val_count

    def _note_unreadable(self, batch: Batch) -> None:
        self.unreadable.update(dict(batch["unreadable"]))

    def _no_loss(self) -> Tensor | None:
        """Return nothing, or, where other processes wait for gradients, a loss of zero."""
        if self.trainer.world_size == 1:
            return None
        return (
            torch.stack([p.sum() for p in self.network.parameters() if p.requires_grad]).sum() * 0
        )
