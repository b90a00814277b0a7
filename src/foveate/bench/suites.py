"""The contests of each suite; rows come from the variants and from the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import torch
from torch import nn

from foveate.attention import attention_spec, create_attention, list_attentions
from foveate.attention.registry import squeezed
from foveate.bench import modules
from foveate.bench.cases import Case
from foveate.bench.check import differentiates
from foveate.bench.contest import FORWARD, MODES, Contest, Contestant, same
from foveate.bench.modules import ALPHA, Mix
from foveate.bench.roofline import Rates, gate_cost, op_cost, roofs
from foveate.bench.variants import Variant, baseline_of, line_up
from foveate.models import create_model

PLAIN, CONV = "none", "conv3x3"
GATE, ATTENTION = "gate", "self-attention"


def variants_contest(
    suite: str,
    case: Case,
    dtype: torch.dtype,
    versus: list[str],
    device: str,
    rates: Rates | None = None,
) -> Contest:
    """The whole gate (``"gate"``) or its deformable step alone (``"op"``), ours and theirs."""
    cost = (gate_cost if suite == GATE else op_cost)(case, dtype.itemsize)
    return Contest(
        suite,
        case,
        tuple(_contestant(suite, one, dtype, device) for one in line_up(versus)),
        baseline_of(versus),
        dtype,
        checks=(
            (case.reduced(), torch.float64, torch.float64),
            (case, torch.float64, torch.float64),
            (case, None, torch.float32),
        ),
        modes=MODES if differentiates(dtype) else (FORWARD,),
        roofs=roofs(cost, dtype, rates) if rates else {},
    )


def memory_contest(case: Case, versus: list[str], device: str) -> Contest:
    """The gate's variants again, checked on a small map alone."""
    contest = variants_contest(GATE, case, torch.float32, versus, device)
    people = tuple(one for one in contest.contestants if not one.compiled)
    return replace(contest, suite="memory", contestants=people, checks=contest.checks[:1])


def _contestant(suite: str, variant: Variant, dtype: torch.dtype, device: str) -> Contestant:
    if suite == "op":
        build: Callable[[Case], nn.Module] = partial(_operator, variant.mix)
    elif variant.whole:
        build = modules.new_gate
    else:
        build = partial(_composed, variant.mix, native_norm=not variant.channels_last)
    return Contestant(
        variant.name,
        build,
        _oracle(suite, variant.oracle),
        entry=_narrow if suite == "op" else same,
        channels_last=variant.channels_last,
        dtype=variant.dtype(dtype, device),
        compiled=variant.compiled,
        reasons=tuple(variant.why_not(device)),
    )


def _composed(mix: Mix, case: Case, native_norm: bool = False) -> nn.Module:
    return modules.Composed(modules.new_gate(case), mix, native_norm)


def _operator(mix: Mix, case: Case) -> nn.Module:
    return modules.Operator(case, mix)


@cache
def _oracle(suite: str, mix: Mix) -> Callable[[Case], nn.Module]:
    """One object for all contestants that share an oracle: its results are computed once."""
    return partial(_composed if suite == GATE else _operator, mix)


def _narrow(case: Case) -> Case:
    return replace(case, channels=squeezed(case.channels, ALPHA))


def attention_contest(case: Case) -> Contest:
    """Every attention of the registry beside an ordinary convolution of as many channels."""
    builds = {CONV: _conv} | {name: partial(_attention, name) for name in list_attentions()}
    people = tuple(
        Contestant(name, build, build, reasons=_undefined(name, case))
        for name, build in builds.items()
    )
    return Contest("attention", case, people, CONV, checks=((case, None, torch.float64),))


def _conv(case: Case) -> nn.Module:
    return nn.Conv2d(case.channels, case.channels, 3, padding=1)


def _attention(name: str, case: Case) -> nn.Module:
    return create_attention(name, case.channels)


def _undefined(name: str, case: Case) -> tuple[str, ...]:
    """Why an attention is not defined on a map."""
    if name == CONV:
        return ()
    spec = attention_spec(name)
    reasons = {
        f"it needs {spec.min_pixels} pixels": case.height * case.width < spec.min_pixels,
        f"it needs {spec.min_side} pixels a side": min(case.height, case.width) < spec.min_side,
        f"it needs a multiple of {spec.channel_multiple} channels": case.channels
        % spec.channel_multiple
        > 0,
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


def network_contest(network: str, side: int, attentions: list[str] | None = None) -> Contest:
    """A whole network, plain and with every attention."""
    names = [PLAIN, *(attentions or list_attentions())]
    people = []
    for name in names:
        build = partial(_network, network, name)
        people.append(Contestant(name, build, build))
    case, small = Case(1, 3, side, side), Case(2, 3, 64, 64)
    checks = ((small, None, torch.float64),)
    return Contest("network", case, tuple(people), PLAIN, checks=checks, label=network)


def _network(network: str, attention: str, case: Case) -> nn.Module:
    return create_model(network, attention, num_classes=10)


def scaling_contest(case: Case, late: dict[str, str]) -> Contest:
    """The gate, full self-attention and an ordinary convolution; ``late`` says who has stopped."""
    people = (
        (GATE, modules.new_gate, partial(_composed, modules.reference_mix)),
        (ATTENTION, _self_attention, partial(_self_attention, explicit=True)),
        (CONV, _conv, _conv),
    )
    # The references keep all they touch: large maps are not theirs.
    check = min(case, Case(1, case.channels, 56, 56), key=lambda one: one.pixels)
    return Contest(
        "scaling",
        case,
        tuple(
            Contestant(
                name,
                build,
                oracle,
                channels_last=True,
                reasons=tuple(filter(None, [late.get(name)])),
            )
            for name, build, oracle in people
        ),
        GATE,
        checks=((case.reduced(), torch.float64, torch.float64), (check, None, torch.float64)),
    )


def _self_attention(case: Case, explicit: bool = False) -> nn.Module:
    return modules.SelfAttention(case.channels, explicit)
