"""What an epoch adds up to, over all processes, and how it is kept in a checkpoint."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric, SumMetric
from torchmetrics.classification import MulticlassAccuracy


class Tallies(nn.Module):
    """Sums of the loss and of right answers, in training and in validation.

    Sums and counts, since torchmetrics' mean, where it lets NaN through (a diverged run must show),
    leaves its weights out.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        plain: dict[str, Any] = {"average": "micro", "validate_args": False}
        self.train_loss, self.val_loss = SumMetric("disable"), SumMetric("disable")
        self.train_count, self.val_count = SumMetric("error"), SumMetric("error")
        self.train_top1 = MulticlassAccuracy(classes, **plain)
        self.val_top1 = MulticlassAccuracy(classes, **plain)
        self.val_top5 = MulticlassAccuracy(classes, top_k=min(5, classes), **plain)

    def trained(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch of training: its mean loss, its logits (N, classes), its labels (N,)."""
        self.train_count.update(len(labels))
        self.train_loss.update(loss.detach() * len(labels))
        self.train_top1.update(logits.detach(), labels)

    def validated(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch of validation: the sum of its losses, its logits and labels."""
        self.val_count.update(len(labels))
        self.val_loss.update(loss)
        self.val_top1.update(logits, labels)
        self.val_top5.update(logits, labels)

    def of_training(self) -> tuple[int, dict[str, float]]:
        """Return the number of images of all processes and the columns they make; none for 0.

        Every process must ask, since they exchange their sums.
        """
        images = round(_total(self.train_count))
        loss, top1 = _total(self.train_loss), _total(self.train_top1)
        return images, {"train_loss": loss / images, "train_top1": top1} if images else {}

    def of_validation(self) -> tuple[int, dict[str, float]]:
        """Return the same of validation, whose fractions are exact ones of whole images."""
        images = round(_total(self.val_count))
        loss, *tops = (_total(one) for one in (self.val_loss, self.val_top1, self.val_top5))
        if not images:
            return 0, {}
        # The metrics divide in float32.
        exact = [round(top * images) / images for top in tops]
        return images, {"val_loss": loss / images, "val_top1": exact[0], "val_top5": exact[1]}

    def forget(self) -> None:
        """Start anew."""
        for metric in self._metrics().values():
            metric.reset()

    def states(self) -> dict[str, Any]:
        """Return the sums of this process, as tensors on the CPU and plain numbers."""
        return {
            name: {
                "sums": {
                    key: torch.as_tensor(sum_).cpu() for key, sum_ in metric.metric_state.items()
                },
                "updates": metric._update_count,
            }
            for name, metric in self._metrics().items()
        }

    def restore(self, states: dict[str, Any]) -> None:
        """Take back what ``states`` returned."""
        for name, metric in self._metrics().items():
            for key, value in states[name]["sums"].items():
                setattr(metric, key, value.to(metric.device))
            metric._update_count = states[name]["updates"]

    def _metrics(self) -> dict[str, Metric]:
        return {name: one for name, one in self.named_children() if isinstance(one, Metric)}


def _total(metric: Metric) -> float:
    with warnings.catch_warnings():
        # A process may have had no image of its own; the others may have had some.
        warnings.filterwarnings("ignore", message=".*called before the ``update``.*")
        return float(metric.compute())
