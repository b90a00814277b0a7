"""Everything about an insertion that can fail: checks, and the building of the attentions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from foveate.attention import AttentionSpec, attention_spec, check_options
from foveate.attention.place import Memory, Place
from foveate.core import Words, check_choice, expected
from foveate.core.modes import evaluation
from foveate.ops.flops import count_macs
from foveate.surgery.attach import inserted_at
from foveate.surgery.compiled import refuse_wrapped
from foveate.surgery.holder import INSTEAD, OUTPUT, Asked, Inserted, Origin, iter_inserted
from foveate.surgery.insertion import Insertion, Site
from foveate.surgery.instead import parked_by
from foveate.surgery.seating import Seat, place_of, seat_of, seats
from foveate.surgery.sites import Sites, find_sites
from foveate.surgery.structure import Found, last_activation
from foveate.surgery.trace import Record, default_example, watch

Attention = str | Callable[..., nn.Module]


@dataclass(frozen=True)
class Hanging:
    """An attention that is ready to be hung up: the arguments of ``attach``."""

    target: nn.Module
    holder: Inserted
    before: tuple[nn.Module, int] | None
    shown: nn.Module | None
    parked: tuple[str, ...]


def prepare(
    how: Insertion,
    model: nn.Module,
    attention: Attention,
    where: Sites | None,
    position: str,
    example: Any,
    options: dict[str, Any],
) -> tuple[list[Hanging], Insertion]:
    """Check and build everything, so that what is left to do cannot fail.

    Returns:
        The attentions, and ``how`` with what is known now.
    """
    check_choice("insert_", "start", how.start, ("paper", "identity"))
    check_choice("insert_", "position", position, ("after", "before"))
    spec = _spec(model, attention, options)
    example = default_example(model) if example is None else example
    records = watch(model, example)
    every, memory = seats(model, records), Memory()
    found, chosen = _find(model, attention, spec, where, example, records, every)
    asked = Asked(
        attention=None if spec is None else spec.name,
        options=options,
        where=chosen,
        position=position,
        example=tuple(tuple(one.shape) for one in _arguments(example) if isinstance(one, Tensor)),
        number=1
        + max(
            (one.origin.asked.number for _, one in iter_inserted(model) if one.origin), default=0
        ),
    )
    hangings, sites = [], []
    for one in found:
        before = _activation(one, records) if position == "before" else None
        seat = seat_of(one, every)
        place = place_of(one, seat, memory)
        fitted = spec.fit(place, options) if spec is not None and spec.fit else {}
        built = _make(model, attention, spec, place, one, {**options, **fitted})
        borrows = spec is not None and spec.borrows_kernel
        identity = how.start == "identity"
        origin = Origin(asked, place.channels, fitted)
        holder = Inserted(_name(attention), one.name, built, identity, one.at, borrows, origin)
        holder.to(one.record.output.device, one.record.output.dtype)
        holder.train(one.module.training)
        shown = _shown(spec, seat)
        parked = parked_by(model, one.module, holder)
        macs = _macs(one, holder, shown)
        holder.added = params = count_added(holder, one.module, parked)
        block = shown.module if shown else None
        hangings.append(Hanging(one.module, holder, before, block, parked))
        sites.append(
            Site(
                name=one.name,
                path=one.path,
                channels=one.shape[1],
                size=(one.shape[2], one.shape[3]),
                params=params,
                macs=macs,
                module=built,
                openness=holder.openness,
            )
        )
    site = chosen if isinstance(chosen, str) else ", ".join(chosen)
    done = replace(how, attention=_name(attention), where=site, sites=tuple(sites))
    return hangings, done


def _spec(model: nn.Module, attention: Attention, options: dict[str, Any]) -> AttentionSpec | None:
    """Check the model, the attention and its options; a callable has no specification."""
    if not isinstance(model, nn.Module):
        raise TypeError(expected("insert_", "a torch.nn.Module", Words(type(model).__name__)))
    refuse_wrapped(model)
    if isinstance(attention, str):
        spec = attention_spec(attention)
        check_options(spec, options)
        return spec
    if not callable(attention) or isinstance(attention, nn.Module):
        raise TypeError(
            expected("insert_", "a name, or a callable channels -> module", Words(attention))
        )
    return None


def _find(
    model: nn.Module,
    attention: Attention,
    spec: AttentionSpec | None,
    where: Sites | None,
    example: Any,
    records: dict[nn.Module, Record],
    every: list[Seat],
) -> tuple[list[Found], str | tuple[str, ...]]:
    """Find the sites and check what can be checked before anything is built."""
    first = _arguments(example)[0]
    image = first.shape[-2] if isinstance(first, Tensor) else 224
    chosen = where if where is not None else spec.site if spec else "stages"
    replaces = spec is not None and spec.kind == "convolution"
    found = find_sites(model, chosen, records, every, image, replaces)
    _refuse_taken(model, found, records)
    for one in found:
        if spec is not None and (one.at == INSTEAD) != replaces:
            what = "takes the place of a convolution" if replaces else "replaces nothing"
            rule = "where='replace_conv2' for what replaces a convolution, and only for that"
            raise ValueError(
                expected("insert_", rule, Words(f"{chosen!r}, and {spec.name} {what}"))
            )
        if spec is not None:
            _check_size(spec, one)
    return found, chosen if isinstance(chosen, str) else tuple(chosen)


def _arguments(example: Any) -> tuple[Any, ...]:
    return example if isinstance(example, tuple) else (example,)


def _check_size(spec: AttentionSpec, one: Found) -> None:
    channels, height, width = one.shape[1:]
    least = f"{spec.min_pixels} pixels" if spec.min_pixels > 1 else f"{spec.min_side} on a side"
    if height * width < spec.min_pixels or min(height, width) < spec.min_side:
        got = Words(f"{height}x{width} at {one.name}")
        remedy = "use larger images or the small-image stem (stem='small'), or choose where"
        raise ValueError(expected(spec.name, f"maps of at least {least}", got, remedy))
    if channels % spec.channel_multiple:
        rule = f"channels that are a multiple of {spec.channel_multiple}"
        raise ValueError(expected(spec.name, rule, Words(f"{channels} at {one.name}")))


def _refuse_taken(model: nn.Module, found: list[Found], records: dict[nn.Module, Record]) -> None:
    """Refuse sites that hold an attention, under this name or another of the same tensor."""
    for number, one in enumerate(found):
        for module in model.modules():
            taken = inserted_at(module, one.at)
            if taken and (module is one.module or _same_result(one, records.get(module))):
                got = Words(f"{one.name}, which holds {taken.attention_name!r}")
                raise ValueError(expected("insert_", "free sites", got, "call remove_ first"))
        for other in found[:number]:
            if one.at == other.at and _same_result(one, other.record):
                got = Words(f"{other.name} and {one.name}, which return the same tensor")
                raise ValueError(expected("insert_", "different sites", got, "name one of them"))


def _same_result(one: Found, record: Record | None) -> bool:
    return one.at == OUTPUT and record is not None and one.record.hands_on(record)


def _shown(spec: AttentionSpec | None, seat: Seat | None) -> Found | None:
    """The block whose input an attention is to be shown."""
    if spec is None or not spec.watches or seat is None:
        return None
    if len(seat.block.record.input_shape or ()) != 4:
        rule = "blocks that take their map as the first argument, by position"
        got = Words(f"{seat.block.path} ({type(seat.block.module).__name__})")
        raise ValueError(expected(spec.name, rule, got))
    return seat.block


def _activation(one: Found, records: dict[nn.Module, Record]) -> tuple[nn.Module, int]:
    last = last_activation(one, records) if one.at == OUTPUT else None
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


def _make(
    model: nn.Module,
    attention: Attention,
    spec: AttentionSpec | None,
    place: Place,
    one: Found,
    options: dict[str, Any],
) -> nn.Module:
    """Build the attention of a site in the device, dtype and layout of what it will see."""
    if spec is not None:
        module: Any = spec.factory(place.channels, **options)
    else:
        module = cast(Any, attention)(place.channels, **place.replaced, **options)
        if not isinstance(module, nn.Module):
            got = Words(type(module).__name__)
            raise TypeError(expected(_name(attention), "to return a torch.nn.Module", got))
    module.to(one.record.output.device, one.record.output.dtype)
    if _is_channels_last(model):
        module.to(memory_format=torch.channels_last)
    built: nn.Module = module
    return built


def _is_channels_last(model: nn.Module) -> bool:
    """Whether some kernel of the model lies in channels-last order and could not lie otherwise."""
    return any(
        weight.dim() == 4
        and weight.is_contiguous(memory_format=torch.channels_last)
        and not weight.is_contiguous()
        for weight in model.parameters()
    )


def _macs(one: Found, holder: Inserted, shown: Found | None) -> int:
    """Count what an attention adds on one image, and check that it returns the right shape.

    What stands in for a convolution saves that one's operations unless the start is identity.
    """
    attention, x = holder.attention, _black(one.shape, one)
    kernel = (one.module.weight, one.module.bias) if holder.borrows else ()

    def run() -> Any:
        if shown is not None:
            attention.see_input(_black(shown.record.input_shape or (), one))  # type: ignore[operator]
        results.append(attention(x, *kernel))

    results: list[Any] = []
    with evaluation(attention):
        macs, _ = count_macs(run)
        if one.at == INSTEAD and holder.openness is None:
            macs -= count_macs(lambda: one.module.forward(x))[0]
    out, wanted = results[0], (1, *one.result[1:])
    if not isinstance(out, Tensor) or out.shape != wanted:
        got = Words(tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__)
        rule = f"an attention that returns {wanted} at {one.name}"
        raise ValueError(expected("insert_", rule, got))
    return macs


def _black(shape: tuple[int, ...], like: Found) -> Tensor:
    """A map of zeros for one image, in dtype and on the device of a site."""
    output: Tensor = like.record.output
    return torch.zeros((1, *shape[1:]), dtype=output.dtype, device=output.device)


def count_added(holder: Inserted, target: nn.Module, parked: tuple[str, ...]) -> int:
    """Parameters that a network has more with an attention at ``target``."""
    freed = sum(target.get_parameter(name).numel() for name in parked)
    return sum(weight.numel() for weight in holder.parameters()) - freed


def _name(attention: Attention) -> str:
    if isinstance(attention, str):
        return attention_spec(attention).name
    return getattr(attention, "__name__", type(attention).__name__)
