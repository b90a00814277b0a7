"""What is known about an attention, in words: for lists and pages."""

from __future__ import annotations

from foveate.attention.registry import AttentionSpec
from foveate.attention.where import PICKS, SITES, Where, parse_where

Facts = dict[str, tuple[str, ...]]


def facts(spec: AttentionSpec) -> Facts:
    """Everything a user may want to know before choosing it, by heading; each a few lines.

    Example:
        >>> from foveate.attention import attention_spec
        >>> facts(attention_spec("se"))["site"]
        ('the last norm of every residual branch, before the addition',)
    """
    found: Facts = {
        "paper": (spec.link or spec.paper,),
        "code of the authors": (_official(spec),),
    }
    if spec.undefined:
        return found | {"not made": (spec.undefined,)}
    return found | {
        "site": tuple(_words(part) for part in parse_where(spec.site)),
        "maps": (_sizes(spec),),
        "at the start": ("returns its input" if spec.identity_at_init else "changes its input",),
        "options": tuple(f"{name}={default!r}" for name, default in spec.options.items()),
        "whole networks": tuple(f"network={name!r}" for name in spec.networks),
        "departs": spec.departs,
        "verified": spec.verified,
    }


def _official(spec: AttentionSpec) -> str:
    if spec.official is None:
        return "none is public, or none was found"
    code = spec.official
    terms = "which states no license" if code.license == "none" else f"license {code.license}"
    return f"https://github.com/{code.repository} at {code.commit}, {code.file}, {terms}"


def _words(part: Where) -> str:
    text = SITES[part.site]
    if part.pick != "all":
        text += f"; of it {PICKS[part.pick]}"
    if part.stages:
        text += f"; of stages: {', '.join(_range(low, high) for low, high in part.stages)}"
    return text


def _range(low: int, high: int) -> str:
    ends = [str(end) if end > 0 else _from_the_end(-end) for end in (low, high)]
    return ends[0] if low == high else f"{ends[0]} to {ends[1]}"


def _from_the_end(number: int) -> str:
    return {1: "the last", 2: "the last but one"}.get(number, f"number {number} from the end")


def _sizes(spec: AttentionSpec) -> str:
    rules = []
    if spec.min_pixels > 1:
        rules.append(f"of at least {spec.min_pixels} pixels")
    if spec.min_side > 1:
        rules.append(f"of at least {spec.min_side} x {spec.min_side} pixels")
    if spec.channel_multiple > 1:
        rules.append(f"of a multiple of {spec.channel_multiple} channels")
    return " and ".join(rules) or "of any size and number of channels"
