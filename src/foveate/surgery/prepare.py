"""Everything about an insertion that can fail: checks, and the building of the attentions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention import attention_spec, check_options, create_attention
from foveate.core import Words, check_choice, expected
from foveate.core.modes import evaluation
from foveate.ops.flops import count_macs
from foveate.surgery.attach import Inserted, inserted_at
from foveate.surgery.compiled import refuse_wrapped
from foveate.surgery.insertion import Insertion, Site
from foveate.surgery.sites import Where, find_sites
from foveate.surgery.structure import Found, last_activation
from foveate.surgery.trace import Record, default_example, watch

Attention = str | Callable[..., nn.Module]
Place = tuple[nn.Module, Inserted, tuple[nn.Module, int] | None]


def prepare(
    action: str,
    model: nn.Module,
    attention: Attention,
    where: Where | None,
    start: str,
    position: str,
    example: Any,
    options: dict[str, Any],
) -> tuple[list[Place], Insertion]:
    """Check and build everything, so that what is left to do cannot fail."""
    check_choice("insert_", "start", start, ("paper", "identity"))
    check_choice("insert_", "position", position, ("after", "before"))
    found, site, records = _find(model, attention, where, example, options)
    places, sites = [], []
    for one in found:
        before = _activation(one, records) if position == "before" else None
        built = _make(model, one, attention, options)
        macs = _macs(one, built)
        holder = Inserted(_name(attention), one.name, built, start == "identity")
        holder.to(one.record.output.device, one.record.output.dtype)
        holder.train(one.module.training)
        places.append((one.module, holder, before))
        sites.append(
            Site(
                name=one.name,
                path=one.path,
                channels=one.shape[1],
                size=(one.shape[2], one.shape[3]),
                params=count_params(holder),
                macs=macs,
                module=built,
                openness=holder.openness,
            )
        )
    done = Insertion(action, type(model).__name__, _name(attention), site, start, tuple(sites))
    return places, done


def _find(
    model: nn.Module,
    attention: Attention,
    where: Where | None,
    example: Any,
    options: dict[str, Any],
) -> tuple[list[Found], str, dict[nn.Module, Record]]:
    """Check everything that can be checked before anything is built."""
    if not isinstance(model, nn.Module):
        raise TypeError(expected("insert_", "a torch.nn.Module", Words(type(model).__name__)))
    refuse_wrapped(model)
    site, min_pixels = "stages", 1
    if isinstance(attention, str):
        spec = attention_spec(attention)
        check_options(spec, options)
        site, min_pixels = spec.site, spec.min_pixels
    elif not callable(attention) or isinstance(attention, nn.Module):
        raise TypeError(
            expected("insert_", "a name, or a callable channels -> module", Words(attention))
        )
    example = default_example(model) if example is None else example
    first = example[0] if isinstance(example, tuple) else example
    image = first.shape[-2] if isinstance(first, Tensor) else 224
    chosen = site if where is None else where
    records = watch(model, example)
    found = find_sites(model, chosen, records, image)
    _refuse_taken(model, found, records)
    for one in found:
        height, width = one.shape[2:]
        if height * width < min_pixels:
            raise ValueError(
                expected(
                    f"{attention}",
                    f"maps of at least {min_pixels} pixels",
                    Words(f"{height}x{width} at {one.name}"),
                    "use larger images or the small-image stem (stem='small'), or choose where",
                )
            )
    name = chosen if isinstance(chosen, str) else ", ".join(chosen)
    return found, name, records


def _refuse_taken(model: nn.Module, found: list[Found], records: dict[nn.Module, Record]) -> None:
    """Refuse sites that hold an attention, under this name or another of the same tensor."""
    holding = [(module, held) for module in model.modules() if (held := inserted_at(module))]
    for number, one in enumerate(found):
        for module, taken in holding:
            record = records.get(module)
            if module is one.module or (record is not None and one.record.hands_on(record)):
                got = Words(f"{one.name}, which holds {taken.attention_name!r}")
                raise ValueError(expected("insert_", "free sites", got, "call remove_ first"))
        for other in found[:number]:
            if one.record.hands_on(other.record):
                got = Words(f"{other.name} and {one.name}, which return the same tensor")
                raise ValueError(expected("insert_", "different sites", got, "name one of them"))


def _activation(one: Found, records: dict[nn.Module, Record]) -> tuple[nn.Module, int]:
    last = last_activation(one, records)
    if last is None:
        raise ValueError(
            expected(
                "position='before'",
                "sites that end with an activation module of their own",
                Words(f"{one.name} ({type(one.module).__name__})"),
                "use position='after'",
            )
        )
    return last


def _make(model: nn.Module, one: Found, attention: Attention, options: dict[str, Any]) -> nn.Module:
    """Build the attention of a site in the device, dtype and layout of what it will see."""
    if isinstance(attention, str):
        module = create_attention(attention, one.shape[1], **options)
    else:
        module = attention(one.shape[1], **options)
        if not isinstance(module, nn.Module):
            got = Words(type(module).__name__)
            raise TypeError(expected(_name(attention), "to return a torch.nn.Module", got))
    module.to(one.record.output.device, one.record.output.dtype)
    if _is_channels_last(model):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def _is_channels_last(model: nn.Module) -> bool:
    """Whether some kernel of the model lies in channels-last order and could not lie otherwise."""
    return any(
        weight.dim() == 4
        and weight.is_contiguous(memory_format=torch.channels_last)
        and not weight.is_contiguous()
        for weight in model.parameters()
    )


def _macs(one: Found, built: nn.Module) -> int:
    """Count the attention of a site on one image, and check that it keeps the shape."""
    shown = torch.zeros_like(one.record.output[:1])
    results: list[Any] = []
    with evaluation(built):
        macs, _ = count_macs(lambda: results.append(built(shown)))
    out = results[0]
    if not isinstance(out, Tensor) or out.shape != shown.shape:
        got = Words(tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__)
        rule = f"an attention that returns {tuple(shown.shape)} at {one.name}"
        raise ValueError(expected("insert_", rule, got))
    return macs


def count_params(module: nn.Module) -> int:
    """Number of parameters."""
    return sum(weight.numel() for weight in module.parameters())


def _name(attention: Attention) -> str:
    if isinstance(attention, str):
        return attention_spec(attention).name
    return getattr(attention, "__name__", type(attention).__name__)
