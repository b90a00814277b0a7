"""Load what stands on a backbone of ``create_model``: detectors, segmenters and their like."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from foveate.attention.registry import is_bound
from foveate.core import Words, expected
from foveate.core.strict_json import Fields
from foveate.models.folder import read_stored
from foveate.models.weights import SPEC, fill_
from foveate.surgery import inserted

_M = TypeVar("_M", bound=nn.Module)
_LARGEST_SIDE = 2048
"""For attentions whose weights are as many as their map is large: it is looked for by a run."""


def load_task(folder: str | os.PathLike[str], key: str, create: Callable[..., _M], who: str) -> _M:
    """Rebuild a model of a task, in evaluation mode, on the CPU.

    Args:
        folder: What :func:`foveate.models.folder.write_stored` wrote.
        key: Its kind, one of ``LOADERS``.
        create: What makes it. Written down were its arguments, without ``pretrained``, with
            ``options`` of the attention, and ``sites``, which its ``network`` must have.
        who: Who asks, for errors.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or holds something else.
        ImportError: If a package is missing.
    """
    spec, contents = read_stored(folder, key, who)
    fields = Fields(spec, f"{SPEC} at {key}", who)
    options, sites = fields.mapping("options"), fields.texts("sites")
    known = inspect.signature(create).parameters
    names = [name for name in known if name not in ("pretrained", "options")]
    # What came later is not in older files.
    arguments = {name: fields.anything(name) for name in names if name in fields}
    fields.end()
    clash = sorted(set(options) & set(known))
    if clash:
        raise ValueError(expected(who, f"options of an attention in {fields.where}", clash[0]))
    with contents.building(who):
        bound = is_bound(arguments.get("attention"), options)
        if bound and _largest(arguments.get("size")) > _LARGEST_SIDE:
            rule = f"a size of at most {_LARGEST_SIDE} pixels with that attention in {fields.where}"
            raise ValueError(expected(who, rule, Words(arguments["size"])))
        model = create(**arguments, **options)
    there: Any = list(inserted(model.network))  # type: ignore[arg-type]
    if there != sites:
        raise ValueError(expected(who, f"sites {sites} in its backbone", Words(there)))
    fill_(model, contents, who)
    model.eval()
    return model


def _largest(size: Any) -> int:
    """The largest whole number in a size, as deep as it is."""
    if isinstance(size, (list, tuple)):
        return max(map(_largest, size), default=0)
    return size if isinstance(size, int) else 0
