"""Insert attentions into any network, and take them out again."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import nn

from foveate.core import Words, expected
from foveate.surgery.attach import attach, detach
from foveate.surgery.compiled import make_compiler_see_hooks, refuse_wrapped
from foveate.surgery.holder import guard_loading, iter_inserted
from foveate.surgery.host import changed_host, restore_host_
from foveate.surgery.insertion import Insertion, Site
from foveate.surgery.prepare import Attention, prepare
from foveate.surgery.sites import Sites
from foveate.surgery.structure import stages
from foveate.surgery.trace import watch


def plan(
    model: nn.Module,
    attention: Attention = "das",
    where: Sites | None = None,
    *,
    start: str = "paper",
    position: str = "after",
    host: str | None = None,
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
    how = Insertion("would insert", type(model).__name__, "", "", start, host=host)
    with torch.random.fork_rng([]), changed_host(model, how, example, keep=False):
        _, done = prepare(how, model, attention, where, position, example, options)
    sites = tuple(dataclasses.replace(one, module=None, openness=None) for one in done.sites)
    return dataclasses.replace(done, sites=sites)


def insert_(
    model: nn.Module,
    attention: Attention = "das",
    where: Sites | None = None,
    *,
    start: str = "paper",
    position: str = "after",
    host: str | None = None,
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
        attention: Registry name, or a callable ``channels -> module`` of your own; at
            ``"replace_conv2"`` it is given ``out_channels``, ``kernel``, ``stride``, ``padding``,
            ``dilation``, ``groups`` and ``bias`` of the convolution too.
        where: A site, one of ``foveate.surgery.SITES``, with a choice of blocks and stages if not
            all are meant: ``"stages"``, ``"post_norm:last"``, ``"blocks:second@2..3"`` (see
            :func:`~foveate.attention.where.parse_where`); or a list of module-name patterns
            (``["layer?"]``, ``["features.1[24]"]``). None takes the site of the attention's own
            paper.
        start: ``"paper"``, or ``"identity"``: each attention f becomes
            ``x + openness * (f(x) - x)`` with openness 0 at first, so the output of the network
            is what it was. It opens by learning, or by :func:`set_openness_`.
        position: ``"after"`` the last activation of the site, or ``"before"`` it, so that the
            attention sees the sum of branch and skip. A positive gate passes through a ReLU, so
            for DAS this changes what the gate looks at and nothing else.
        host: A change to the network itself that the attention's paper makes, one of
            ``foveate.surgery.HOSTS``; None leaves the network as it is. :func:`remove_` takes it
            back. An identity start forbids it.
        example: Argument of the model for the run, or a tuple of them; None makes one image.
        **options: Options of the attention.

    Returns:
        What was done; prints as a table.

    Raises:
        ValueError: If a name, an option or a pattern is wrong, a site is taken, a map is too
            small, or the model cannot run on the example.
        TypeError: If the model is wrapped or compiled, or is no module.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        >>> x = torch.rand(1, 3, 8, 8)
        >>> before = net(x)
        >>> done = insert_(net, "das", ["1"], start="identity", example=x)
        >>> len(done.sites), torch.equal(net(x), before)
        (1, True)
    """
    how = Insertion("inserted", type(model).__name__, "", "", start, host=host)
    with changed_host(model, how, example, keep=True):
        hangings, done = prepare(how, model, attention, where, position, example, options)
        make_compiler_see_hooks()
        try:
            for one in hangings:
                attach(one.target, one.holder, one.before, one.shown, one.parked)
            guard_loading(model)
        except BaseException:  # Ctrl-C among them: all or nothing.
            detach(model, {one.holder for one in hangings})
            raise
    return done


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
    refuse_wrapped(model)
    removed = detach(model)
    host = restore_host_(model)
    if not removed:
        raise ValueError(
            expected("remove_", "a model with inserted attentions", Words("none in it"))
        )
    make_compiler_see_hooks()
    sites = tuple(
        Site(
            name=one.site,
            path=one.site,
            channels=getattr(one.attention, "channels", 0),
            size=(0, 0),
            params=one.added,
            macs=0,
            module=one.attention,
            openness=one.openness,
        )
        for one in removed
    )
    names = ", ".join(sorted({one.attention_name for one in removed}))
    start = "identity" if any(one.openness is not None for one in removed) else "paper"
    return Insertion("removed", type(model).__name__, names, "all", start, sites, host)


def inserted(model: nn.Module) -> dict[str, nn.Module]:
    """The inserted attention modules by site name, in the order of registration.

    Two of one name (inserted into different parts of the model) are told apart by their paths.
    """
    found: dict[str, nn.Module] = {}
    for path, holder in iter_inserted(model):
        found[path if holder.site in found else holder.site] = holder.attention
    return found


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
