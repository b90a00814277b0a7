"""The registry: every attention by name, with what is known about it."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import nn

from foveate.attention.place import Place
from foveate.attention.where import parse_where
from foveate.core import Words, expected, suggest

KINDS = ("channel", "spatial", "both", "self-attention", "convolution", "ablation")

_M = TypeVar("_M", bound=type[nn.Module])


@dataclass(frozen=True)
class Official:
    """Where the authors' code is.

    Attributes:
        repository: ``owner/name`` on GitHub.
        commit: The commit that was read.
        file: The file that holds the mechanism, or "".
        license: Its license, or ``"none"`` where the repository states none.
    """

    repository: str
    commit: str
    file: str
    license: str

    def __str__(self) -> str:
        return f"{self.repository} {self.commit} ({self.license})"


@dataclass(frozen=True)
class AttentionSpec:
    """What is known about one attention.

    Attributes:
        name: Registry name, the stem of its file.
        factory: The class; ``factory(channels, **options)`` maps (N, C, H, W) to the same shape.
        title: Full name.
        kind: What it weighs, one of ``KINDS``; a ``"convolution"`` replaces one, and an
            ``"ablation"`` is a design that a paper holds against its own.
        paper: arXiv number, or where it appeared.
        year: Year of the paper.
        site: Where its own paper puts it, see :func:`~foveate.attention.where.parse_where`.
        params: ``params(channels, **options)``, the exact number of parameters.
        departs: Each difference from the paper or its code, one line each.
        verified: What its numbers were compared with, besides the formula in its test.
        extra: The extra of foveate that it needs, or "".
        min_pixels: Smallest H * W it is defined for.
        min_side: Smallest H and W it is defined for.
        channel_multiple: Channels must be a multiple of this.
        identity_at_init: Whether a fresh module returns its input.
        official: Where the authors' code is, or None.
        fit: ``fit(place, options)`` returns the further options that a place in a network asks
            for, see :class:`~foveate.attention.place.Place`; None if it asks for none.
        watches: Whether the module has a method ``see_input(x)`` that is to be shown the input of
            its block before the block runs.
        borrows_kernel: Whether, in place of a convolution, it works with that one's weights, as
            ``module(x, weight, bias)``, instead of weights of its own.
        networks: Whole networks of its paper by name, each the settings that
            ``foveate.create_model`` takes for it: ``where``, ``host``, ``head``.
        undefined: Why it cannot be made, if its name is known and its definition is not.
        aliases: Other names.
    """

    name: str
    factory: type[nn.Module]
    title: str
    kind: str
    paper: str
    year: int
    site: str
    params: Callable[..., int]
    departs: tuple[str, ...] = ()
    verified: tuple[str, ...] = ()
    extra: str = ""
    min_pixels: int = 1
    min_side: int = 1
    channel_multiple: int = 1
    identity_at_init: bool = False
    official: Official | None = None
    fit: Callable[[Place, dict[str, Any]], dict[str, Any]] | None = None
    watches: bool = False
    borrows_kernel: bool = False
    networks: dict[str, dict[str, str]] = field(default_factory=dict)
    undefined: str = ""
    aliases: tuple[str, ...] = field(default=())

    @property
    def link(self) -> str:
        """Address of the paper if it is on arXiv, else ""."""
        numbered = re.fullmatch(r"\d{4}\.\d{5}", self.paper)
        return f"https://arxiv.org/abs/{self.paper}" if numbered else ""

    @property
    def options(self) -> dict[str, Any]:
        """The options of the factory and their defaults."""
        parameters = list(inspect.signature(self.factory).parameters.values())
        return {one.name: one.default for one in parameters if one.name != "channels"}


_SPECS: dict[str, AttentionSpec] = {}
_ALIASES: dict[str, str] = {}


def register(**facts: Any) -> Callable[[_M], _M]:
    """Register the decorated class; ``facts`` are the fields of :class:`AttentionSpec`.

    Raises:
        ValueError: If the name or an alias is taken, or kind or site is unknown.
    """

    def decorate(factory: _M) -> _M:
        spec = AttentionSpec(factory=factory, **facts)
        parse_where(spec.site)
        if spec.kind not in KINDS:
            raise ValueError(expected("register", f"a kind of {KINDS}", Words(spec.kind)))
        for name in (spec.name, *spec.aliases):
            if name in _SPECS or name in _ALIASES or name == "none":
                raise ValueError(expected("register", "a free name", name))
        _SPECS[spec.name] = spec
        _ALIASES.update(dict.fromkeys(spec.aliases, spec.name))
        return factory

    return decorate


def list_attentions(kind: str | None = None, *, undefined: bool = False) -> list[str]:
    """Name every attention, or those of one kind.

    The designs of an ablation are no attentions of their own: they are named when asked for.

    Args:
        kind: ``"channel"``, ``"spatial"``, ``"both"``, ``"self-attention"``, ``"convolution"`` or
            ``"ablation"``; None for all but the last.
        undefined: Whether to name those too that have no public definition.

    Raises:
        ValueError: If the kind is unknown.

    Example:
        >>> "das" in list_attentions()
        True
        >>> list_attentions("ablation")
        ['das_a', 'das_b', 'das_d', 'das_e', 'das_f', 'das_g', 'das_h']
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(expected("list_attentions", "a known kind", kind, suggest(kind, KINDS)))
    return sorted(
        name
        for name, spec in _SPECS.items()
        if (spec.kind == kind if kind else spec.kind != "ablation")
        and (undefined or not spec.undefined)
    )


def is_bound(attention: str | None, options: dict[str, Any]) -> bool:
    """Whether weights of an attention, with these options, are as many as its map is large.

    Raises:
        ValueError: If there is no attention of that name.

    Example:
        >>> is_bound("das", {}), is_bound("das", {"ln_axes": "chw"}), is_bound(None, {})
        (False, True, False)
    """
    if attention in (None, "none"):
        return False
    spec = attention_spec(str(attention))
    if spec.fit is None or "map_size" not in spec.options:
        return False
    return "map_size" in spec.fit(Place(1, (1, 1)), options)


def attention_spec(name: str) -> AttentionSpec:
    """Return what is known about the attention ``name`` (or its alias).

    Raises:
        ValueError: If there is none; near names are listed.

    Example:
        >>> attention_spec("das").params(256)
        145796
    """
    found = _SPECS.get(_ALIASES.get(name, name))
    if found is None:
        raise ValueError(
            expected("foveate", "the name of an attention", name, suggest(name, _SPECS))
        )
    return found


def create_attention(name: str, channels: int, **options: Any) -> nn.Module:
    """Make an attention module for maps of ``channels`` channels.

    Args:
        name: Registry name, see :func:`list_attentions`.
        channels: Channels C.
        **options: Options of the attention, see ``attention_spec(name).options``.

    Shape:
        - x: (N, C, H, W); output: the same.

    Raises:
        ValueError: If the name, a value or an option is wrong.
        ImportError: If the attention needs an extra that is not installed.

    Example:
        >>> import torch
        >>> create_attention("das", 16)(torch.rand(2, 16, 7, 5)).shape
        torch.Size([2, 16, 7, 5])
    """
    spec = attention_spec(name)
    check_options(spec, options)
    return spec.factory(channels, **options)


def check_options(spec: AttentionSpec, options: dict[str, Any]) -> None:
    """Check that an attention can be made and has the options.

    Raises:
        ValueError: If it has no public definition, or an option is unknown; near ones are named.
    """
    if spec.undefined:
        raise ValueError(
            expected("foveate", "an attention with a definition", spec.name, spec.undefined)
        )
    for option in options:
        if option not in spec.options:
            remedy = suggest(option, spec.options)
            raise ValueError(expected(spec.name, "a known option", option, remedy))


def squeezed(channels: int, ratio: float, rounding: str = "floor", multiple_of: int = 1) -> int:
    """Width of a squeezed map, ``ratio * channels`` rounded, at least 1.

    A small term guards against float error: 0.2 * 15 is just below 3.
    """
    wide = ratio * channels
    rounded = {
        "floor": math.floor(wide + 1e-9),
        "ceil": math.ceil(wide - 1e-9),
        "round": math.floor(wide + 0.5),
    }[rounding]
    if multiple_of > 1:
        rounded = multiple_of * round(rounded / multiple_of)
    return max(1, multiple_of if multiple_of > 1 else 1, rounded)
