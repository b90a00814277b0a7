"""``push_to_hub``, ``save_pretrained`` and ``from_pretrained`` for any gated network."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from foveate.core import Words, expected, require
from foveate.core.files import write_json
from foveate.integrations.hub.card import card_of
from foveate.integrations.hub.describing import describe
from foveate.models import load, save
from foveate.models.weights import SPEC, WEIGHTS

_hub: Any = require("huggingface_hub", "export", "foveate.integrations.hub")


class HubModel(nn.Module, _hub.PyTorchModelHubMixin, library_name="foveate"):  # type: ignore[misc, call-arg]
    """A network with what ``PyTorchModelHubMixin`` gives: it is pushed, saved and loaded by name.

    What is written is what :func:`foveate.save` writes (safetensors and JSON), a ``config.json``
    for the Hub to count by, and a model card. ``foveate.load`` reads the same folder. Nothing that
    is downloaded is executed, and no pickle is read.

    Args:
        network: Any network that :func:`foveate.save` takes.

    Attributes:
        network: The network itself; calling the model calls it.

    Shape:
        - those of the network

    Raises:
        TypeError: If it is no module.

    Example:
        >>> import foveate
        >>> model = HubModel(foveate.create_model("resnet10t", "se", num_classes=2))
        >>> model.generate_model_card().data.library_name
        'foveate'
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            got = Words(type(network).__name__)
            raise TypeError(expected("HubModel", "a network", got))
        self.network = network
        self.training = network.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the network."""
        return self.network(*args, **kwargs)

    def generate_model_card(self, *args: Any, **kwargs: Any) -> Any:
        """Return the card, see :func:`~foveate.integrations.hub.card.model_card`.

        ``save_pretrained`` and ``push_to_hub`` hand ``model_card_kwargs`` on to it: ``run``,
        ``license``, ``repo_id``.
        """
        return card_of(self.network, *args, **kwargs)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> Any:
        """Write the network and its card into a folder; a card that is there already is kept.

        Raises:
            ValueError: If :func:`foveate.save` refuses the network; then the folder is as it was.
            OSError: If the disk is full or cannot be written.
        """
        Path(save_directory).mkdir(parents=True, exist_ok=True)
        # First of all, so that a network which cannot be saved changes no file.
        save(self.network, save_directory)
        return super().save_pretrained(Path(save_directory), **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        """Add what the Hub wants beside the network."""
        facts = describe(self.network)
        config = {"library_name": "foveate", "architectures": [facts.network], **facts.config}
        write_json(save_directory / "config.json", config)

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> Any:
        """Upload the network and its card; arguments are those of the mixin.

        The address of the repository is the card's ``repo_id`` unless ``model_card_kwargs`` has
        one.

        Raises:
            OSError: If ``HF_HUB_OFFLINE`` is set, or the Hub refuses or cannot be reached.
            ValueError: If :func:`foveate.save` refuses the network.
        """
        if _hub.constants.HF_HUB_OFFLINE:
            remedy = "unset it, or write a folder with save_pretrained"
            got = Words("HF_HUB_OFFLINE=1")
            raise OSError(expected("HubModel.push_to_hub", "the network to be used", got, remedy))
        card = {"repo_id": repo_id, **(kwargs.pop("model_card_kwargs", None) or {})}
        return super().push_to_hub(repo_id, model_card_kwargs=card, **kwargs)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> HubModel:
        """Load from a repository of the Hub, or from a folder, in evaluation mode on the CPU.

        Args:
            pretrained_model_name_or_path: ``"owner/name"``, or a folder.
            **kwargs: Those of the mixin (``revision``, ``token``, ``cache_dir``,
                ``local_files_only``, ``force_download``); others go to :func:`foveate.load`.

        Raises:
            OSError: If a file is missing, or is neither in the cache nor to be had.
            ValueError: If a file is damaged, see :func:`foveate.load`.
        """
        name = os.fspath(pretrained_model_name_or_path)
        try:
            found: HubModel = super().from_pretrained(name, **kwargs)
        except (AttributeError, json.JSONDecodeError) as error:
            # The mixin reads it without looking; foveate does not need it.
            rule, got = "config.json with an object", Words(_first_line(error))
            raise ValueError(expected("HubModel.from_pretrained", rule, got)) from error
        except (OSError, _hub.errors.HFValidationError) as error:
            if Path(name).is_dir():
                raise
            rule = "a folder, or a repository of the Hub with files of foveate"
            got = Words(f"{name!r} ({_first_line(error)})")
            offline = _hub.constants.HF_HUB_OFFLINE
            remedy = "HF_HUB_OFFLINE is set: name a local folder" if offline else ""
            raise OSError(expected("HubModel.from_pretrained", rule, got, remedy)) from error
        return found

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
        proxies: Any = None,
        resume_download: Any = None,
        **kwargs: Any,
    ) -> HubModel:
        """Fetch the two files of the network, if it is no folder, and load them."""
        kwargs.pop("network", None)  # What config.json may call so is no network.
        if Path(model_id).is_dir():
            return cls(load(model_id, **kwargs))
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for name in (SPEC, WEIGHTS):
                cached = _hub.hf_hub_download(
                    model_id,
                    name,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                )
                # The cache holds links to files elsewhere, and links are not followed by load.
                shutil.copyfile(cached, Path(folder) / name)
            return cls(load(folder, **kwargs))


def _first_line(error: Exception) -> str:
    """What an error of the Hub says, without its advice and addresses."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
