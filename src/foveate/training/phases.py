"""Training in phases: some of the network learns first, then everything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import nn

from foveate.surgery import is_inserted_path


@dataclass(frozen=True)
class Phase:
    """Some epochs in which a part of the network is frozen.

    Attributes:
        epochs: How many.
        frozen: Whether what has this name, a parameter or a module, does not learn.
    """

    epochs: int
    frozen: Callable[[str], bool]


class Phases(Callback):  # type: ignore[misc]
    """Goes through the phases; after each, an optimizer without memory goes on.

    What is frozen is frozen whole: its weights have no gradient and its batch norms keep the
    statistics that they came with. What holds is a function of the epoch, so a resumed run goes on
    as it was. After the last phase all that could learn does.

    Args:
        network: The network.
        phases: What is frozen, one after the other.
    """

    def __init__(self, network: nn.Module, phases: Sequence[Phase]) -> None:
        self.network, self.phases = network, phases
        self._ends = list(accumulate(phase.epochs for phase in phases))
        # What does not learn at all, such as the unused weights of some attentions, never will.
        self._learning = [name for name, one in network.named_parameters() if one.requires_grad]
        self._norms = [
            name
            for name, module in network.named_modules()
            if isinstance(module, nn.modules.batchnorm._NormBase) and module.training
        ]
        self._now = len(phases)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Freeze and free as the epoch asks."""
        now = sum(trainer.current_epoch >= end for end in self._ends)
        if now != self._now:
            self._enter(now)
        if trainer.current_epoch in self._ends and batch_idx == 0:
            # Momentum of a phase would push it in directions that it knew the rest frozen.
            trainer.optimizers[0].state.clear()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the network free."""
        self._enter(len(self.phases))

    def _enter(self, now: int) -> None:
        is_frozen = self.phases[now].frozen if now < len(self.phases) else _nothing
        parameters = dict(self.network.named_parameters())
        for name in self._learning:
            parameter, learns = parameters[name], not is_frozen(name)
            if parameter.requires_grad != learns:
                parameter.requires_grad_(learns)
                parameter.grad = None
        for name in self._norms:
            self.network.get_submodule(name).train(not is_frozen(name))
        self._now = now


def gates_first(network: nn.Module, epochs: int, fresh: Collection[str] = ()) -> Phases:
    """Freeze the base network for the first epochs, so that the inserted attention learns first.

    Args:
        network: The network with attention inserted.
        epochs: How many epochs the base stays frozen.
        fresh: Names of base parameters that have no trained values yet, such as those of a new
            classifier; they learn from the start.
    """
    return Phases(
        network, [Phase(epochs, lambda name: not is_inserted_path(name) and name not in fresh)]
    )


def _nothing(name: str) -> bool:
    return False
