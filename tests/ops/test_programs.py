"""Operators inside other machinery: modes, tracers, compilers, checkpoints, threads, processes."""

import copy
import functools
import multiprocessing
import threading

import pytest
import torch
from operator_cases import leaf_gradients, make, make_gate

from foveate.attention import DAS
from foveate.ops import deform_conv2d, deform_gate
from foveate.ops.deform import rows, samples
from support import assert_same


def forget_grids():
    for cached in (samples._kept_grid, samples._starts, samples._distances):
        cached.cache_clear()


def restless_gate(channels=8):
    """A gate whose offsets move and whose weights are all at work."""
    torch.manual_seed(5)
    gate = DAS(channels)
    with torch.no_grad():
        for weight in gate.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return gate


def train(gate, x, run=None):
    """Output, gradient by x, gradients by the parameters."""
    gate.zero_grad()
    x = x.clone().requires_grad_()
    out = gate(x) if run is None else run(x)
    out.square().sum().backward()
    return [out.detach(), x.grad, *(weight.grad for weight in gate.parameters())]


def assert_equal_training(got, want):
    for place, (one, other) in enumerate(zip(got, want, strict=True)):
        assert_same(one, other, place)


@pytest.mark.parametrize("last", [True, False])
def test_training_after_inference_mode_is_as_ever(last):
    gate, x = restless_gate(), torch.randn(2, 8, 6, 5)
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    want = train(gate, x)
    forget_grids()
    with torch.inference_mode():
        assert torch.equal(gate(x), want[0])
        assert gate(x.clone()).is_inference()
    for got, one in zip(train(gate, x), want, strict=True):
        assert torch.equal(got, one)


def test_no_gradient_is_kept_where_none_is_wanted():
    tensors = make_gate()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert deform_gate(**tensors).grad_fn is None
    assert not deform_gate(**tensors).requires_grad
    tensors["ln_bias"].requires_grad_()
    assert deform_gate(**tensors).requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_deterministic_mode_is_allowed_and_finds_no_unwritten_memory(dtype, monkeypatch):
    """That mode fills every new tensor with NaN, and refuses what may differ from run to run."""
    monkeypatch.setattr(rows, "TILE_BYTES", 2000)
    tensors, sizes = make("odd", dtype=dtype)
    calls = [
        (lambda **t: deform_conv2d(**t, **sizes), tensors),
        (deform_gate, make_gate(dtype=dtype, groups=2, offset_groups=2)),
        (deform_gate, make_gate(dtype=dtype, without=("bias", "ln_weight"))),
    ]
    want = [leaf_gradients(*call) for call in calls]
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.utils.deterministic.fill_uninitialized_memory
        assert tensors["input"].new_empty(3).isnan().all()
        got = [leaf_gradients(*call) for call in calls]
    finally:
        torch.use_deterministic_algorithms(False)
    for one, other in zip(got, want, strict=True):
        assert torch.equal(one[0], other[0])
        assert all(torch.equal(one[1][name], grad) for name, grad in other[1].items())


def test_a_default_device_elsewhere_does_not_move_the_grids():
    gate, x = restless_gate(), torch.randn(1, 8, 5, 5)
    want = train(gate, x)
    forget_grids()
    with torch.device("meta"):
        for got, one in zip(train(gate, x), want, strict=True):
            assert torch.equal(got, one)
    assert torch.equal(gate(x), want[0])


def test_a_default_dtype_does_not_reach_the_operators():
    tensors, sizes = make("gate", dtype=torch.float32)
    want = leaf_gradients(lambda **t: deform_conv2d(**t, **sizes), tensors)
    forget_grids()
    torch.set_default_dtype(torch.float64)
    got = leaf_gradients(lambda **t: deform_conv2d(**t, **sizes), tensors)
    assert torch.equal(got[0], want[0])
    assert all(torch.equal(got[1][name], grad) for name, grad in want[1].items())


def test_a_symbolic_trace_of_the_gate_gives_the_same_numbers():
    gate, x = restless_gate().eval(), torch.randn(2, 8, 6, 5)
    traced = torch.fx.symbolic_trace(gate)
    assert torch.equal(traced(x), gate(x))
    other = torch.randn(1, 8, 9, 4).contiguous(memory_format=torch.channels_last)
    assert torch.equal(traced(other), gate(other))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_an_old_trace_of_the_gate_gives_the_same_numbers():
    """Without gradients, as for shipping; what is kept for them would be part of the graph."""
    gate = restless_gate().eval()
    with torch.no_grad():
        traced = torch.jit.trace(gate, torch.randn(2, 8, 6, 5))
        for size in ((2, 8, 6, 5), (1, 8, 9, 4)):
            x = torch.randn(size)
            assert_same(traced(x), gate(x))


def test_a_deep_copy_is_a_gate_of_its_own():
    gate, x = restless_gate(), torch.randn(2, 8, 6, 5)
    want = train(gate, x)
    twin = copy.deepcopy(gate)
    for got, one in zip(train(twin, x), want, strict=True):
        assert torch.equal(got, one)
    with torch.no_grad():
        twin.ln_bias.add_(1.0)
    assert torch.equal(gate(x), want[0]) and not torch.equal(twin(x), want[0])


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_gives_the_same_gradients(reentrant):
    gate, x = restless_gate(), torch.randn(2, 8, 6, 5)
    run = functools.partial(torch.utils.checkpoint.checkpoint, gate, use_reentrant=reentrant)
    for got, one in zip(train(gate, x, run), train(gate, x), strict=True):
        assert torch.equal(got, one)


def test_the_map_before_the_norm_counts_among_what_is_saved():
    """Saved tensors go through the hooks of autograd, so that they can be packed away."""
    tensors = make_gate()
    packed = []

    def pack(one):
        packed.append(tuple(one.shape))
        return one

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
        _, grads = leaf_gradients(deform_gate, tensors)
    assert (2 * 7 * 6, 6) in packed  # pixels, channels
    assert all(one.isfinite().all() for one in grads.values())


def test_a_changed_input_is_refused_in_the_backward_pass():
    tensors = {name: one.requires_grad_() for name, one in make_gate().items()}
    out = deform_gate(**tensors)
    with torch.no_grad():
        tensors["squeezed"].add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


@pytest.mark.parametrize("strict", [True, False])
def test_an_exported_gate_needs_nothing_of_this_package(strict):
    gate, x = restless_gate().eval(), torch.randn(2, 8, 6, 5)
    exported = torch.export.export(gate, (x,), strict=strict)
    called = [node.target for node in exported.graph.nodes if node.op == "call_function"]
    operators = [one for one in called if isinstance(one, torch._ops.OpOverload)]
    assert {one.namespace for one in operators} == {"aten"}
    assert {one.__name__ for one in called if one not in operators} <= {"getitem"}
    assert_same(exported.module()(x), gate(x))


@pytest.mark.slow
@pytest.mark.parametrize("last", [True, False])
def test_a_compiled_gate_trains_the_same(last):
    """In one graph, whatever the size, with gradients that arrive in another layout."""
    gate = restless_gate()
    compiled = torch.compile(gate, fullgraph=True)
    for size in ((2, 8, 6, 5), (3, 8, 7, 9), (1, 8, 4, 4)):
        x = torch.randn(size)
        x = x.contiguous(memory_format=torch.channels_last) if last else x
        assert_equal_training(train(gate, x, compiled), train(gate, x))


@pytest.mark.slow
@pytest.mark.parametrize("low", [None, torch.bfloat16])
def test_compiled_and_exported_operators_give_the_same_numbers(low):
    class Net(torch.nn.Module):
        def forward(self, input, offset, weight, bias, mask):
            return deform_conv2d(input, offset, weight, bias, mask=mask, padding=1)

    tensors, _ = make("gate", dtype=torch.float32)
    compiled = torch.compile(Net(), fullgraph=True)
    with torch.autocast("cpu", low or torch.bfloat16, enabled=low is not None):
        got = leaf_gradients(compiled, tensors)
        want = leaf_gradients(Net(), tensors)
    assert got[0].dtype == want[0].dtype
    assert_same(got[0], want[0])
    for name, grad in want[1].items():
        assert_same(got[1][name], grad, name)
    exported = torch.export.export(Net(), (), kwargs=tensors)
    assert_same(exported.module()(**tensors), Net()(**tensors))


def test_two_threads_at_once_get_what_one_gets():
    gate = make_gate((2, 24, 15, 16), squeezed=8, dtype=torch.float32)
    tensors, sizes = make((2, 8, 15, 16, 24, (3, 3), 1, 1, 1, 1, 1), dtype=torch.float32)
    runs = [
        lambda: leaf_gradients(deform_gate, gate),
        lambda: leaf_gradients(lambda **t: deform_conv2d(**t, **sizes), tensors),
    ] * 2
    want = [run() for run in runs]
    forget_grids()
    found, start = [[] for _ in runs], threading.Barrier(len(runs))

    def work(place):
        start.wait()
        for _ in range(5):
            found[place].append(runs[place]())

    workers = [threading.Thread(target=work, args=(place,)) for place in range(len(runs))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for results, (out, grads) in zip(found, want, strict=True):
        assert len(results) == 5
        for got, got_grads in results:
            assert torch.equal(got, out)
            assert all(torch.equal(got_grads[name], grad) for name, grad in grads.items())


class Gated(torch.utils.data.Dataset):
    """Images that pass a gate where they are loaded."""

    def __init__(self, gate, images):
        self.gate, self.images = gate, images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        with torch.no_grad():
            return self.gate(self.images[index : index + 1])[0]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.parametrize("threads", [1, 2])
def test_workers_forked_after_use_get_the_same(threads):
    gate, images = restless_gate(), torch.randn(4, 8, 30, 30)
    torch.set_num_threads(threads)
    try:
        want = [train(gate, one[None])[0][0] for one in images]  # used, and differentiated
        loader = torch.utils.data.DataLoader(
            Gated(gate, images), num_workers=2, multiprocessing_context="fork", timeout=60
        )
        got = [batch[0] for batch in loader]
    finally:
        torch.set_num_threads(1)
    assert_same(torch.stack(got), torch.stack(want))
