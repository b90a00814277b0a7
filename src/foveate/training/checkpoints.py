"""Checkpoints that survive a full disk and tell when they are damaged; they load tensors only."""

from __future__ import annotations

import os
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from foveate.core import Words, expected
from foveate.core.files import write_with
from foveate.training.ranks import is_main_process
from foveate.training.run_folder import RunFolder


class AtomicCheckpointIO(CheckpointIO):  # type: ignore[misc]
    """Writes a checkpoint to a temporary file, syncs it and renames it; loads tensors only."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint whole or not at all.

        Raises:
            OSError: If the disk does not take it; the previous checkpoint is still there.
        """
        write_with(Path(path), lambda handle: torch.save(checkpoint, handle), "a checkpoint")

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, with ``weights_only=True`` whatever is asked: no code runs.

        Raises:
            ValueError: If the file is no such checkpoint, is cut short or has a flipped bit.
        """
        rule = "a whole checkpoint of foveate, tensors and plain values only"
        try:
            # torch.load does not compare the checksums of what it reads.
            with zipfile.ZipFile(path) as archive:
                # torch stores; what is compressed may be far larger than the file.
                if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                    raise ValueError("it is compressed")
                broken = archive.testzip()
            if broken is not None:
                raise ValueError(f"{broken} does not have its checksum")
            tree: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (FileNotFoundError, PermissionError):
            raise
        # Damage shows as whatever went wrong inside zipfile, zlib, pickle and torch.
        except Exception as error:
            # torch's own text advises to load without the guard; that advice is left out.
            raise ValueError(expected("loading a checkpoint", rule, str(path))) from error
        return tree

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


def keep_previous(run: RunFolder) -> None:
    """Give the last checkpoint a second name, so that the next one does not take its place.

    Raises:
        OSError: If the folder takes no files.
    """
    if run.last_checkpoint.is_file():
        second_name(run.last_checkpoint, run.previous_checkpoint)


def second_name(file: Path, name: Path) -> None:
    """Let ``name`` be the same file as ``file``, by a hard link where the disk knows them."""
    temporary = name.with_name(f".{name.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(file, temporary)
        except OSError:
            shutil.copyfile(file, temporary)
        temporary.replace(name)
    finally:
        temporary.unlink(missing_ok=True)


def sound_checkpoint(run: RunFolder) -> Path | None:
    """Find the newest whole checkpoint to continue from; None if the run has none at all.

    A damaged one is told by a warning and set aside, and the one before it is taken.

    Raises:
        ValueError: If there are checkpoints and all are damaged.
    """
    there = [path for path in (run.last_checkpoint, run.previous_checkpoint) if path.is_file()]
    for path in there:
        if not _is_whole(path):
            continue
        if path != there[0]:
            if is_main_process():
                # Out of the way: the next checkpoint would make it the previous one.
                there[0].replace(run.damaged_checkpoint)
            warnings.warn(
                f"{there[0]} is damaged: the run goes on from the one before it, {path.name}",
                stacklevel=2,
            )
        return path
    if not there:
        return None
    raise ValueError(
        expected(
            f"resuming {run.path}",
            "a whole checkpoint",
            Words(f"damaged files: {', '.join(path.name for path in there)}"),
            f"delete {run.last_checkpoint.parent} to start the run anew",
        )
    )


def read_whole(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a run of foveate.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is damaged, or a checkpoint of something else.
    """
    tree = AtomicCheckpointIO().load_checkpoint(path)
    parts = ("state_dict", "foveate")
    if not isinstance(tree, dict) or not all(isinstance(tree.get(one), dict) for one in parts):
        rule = f"a checkpoint with {' and '.join(parts)}"
        raise ValueError(expected("loading a checkpoint", rule, str(path)))
    return tree


def _is_whole(path: Path) -> bool:
    try:
        read_whole(path)
    except ValueError:
        return False
    return True
