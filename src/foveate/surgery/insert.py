"""Insert attentions into any network, and take them out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention import attention_spec, check_options, create_attention
from foveate.core import Words, check_choice, expected
from foveate.core.modes import evaluation
from foveate.ops.flops import count_macs
from foveate.surgery.attach import (
    Inserted,
    attach,
    detach_all,
    inserted_at,
    iter_inserted,
)
from foveate.surgery.insertion import Insertion, Site
from foveate.surgery.sites import Where, find_sites
from foveate.surgery.structure import Found, last_activation, stages
from foveate.surgery.trace import Record, default_example, watch

Attention = str | Callable[..., nn.Module]
_WRAPPERS = {
    "DataParallel",
    "DistributedDataParallel",
    "FullyShardedDataParallel",
    "OptimizedModule",
    "ScriptModule",
    "RecursiveScriptModule",
}


def plan(
    model: nn.Module,
    attention: Attention = "das",
    where: Where | None = None,
    *,
    example: Any = None,
    **options: Any,
) -> Insertion:
    """Say what :func:`insert_` would do, and change nothing.

    The modules of its sites are None. Arguments and errors are those of :func:`insert_`.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        >>> plan(net, "das", ["1"], example=torch.zeros(1, 3, 8, 8)).params
        438
    """
    found, site, _ = _find(model, attention, where, example, options)
    made = [_make(model, one, attention, options) for one in found]
    sites = tuple(_site(one, module, None) for one, module in zip(found, made, strict=True))
    return Insertion("would insert", type(model).__name__, _name(attention), site, "paper", sites)


def insert_(
    model: nn.Module,
    attention: Attention = "das",
    where: Where | None = None,
    *,
    start: str = "paper",
    position: str = "after",
    example: Any = None,
    **options: Any,
) -> Insertion:
    """Insert an attention into a network, in place.

    Names, state-dict keys, modes, dtypes, devices, hooks and aliases of the network stay as they
    were, so published weights load strictly before and after. The model is run once, in
    evaluation mode and without gradients, to see its shapes. If anything is wrong, nothing is
    changed.

    Args:
        model: Any network that runs on images; not wrapped by DDP or ``torch.compile`` yet.
        attention: Registry name, or a callable ``channels -> module`` of your own.
        where: ``"stages"``, ``"blocks"``, ``"skips"``, ``"strides"``, ``"post_norm"``, or a list of
            module-name patterns (``["layer?"]``, ``["features.1[24]"]``). None takes the site of
            the attention's own paper.
        start: ``"paper"``, or ``"identity"``: each attention f becomes
            ``x + openness * (f(x) - x)`` with openness 0 at first, so the output of the network
            is what it was. It opens by learning, or by :func:`set_openness_`.
        position: ``"after"`` the last activation of the site, or ``"before"`` it, so that the
            attention sees the sum of branch and skip. A positive gate passes through a ReLU, so
            for DAS this changes what the gate looks at and nothing else.
        example: Argument of the model for the run, or a tuple of them; None makes one image.
        **options: Options of the attention.

    Returns:
        What was done; prints as a table.

    Raises:
        ValueError: If a name, an option or a pattern is wrong, a site is taken, a map is too
            small, or the model cannot run on the example.
        TypeError: If the model is wrapped, or is no module.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        >>> x = torch.rand(1, 3, 8, 8)
        >>> before = net(x)
        >>> done = insert_(net, "das", ["1"], start="identity", example=x)
        >>> len(done.sites), torch.equal(net(x), before)
        (1, True)
    """
    check_choice("insert_", "start", start, ("paper", "identity"))
    check_choice("insert_", "position", position, ("after", "before"))
    found, site, records = _find(model, attention, where, example, options)
    targets = [_activation(one, records) if position == "before" else None for one in found]
    made = [_make(model, one, attention, options) for one in found]
    sites = tuple(_site(one, module, module) for one, module in zip(found, made, strict=True))
    for one, module, before in zip(found, made, targets, strict=True):
        holder = Inserted(_name(attention), one.name, module, start == "identity")
        holder.to(one.record.output.device, one.record.output.dtype)
        holder.train(one.module.training)
        attach(one.module, holder, before)
    return Insertion("inserted", type(model).__name__, _name(attention), site, start, sites)


def remove_(model: nn.Module) -> Insertion:
    """Take every inserted attention out, in place; the network is bit for bit as it was.

    Raises:
        ValueError: If nothing was inserted.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        >>> _ = insert_(net, "das", ["1"], example=torch.rand(1, 3, 8, 8))
        >>> remove_(net).sites[0].name
        '1'
    """
    _refuse_wrappers(model)
    removed = detach_all(model)
    if not removed:
        raise ValueError(
            expected("remove_", "a model with inserted attentions", Words("none in it"))
        )
    sites = tuple(
        Site(
            name=one.site,
            path=one.site,
            channels=getattr(one.attention, "channels", 0),
            size=(0, 0),
            params=_params(one.attention),
            macs=0,
            module=one.attention,
        )
        for one in removed
    )
    names = ", ".join(sorted({one.attention_name for one in removed}))
    return Insertion("removed", type(model).__name__, names, "all", "paper", sites)


def inserted(model: nn.Module) -> dict[str, nn.Module]:
    """The inserted attention modules by site name, in the order of registration."""
    return {holder.site: holder.attention for _, holder in iter_inserted(model)}


def set_openness_(model: nn.Module, value: float) -> int:
    """Open every identity start to ``value``: 0 is the plain network, 1 the paper's module.

    Returns:
        How many attentions it was set for.

    Raises:
        ValueError: If the model has no attention with an identity start.
    """
    holders = [holder for _, holder in iter_inserted(model) if holder.openness is not None]
    if not holders:
        remedy = "insert with start='identity'"
        raise ValueError(expected("set_openness_", "identity starts", Words("none"), remedy))
    with torch.no_grad():
        for holder in holders:
            if holder.openness is not None:
                holder.openness.fill_(value)
    return len(holders)


def stage_ends(model: nn.Module, example: Any = None) -> dict[str, str]:
    """The stages of a network: name, and path of the module whose output ends it."""
    return {end.name: end.path for end in stages(model, watch(model, example))}


def _name(attention: Attention) -> str:
    if isinstance(attention, str):
        return attention_spec(attention).name
    return getattr(attention, "__name__", type(attention).__name__)


def _find(
    model: nn.Module,
    attention: Attention,
    where: Where | None,
    example: Any,
    options: dict[str, Any],
) -> tuple[list[Found], str, dict[nn.Module, Record]]:
    """Check everything that can be checked before anything is changed."""
    if not isinstance(model, nn.Module):
        raise TypeError(expected("insert_", "a torch.nn.Module", Words(type(model).__name__)))
    _refuse_wrappers(model)
    site, min_pixels = "stages", 1
    if isinstance(attention, str):
        spec = attention_spec(attention)
        check_options(spec, options)
        site, min_pixels = spec.site, spec.min_pixels
    elif not callable(attention):
        raise TypeError(expected("insert_", "a name or a callable attention", attention))
    example = default_example(model) if example is None else example
    first = example[0] if isinstance(example, tuple) else example
    image = first.shape[-2] if isinstance(first, Tensor) else 224
    chosen = site if where is None else where
    records = watch(model, example)
    found = find_sites(model, chosen, records, image)
    for one in found:
        taken = inserted_at(one.module)
        if taken is not None:
            got = Words(f"{one.name}, which holds {taken.attention_name!r}")
            raise ValueError(expected("insert_", "free sites", got, "call remove_ first"))
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


def _refuse_wrappers(model: nn.Module) -> None:
    for path, module in model.named_modules():
        kinds = {kind.__name__ for kind in type(module).__mro__}
        if kinds & _WRAPPERS:
            where = f" at {path}" if path else ""
            raise TypeError(
                expected(
                    "foveate",
                    "an unwrapped model",
                    Words(f"{type(module).__name__}{where}"),
                    "insert or remove first, then wrap; the inner model is .module or ._orig_mod",
                )
            )


def _make(model: nn.Module, one: Found, attention: Attention, options: dict[str, Any]) -> nn.Module:
    """Build the attention of a site in the device, dtype and layout of what it will see."""
    if isinstance(attention, str):
        module = create_attention(attention, one.shape[1], **options)
    else:
        module = attention(one.shape[1], **options)
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


def _site(one: Found, built: nn.Module, module: nn.Module | None) -> Site:
    """Describe a site and count its attention on one image."""
    with evaluation(built):
        macs, _ = count_macs(lambda: built(torch.zeros_like(one.record.output[:1])))
    return Site(
        name=one.name,
        path=one.path,
        channels=one.shape[1],
        size=(one.shape[2], one.shape[3]),
        params=_params(built),
        macs=macs,
        module=module,
    )


def _params(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
