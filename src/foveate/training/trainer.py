"""Train by a recipe: Lightning does the work, a run folder holds what comes of it."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn

from foveate.core import Words, expected
from foveate.core.files import write_json
from foveate.data import ImageDataset
from foveate.models import create_model, save
from foveate.training import environment
from foveate.training.checkpoints import AtomicCheckpointIO, Keeper, RandomStates, best_epoch
from foveate.training.classifier import Classifier
from foveate.training.loading import ImageData
from foveate.training.opening import Opening
from foveate.training.progress import Reporter, ShowProgress
from foveate.training.quiet import interruptible, is_main_process, quiet, seed_all, seeded
from foveate.training.recipe import ModelSection, Recipe
from foveate.training.run_folder import RunFolder


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run; the message says what is kept and how to go on."""


class _Watch(Callback):  # type: ignore[misc]
    """Remembers a Ctrl-C that Lightning swallowed; gathers what no process could read."""

    def __init__(self) -> None:
        self.interrupted = False

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Note a Ctrl-C."""
        self.interrupted = isinstance(exception, KeyboardInterrupt)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put together the unreadable images of all processes."""
        if trainer.world_size > 1 and isinstance(pl_module, Classifier):
            shares: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(shares, pl_module.unreadable)
            for share in shares:
                pl_module.unreadable.update(share)


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    resume: bool = False,
    progress: bool | Reporter = True,
    data: tuple[ImageDataset, ImageDataset] | None = None,
) -> RunFolder:
    """Train a network as the recipe says.

    On one machine with the same number of threads, the same recipe gives the same weights, and a
    run that was stopped and resumed gives the weights of one that was not (to the epoch: an epoch
    cut short is done again).

    Args:
        recipe: What to do; see ``load_recipe``.
        folder: The run folder to make.
        resume: Continue the unfinished run of the same recipe that the folder holds, from its last
            checkpoint; a finished one is returned as it is.
        progress: Show a progress bar; or the reporter to tell.
        data: Datasets (train, val) that are open already, so that several runs share them.

    Returns:
        The finished run.

    Raises:
        ValueError: If the folder holds another recipe, or a run although ``resume`` is off; if the
            data have no readable image; for an unknown model, attention or option.
        FileNotFoundError: If the data are not there.
        OSError: If a file cannot be written; checkpoints written before are untouched.
        Interrupted: On Ctrl-C; the last checkpoint is kept.

    Example:
        >>> train(load_recipe("recipes/scenes-resnet18-das.toml"), "runs/one")  # doctest: +SKIP
        RunFolder('runs/one')
    """
    run = RunFolder(folder)
    main = is_main_process()
    if main:
        run.check(recipe, resume=resume)
        if run.is_finished:
            return run
    with interruptible(), quiet(), seeded(recipe.seed):
        images = ImageData(recipe, data)
        network = build(recipe.model, len(images.classes), recipe.data.size)
        if main:
            run.start(recipe)
            _note_start(run, recipe.seed)
        if isinstance(progress, Reporter):
            return _fit(run, recipe, images, network, progress)
        with Reporter(recipe.train.epochs, enabled=progress and main) as reporter:
            reporter.begin(recipe.name or recipe.model.attention, 1, recipe.train.epochs)
            finished = _fit(run, recipe, images, network, reporter)
            reporter.end()
            return finished


def build(model: ModelSection, classes: int, size: int) -> nn.Module:
    """Make the network of a recipe with fresh (or published) weights, for images of ``size``.

    Raises:
        ValueError: For an unknown model, attention or option.
    """
    attention = None if model.attention == "none" else model.attention
    return create_model(
        model.name,
        attention,
        model.where,
        start=model.start,
        position=model.position,
        network=model.network,
        host=model.host,
        num_classes=classes,
        pretrained=model.pretrained,
        stem=model.stem,
        width=model.width,
        example=torch.zeros(1, 3, size, size),
        **model.options,
    )


def _fit(
    run: RunFolder, recipe: Recipe, images: ImageData, network: nn.Module, reporter: Reporter
) -> RunFolder:
    train_section, model_section = recipe.train, recipe.model
    if train_section.channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    watch = _Watch()
    callbacks: list[Callback] = [watch, RandomStates(), ShowProgress(reporter), Keeper(run)]
    inserted = model_section.attention != "none" and model_section.start == "identity"
    if inserted and model_section.opening == "linear":
        callbacks.append(Opening(network, model_section.opening_epochs))
    module = Classifier(network, recipe, len(images.classes))
    trainer = pl.Trainer(
        max_epochs=train_section.epochs,
        accelerator=train_section.accelerator,
        devices=train_section.devices,
        precision=_precision(train_section.precision),
        gradient_clip_val=train_section.clip_norm,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=TensorBoardLogger(str(run.path), name="", version="tensorboard")
        if train_section.tensorboard
        else False,
        default_root_dir=str(run.path),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    checkpoint = str(run.last_checkpoint) if run.can_resume else None
    # The first weights must not decide what dropout draws: networks differ in how many they have.
    seed_all(recipe.seed)
    started = time.perf_counter()
    try:
        trainer.fit(module, datamodule=images, ckpt_path=checkpoint)
    except SystemExit:
        if not watch.interrupted:
            raise
    if watch.interrupted:
        raise Interrupted(_how_to_go_on(run, recipe))
    if trainer.is_global_zero:
        _finish(run, recipe, module, images.classes, time.perf_counter() - started)
    return run


def _precision(name: str) -> Any:
    return "32-true" if name == "32" else name


def _finish(
    run: RunFolder, recipe: Recipe, module: Classifier, classes: tuple[str, ...], seconds: float
) -> None:
    """Write the weights and, as the last thing, the result."""
    best = best_epoch(module)
    row = module.rows[-1]
    network = module.network
    if recipe.train.keep == "best" and best < len(module.rows):
        row = module.rows[best - 1]
        checkpoint = AtomicCheckpointIO().load_checkpoint(run.best_checkpoint)
        module.load_state_dict(checkpoint["state_dict"])
    save(network.eval(), run.path)
    if not recipe.train.keep_checkpoints:
        shutil.rmtree(run.path / "checkpoints", ignore_errors=True)
    noted = run.environment or environment.describe(recipe.seed)
    write_json(run.environment_path, {**noted, "ended": environment.timestamp()})
    run.write_result(
        {
            "top1": row["val_top1"],
            "top5": row["val_top5"],
            # JSON knows no NaN: the loss of a run that diverged is null.
            "loss": row["val_loss"] if math.isfinite(row["val_loss"]) else None,
            "images": module.val_images,
            "classes": list(classes),
            "unreadable": [
                {"name": name, "reason": reason} for name, reason in module.unreadable.items()
            ],
            "epochs": len(module.rows),
            "seconds": sum(entry["seconds"] for entry in module.rows),
            "seconds_here": seconds,
            "best_epoch": best,
            "weights": recipe.train.keep,
            "params": sum(parameter.numel() for parameter in network.parameters()),
        }
    )


def _note_start(run: RunFolder, seed: int) -> None:
    """Record the conditions, or add to them that the run was resumed."""
    noted = run.environment
    if noted is None:
        write_json(run.environment_path, environment.describe(seed))
        return
    noted["resumed"] = [*noted.get("resumed", []), environment.timestamp()]
    write_json(run.environment_path, noted)


def _how_to_go_on(run: RunFolder, recipe: Recipe) -> str:
    """Say after a Ctrl-C what is kept and how to continue."""
    done = len(run.metrics)
    if not run.can_resume:
        kept = "no epoch was kept"
    else:
        kept = f"{done} of {recipe.train.epochs} epochs are finished"
    return expected(
        f"the run in {run.path}",
        f"{recipe.train.epochs} epochs",
        Words(f"Ctrl-C ({kept})"),
        "pass --resume (resume=True) to continue it",
    )
