"""Save and load networks without pickle: safetensors for the weights, JSON for the rest."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foveate.core import Words, expected
from foveate.core.strict_json import Fields
from foveate.models.base import GIVEN, Base, base_spec, build_base
from foveate.models.create import create_model
from foveate.models.folder import read_stored, write_stored
from foveate.models.weights import SPEC, fill_
from foveate.surgery import inserted

_KEY = "model"


def save(
    model: nn.Module,
    folder: str | os.PathLike[str],
    *,
    base: str | Callable[..., nn.Module] | None = None,
    base_kwargs: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``model.safetensors`` and ``model.json`` into ``folder``, each whole or not at all.

    Every attention that :func:`foveate.insert_` put in by name is written down as it sits there:
    several insertions, and what the removal of some left. The network is built once more to see
    that what is written can be loaded.

    Args:
        model: Any network with or without inserted attentions.
        folder: Made if missing.
        base: What makes the network without attentions, for one that ``create_model`` did not
            make: a name of ``create_model`` (``"resnet18"``); an import path
            (``"my_package.nets:make_net"``) or the function or class itself, which :func:`load`
            imports if it is told to trust it; or ``"given"``, where ``load`` is to be handed the
            network.
        base_kwargs: Its arguments: texts, numbers, booleans, None, lists and dictionaries.

    Returns:
        The folder.

    Raises:
        ValueError: If it is not known what makes the network, that makes another one, or an
            attention was inserted as a callable.
        TypeError: If the model is wrapped or compiled, or an argument or option is nothing that
            JSON holds.
        ImportError: If ``base`` cannot be imported.
        OSError: If the disk is full or cannot be written.

    Example:
        >>> import tempfile, torch, foveate
        >>> net = foveate.create_model("resnet18", "das", num_classes=3, width=0.25).eval()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = foveate.save(net, folder)
        ...     again = foveate.load(folder)
        >>> x = torch.rand(1, 3, 64, 64)
        >>> torch.equal(again(x), net(x))
        True
    """
    spec = base_spec(model, base, base_kwargs)

    def rebuild() -> nn.Module:
        # The caller named the path, or consented to it when the model was loaded.
        return build_base(spec, None, spec.get("import", ()), "save")

    checked = None if GIVEN in spec else rebuild
    return write_stored(model, folder, _KEY, spec, rebuild=checked)


def load(
    folder: str | os.PathLike[str], *, base: Base | None = None, trust: str | Collection[str] = ()
) -> nn.Module:
    """Rebuild the model that :func:`save` wrote, in evaluation mode, on the CPU.

    Weights, types, layouts and ``requires_grad`` come back as they were, and so does the output,
    bit for bit. No code of the folder runs: names of networks and attentions are looked up among
    those of timm, torchvision and foveate.

    Args:
        folder: What :func:`save` wrote, in this format or the first.
        base: The network itself, which is filled in place and keeps its device, or what makes it,
            called with the arguments that the folder holds.
        trust: Import path, or paths, that may be imported to make the network. A folder that
            names another is refused.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, does not fit the other, is of an unknown format or asks
            for more memory than its weights have use for; if a link or name leads out of the
            folder; if the folder names an import path that is not trusted.
        ImportError: If a package is missing.

    Example:
        >>> load("nowhere")
        Traceback (most recent call last):
        ...
        FileNotFoundError: load expects a folder with model.json; got 'nowhere'
    """
    spec, contents = read_stored(folder, _KEY, "load")
    if isinstance(base, nn.Module):
        model = build_base(spec, base, trust, "load")
    else:
        with contents.building("load"):
            model = (
                _build_first(spec)
                if contents.format == 1
                else build_base(spec, base, trust, "load")
            )
    fill_(model, contents, "load")
    return model.eval()


_LARGEST_EXAMPLE = 2**22
"""The network is run on it, which takes a hundred times as much: 3 channels of 1182 pixels."""
_OPTIONAL = ("network", "host", "position", "output_stride")


def _build_first(spec: dict[str, Any]) -> nn.Module:
    """Build the network of format 1, which held the arguments of ``create_model``."""
    who, where = "load", f"{SPEC} at {_KEY}"
    fields = Fields(spec, where, who)
    options, sites = fields.mapping("options"), fields.texts("sites")
    shape = fields.shape("example") if "example" in fields else None
    names = ("name", "attention", "where", "start", "num_classes", "stem", "width", "in_chans")
    arguments = {name: fields.anything(name) for name in names}
    arguments |= {name: fields.anything(name) for name in _OPTIONAL if name in fields}
    fields.end()
    clash = sorted(set(options) & set(inspect.signature(create_model).parameters))
    if clash:
        raise ValueError(expected(who, f"options of an attention in {where}", clash[0]))
    if shape is not None and math.prod(shape[1:]) > _LARGEST_EXAMPLE:
        rule = f"an example of at most {_LARGEST_EXAMPLE:,} numbers an image in {where}"
        raise ValueError(expected(who, rule, Words(shape)))
    example = None if shape is None else torch.zeros([1, *shape[1:]])
    model = create_model(**arguments, example=example, **options)
    if list(inserted(model)) != sites:
        got = Words(list(inserted(model)))
        raise ValueError(expected(who, f"sites {sites} in {arguments['name']}", got))
    return model
