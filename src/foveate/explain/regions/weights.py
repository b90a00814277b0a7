"""Published models in a folder or on the hub: found, checked, told apart by their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from foveate.core import Words, expected, require
from foveate.core.offline import offline
from foveate.core.reading import read_object

_WHO = "grounded-sam"
_DECIDING = (".bin", ".json", ".model", ".safetensors", ".txt")


@dataclass(frozen=True)
class Checkpoint:
    """A model of the transformers library with its processor.

    Attributes:
        name: A folder, or an id on the hub such as ``facebook/sam-vit-base``.
        role: What it is for, ``detector`` or ``segmenter``.
        auto: The class of transformers that loads it.
        types: The ``model_type`` words that will do.
    """

    name: str
    role: str
    auto: str
    types: Sequence[str]

    @cached_property
    def folder(self) -> Path:
        """Where its files lie; fetched from the hub if they are not here yet.

        Raises:
            ValueError: If they are neither here nor to be had.
        """
        place = Path(self.name).expanduser()
        if place.is_dir():
            return place
        hub = require("huggingface_hub", "explain", _WHO)
        offline()  # Tells the hub of a variable that was set after its import.
        try:
            for kind in ("*.safetensors", "*.bin"):
                wanted = ["*.json", "*.model", "*.txt", kind]
                found = Path(hub.snapshot_download(self.name, allow_patterns=wanted))
                if any(found.glob(kind)):
                    return found
        # Whatever keeps the files away, the way out is the same.
        except Exception as error:
            raise ValueError(self._absent(f"{type(error).__name__}: {error}")) from error
        raise ValueError(self._absent("no file of weights in it"))

    def _absent(self, reason: str) -> str:
        hub = require("huggingface_hub.constants", "explain", _WHO)
        offline = "HF_HUB_OFFLINE is set" if hub.HF_HUB_OFFLINE else "the hub was asked"
        cause = reason.strip().splitlines()[0].split(". ")[0]
        remedy = (
            "give local folders: --detector FOLDER --segmenter FOLDER, each with config.json,"
            " weights and processor files, or run once with a network and without HF_HUB_OFFLINE"
        )
        rule = f"the weights of its {self.role} {self.name!r} here or on the hub"
        return expected(_WHO, rule, Words(f"neither ({offline}; {cause})"), remedy)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What ``config.json`` says.

        Raises:
            ValueError: If there is none, or it is of another kind of model.
        """
        file = self.folder / "config.json"
        rule = f"a {self.role} of type {', '.join(self.types)} in {self.folder}"
        try:
            config = read_object(file)
            kind = config.get("model_type")
        except FileNotFoundError:
            raise ValueError(expected(_WHO, rule, Words("no config.json"))) from None
        except (AttributeError, OSError, ValueError) as error:
            raise ValueError(expected(_WHO, rule, Words(f"config.json: {error}"))) from error
        if kind not in self.types:
            raise ValueError(expected(_WHO, rule, kind, f"give another folder as {self.role}"))
        return dict(config)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Its name, its type, and the SHA-256 of every file that decides what it answers."""
        kind = self.config["model_type"]
        name = self.folder.resolve().name if Path(self.name).expanduser().is_dir() else self.name
        files = {
            path.name: file_digest(path)
            for path in sorted(self.folder.iterdir())
            if path.suffix in _DECIDING and path.is_file()
        }
        return {"name": name, "type": kind, "sha256": files}

    def load(self, device: str) -> tuple[Any, Any]:
        """Return the model, in eval mode and frozen, and its processor.

        Raises:
            ValueError: If they cannot be read, or weights are missing.
            MissingExtraError: If transformers is not installed.
        """
        _ = self.config
        transformers = require("transformers", "explain", _WHO)
        try:
            with _quietly(transformers):
                auto = getattr(transformers, self.auto)
                model, info = auto.from_pretrained(self.folder, output_loading_info=True)
                processor = transformers.AutoProcessor.from_pretrained(self.folder)
        # Damaged files show as whatever went wrong inside the readers.
        except Exception as error:
            rule = f"a {self.role} and its processor that can be read in {self.folder}"
            got = Words(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
            raise ValueError(expected(_WHO, rule, got, "fetch its files again")) from error
        own = {name for name, _ in model.named_parameters()}
        lost = sorted(own & set(info["missing_keys"]))
        if lost:
            rule = f"all weights of the {self.role} in {self.folder}"
            got = Words(f"{len(lost)} missing, {lost[0]} for one")
            raise ValueError(expected(_WHO, rule, got, "fetch its files again"))
        return model.to(device).float().eval().requires_grad_(False), processor


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _quietly(transformers: Any) -> Iterator[None]:
    """Keep the progress bars and advice of transformers off the screen while a model loads."""
    logging = transformers.utils.logging
    level, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
