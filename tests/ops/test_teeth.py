"""What the comparison of results and gradients must see: each way of being wrong, one by one."""

import pytest
import torch
from operator_cases import convolve, leaf_gradients, make, make_gate

from foveate.ops import deform_gate
from foveate.ops.deform import gather, rows, samples, tiled
from foveate.ops.deform.products import _Dense
from foveate.ops.gate import rows as tail
from foveate.ops.gate import torch as gate
from support import assert_same


def compare(form):
    """The comparison under test: result and every gradient beside the reference's."""
    if form == "gate":
        tensors = make_gate()
        runs = [lambda b=b, **t: deform_gate(**t, backend=b) for b in ("torch", "reference")]
    else:
        tensors, sizes = make("gate")
        runs = [lambda f=f, **t: convolve(f, **t, **sizes) for f in (form, "reference")]
    (got, got_grads), (want, want_grads) = (leaf_gradients(run, tensors) for run in runs)
    assert_same(got, want)
    for name, grad in want_grads.items():
        assert_same(got_grads[name], grad, name)


def after(then):
    """Let the function run, then hand its arguments and result to ``then``."""

    def wrap(real):
        def changed(*args, **options):
            result = real(*args, **options)
            other = then(args, result)
            return result if other is None else other

        return changed

    return wrap


def before(change):
    """Run the function with other arguments."""
    return lambda real: lambda *args: real(*change(*args))


def without(number):
    """Zero one of several results."""
    return after(
        lambda _, found: [
            torch.zeros_like(one) if place == number else one for place, one in enumerate(found)
        ]
    )


def lost(name):
    """Let a method see None in an attribute of its object."""

    def wrap(real):
        def changed(self, *args):
            return real(type(self)(**{**vars(self), name: None}), *args)

        return changed

    return wrap


def swap(order):
    return lambda real: property(lambda self: tuple(real.fget(self)[one] for one in order))


def drop(place):
    """Zero one of the arguments that a function writes into."""

    def zero(args, _):
        args[place].zero_()

    return after(zero)


def moved(axis):
    """Move the regular grid by a pixel along an axis."""
    return after(lambda _, grid: grid + torch.eye(2)[axis].view(2, 1, 1, 1, 1))


def turn(args, _):
    args[0].offset = args[0].offset.flip(0)


# What is changed, where, and how.
TILES = {
    "zero": (_Dense, "forward_", drop(1)),
    "no bias": (_Dense, "__init__", before(lambda self, weight, bias: (self, weight, None))),
    "y for x": (samples.Sampler, "__init__", after(turn)),
    "a pixel down": (samples, "regular_grid", moved(0)),
    "a pixel right": (samples, "regular_grid", moved(1)),
    "corners 0 and 1": (rows.Frame, "corners", swap((1, 0, 2, 3))),
    "corners 1 and 2": (rows.Frame, "corners", swap((0, 2, 1, 3))),
    "corners 2 and 3": (rows.Frame, "corners", swap((0, 1, 3, 2))),
    "no gradient by input": (tiled._Accumulators, "finish", without(0)),
    "no gradient by offset": (tiled._Accumulators, "finish", without(1)),
    "no gradient by weight": (tiled._Accumulators, "finish", without(2)),
    "no gradient by bias": (tiled._Accumulators, "finish", without(3)),
    "no gradient by mask": (tiled._Accumulators, "finish", without(4)),
    "no mask in shares": (samples.Samples, "shares", lost("modulation")),
    "no mask in slopes": (samples.Samples, "differentiate", lost("modulation")),
    "no last tile": (tiled, "tiles", after(lambda _, found: list(found)[:-1])),
}
GATE = {
    "zero": (gate, "forward_", drop(0)),
    "no gradient by x": (gate, "backward_", drop(0)),
    "no gradient by the map": (gate, "backward_", drop(1)),
    "no gradient by scale": (tail.Affine, "gradients", without(0)),
    "no gradient by shift": (tail.Affine, "gradients", without(1)),
    "shift for scale": (tail.Affine, "gradients", after(lambda _, found: found[::-1])),
    "no last block": (tail, "blocks", after(lambda _, found: found[:-1])),
    "no epsilon": (
        tail.Affine,
        "__init__",
        before(lambda s, w, b, _, *rest: (s, w, b, 0.0, *rest)),
    ),
}
GATHER = {
    "zero": (gather, "_multiply", after(lambda _, found: found * 0)),
    "no bias": (gather, "_multiply", before(lambda c, w, _, geometry: (c, w, None, geometry))),
    "y for x": (gather, "_coordinates", after(lambda _, found: found[::-1])),
    "a pixel down": (gather, "_coordinates", after(lambda _, found: (found[0] + 1, found[1]))),
    "a pixel right": (gather, "_coordinates", after(lambda _, found: (found[0], found[1] + 1))),
    "no gradient by input": (gather, "sample", before(lambda i, *rest: (i.detach(), *rest))),
    "no gradient by offset": (gather, "_coordinates", before(lambda o, g: (o.detach(), g))),
    "no gradient by mask": (gather, "sample", before(lambda i, o, m, g: (i, o, m.detach(), g))),
    "no mask": (gather, "sample", before(lambda i, o, m, g: (i, o, None, g))),
    "no gradient by weight": (
        gather,
        "_multiply",
        before(lambda c, w, b, g: (c, w.detach(), b, g)),
    ),
}
MUTANTS = [
    *(("torch", name) for name in TILES),
    *(("gate", name) for name in {**TILES, **GATE}),
    *(("gather", name) for name in GATHER),
]


@pytest.mark.parametrize("form", ["torch", "gather", "gate"])
def test_nothing_is_seen_where_nothing_is_wrong(form):
    compare(form)


@pytest.mark.parametrize(("form", "mutant"), MUTANTS)
def test_the_comparison_has_teeth(monkeypatch, form, mutant):
    owner, name, wrap = {"torch": TILES, "gather": GATHER, "gate": {**TILES, **GATE}}[form][mutant]
    monkeypatch.setattr(rows, "TILE_BYTES", 5 * 9 * 8 * 20)  # two tiles and a rest an image
    monkeypatch.setattr(tail, "BLOCK", 60)
    monkeypatch.setattr(owner, name, wrap(vars(owner)[name]))
    seen = "relative RMS error|not finite|not have been used in the graph"
    with pytest.raises((AssertionError, RuntimeError), match=seen):
        compare(form)
