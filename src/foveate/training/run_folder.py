"""The run folder: what a training run leaves behind, and the only thing others read of it."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from foveate.core import Words, expected
from foveate.core.files import write_bytes, write_json
from foveate.core.reading import read_object, read_text, whole
from foveate.training.recipe import Recipe, RecipeOf, differences, load_recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

ModelOf = TypeVar("ModelOf", bound="nn.Module")


_TABLE = "a table of numbers, a row for each epoch"


class RunFolder:
    """One training run on disk.

    Files: ``config.toml`` (the recipe), ``metrics.csv`` (a row per epoch, counted from 1;
    fractions, not percent), ``model.safetensors`` and ``model.json`` (the final weights),
    ``checkpoints/last.ckpt``, ``previous.ckpt`` (the one before it) and ``best.ckpt``,
    ``environment.json`` and, written last, ``result.json``: its presence means that the run is
    finished.

    Args:
        path: The folder; it need not exist yet.

    Example:
        >>> RunFolder("runs/absent").is_finished
        False
    """

    kind: ClassVar[type[Recipe]] = Recipe
    """The recipes of its task."""
    command: ClassVar[str] = "foveate train"
    """What makes such a run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def config_path(self) -> Path:
        """Where the recipe stands."""
        return self.path / "config.toml"

    @property
    def metrics_path(self) -> Path:
        """Where the table of epochs stands."""
        return self.path / "metrics.csv"

    @property
    def result_path(self) -> Path:
        """Where the result of a finished run stands."""
        return self.path / "result.json"

    @property
    def environment_path(self) -> Path:
        """Where the conditions of the run stand."""
        return self.path / "environment.json"

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint that ``resume`` continues from."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def previous_checkpoint(self) -> Path:
        """The checkpoint before the last one, for when that one is damaged."""
        return self.path / "checkpoints" / "previous.ckpt"

    @property
    def damaged_checkpoint(self) -> Path:
        """Where a damaged last checkpoint is set aside until the run is finished."""
        return self.path / "checkpoints" / "damaged.ckpt"

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint of the best epoch by ``train.monitor``."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run.

        Raises:
            FileNotFoundError: If this is no run folder.
        """
        return self.recipe_as(self.kind)

    def recipe_as(self, kind: type[RecipeOf]) -> RecipeOf:
        """The recipe of the run, which must be of a kind.

        Raises:
            FileNotFoundError: If this is no run folder.
            ValueError: If it is of another task.
        """
        if not self.config_path.is_file():
            who = type(self).__name__
            rule = "a folder that holds config.toml"
            raise FileNotFoundError(expected(who, rule, str(self.path)))
        return load_recipe(self.config_path, kind)

    @property
    def metrics(self) -> list[dict[str, float]]:
        """One row per finished epoch, by column; empty before the first."""
        if not self.metrics_path.is_file():
            return []
        rows = read_text(self.metrics_path, _TABLE).splitlines()
        with whole(str(self.metrics_path), _TABLE):
            return [
                {key: float(value) for key, value in row.items()} for row in csv.DictReader(rows)
            ]

    def write_metrics(self, rows: list[dict[str, float]]) -> None:
        """Replace the table of epochs, in one step; numbers keep all their digits."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(rows[0])
        for row in rows:
            writer.writerow(
                [int(row["epoch"]), *(repr(float(row[name])) for name in [*rows[0]][1:])]
            )
        write_bytes(self.metrics_path, table.getvalue().encode())

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run came to; None while it is not finished.

        ``top1``, ``top5`` (fractions), ``loss``, ``images``, ``unreadable`` (list of ``name`` and
        ``reason``), ``epochs``, ``seconds``, ``best_epoch`` (from 1) and ``params``.
        """
        if not self.result_path.is_file():
            return None
        return read_object(self.result_path, "the result of a run")

    @property
    def environment(self) -> dict[str, Any] | None:
        """The conditions the run was made under; None if they were not recorded."""
        if not self.environment_path.is_file():
            return None
        return read_object(self.environment_path, "the conditions of a run")

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return self.result_path.is_file()

    @property
    def can_resume(self) -> bool:
        """Whether there is a checkpoint to continue from."""
        return self.last_checkpoint.is_file() or self.previous_checkpoint.is_file()

    def load_model(self) -> nn.Module:
        """Return the trained network in eval mode, on the CPU.

        Raises:
            FileNotFoundError: If the run is not finished.
        """
        from foveate.models import load

        return self.loaded_by(load)

    def loaded_by(self, load: Callable[[Path], ModelOf]) -> ModelOf:
        """Return what ``load`` makes of a finished run, in eval mode.

        Raises:
            FileNotFoundError: If the run is not finished.
        """
        # Weights are written first, the result last.
        if not (self.is_finished and (self.path / "model.safetensors").is_file()):
            who = f"{type(self).__name__}.load_model"
            remedy = f"finish it first: {self.command} --resume"
            raise FileNotFoundError(expected(who, "a finished run", str(self.path), remedy))
        return load(self.path).eval()

    def prepare(self, image: Tensor) -> Tensor:
        """Turn one image into what the network of this run takes.

        Args:
            image: A uint8 tensor (3, H, W).

        Returns:
            A float32 tensor (3, size, size), resized and cropped as in evaluation and normalized.
        """
        from foveate.training.transforms import eval_transform, normalize

        data = self.recipe.data
        return normalize(eval_transform(data)(image)[None], data)[0]

    def check(self, recipe: Recipe, *, resume: bool) -> None:
        """Check that a run of ``recipe`` may be made, or continued, here; nothing is changed.

        Raises:
            NotADirectoryError: If the path is a file.
            ValueError: If the folder holds something else, another recipe, or a run that may be
                continued or is finished although ``resume`` is off.
        """
        who = f"a run in {self.path}"
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(
                expected(who, "a folder", Words("a file"), "choose another folder")
            )
        # Hidden files do not count: a temporary one of a killed process may lie there.
        if not self.path.exists() or all(f.name.startswith(".") for f in self.path.iterdir()):
            return
        if not self.config_path.is_file():
            raise ValueError(
                expected(
                    who, "a new, an empty or a run folder", Words("other files"), "choose another"
                )
            )
        changed = differences(self.recipe, recipe)
        if changed:
            raise ValueError(
                expected(
                    who,
                    "the recipe that the folder already holds",
                    Words(f"another one ({'; '.join(changed)})"),
                    "choose another folder, or delete this one",
                )
            )
        if not resume:
            state = Words("a finished run" if self.is_finished else "an unfinished run")
            remedy = "choose another folder" if self.is_finished else "pass --resume to continue it"
            raise ValueError(expected(who, "a new or an empty folder", state, remedy))

    def start(self, recipe: Recipe) -> None:
        """Make the folder and put the recipe into it, unless it is there."""
        self.path.mkdir(parents=True, exist_ok=True)
        # What a process that was killed had begun to write: each as large as a checkpoint.
        for begun in (self.path / "checkpoints").glob(".*.tmp"):
            begun.unlink(missing_ok=True)
        if not self.config_path.is_file():
            recipe.save(self.config_path)

    def write_result(self, result: dict[str, Any]) -> None:
        """Write the result, which finishes the run."""
        write_json(self.result_path, result)

    def tidy(self) -> None:
        """Remove from a finished run what only an unfinished one needs."""
        self.previous_checkpoint.unlink(missing_ok=True)
        self.damaged_checkpoint.unlink(missing_ok=True)
        if not self.recipe.train.keep_checkpoints:
            shutil.rmtree(self.path / "checkpoints", ignore_errors=True)
