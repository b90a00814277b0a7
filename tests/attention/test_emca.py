"""Multiscale channel attention against its formula over several blocks, channel by channel."""

import copy
import io
import weakref

import pytest
import torch
from formulas import check_formula
from torch import nn
from torch.utils.checkpoint import checkpoint

from foveate.attention import EfficientMultiscaleChannelAttention, attention_spec
from foveate.attention.place import Memory, Place
from recording import fill_
from support import assert_same


class Network(nn.Module):
    """Stages of blocks that share a memory; ``widths`` are those of the stem and every stage."""

    def __init__(self, widths, blocks=2, **options):
        super().__init__()
        self.convolutions, self.gates = nn.ModuleList(), nn.ModuleList()
        memory, before, stages = Memory(), widths[0], len(widths) - 1
        for stage, width in enumerate(widths[1:], 1):
            for block in range(1, blocks + 1):
                place = Place(width, (5, 4), stage, stages, block, blocks, {}, memory)
                asked = attention_spec("emca").fit(place, options)
                self.convolutions.append(nn.Conv2d(before, width, 3, padding=1))
                self.gates.append(EfficientMultiscaleChannelAttention(width, **options, **asked))
                before = width

    def forward(self, x):
        for convolution, gate in zip(self.convolutions, self.gates, strict=True):
            gate.see_input(x)
            x = gate(convolution(x))
        return x


def along_channels(vectors, kernel):
    taps, count = kernel.flatten(), vectors.shape[1]
    out = []
    for channel in range(count):
        seen = [(tap, channel + tap - len(taps) // 2) for tap in range(len(taps))]
        out.append(sum(taps[tap] * vectors[:, at] for tap, at in seen if 0 <= at < count))
    return torch.stack(out, 1)


def formula(widths, blocks=2):
    """The means of the stem and of each stage's last residual branch reach all later stages."""

    def run(weights, x):
        remembered = [x.mean((2, 3))]
        for stage in range(1, len(widths)):
            for block in range(1, blocks + 1):
                number = (stage - 1) * blocks + block - 1
                kernel, bias = (weights[f"convolutions.{number}.{w}"] for w in ("weight", "bias"))
                own = {
                    key.split(".")[2]: value
                    for key, value in weights.items()
                    if key.startswith(f"gates.{number}.")
                }
                branch = nn.functional.conv2d(x, kernel, bias, padding=1)
                means = branch.mean((2, 3))
                gate = along_channels(means, own["local"]).sigmoid()
                if block > 1:
                    mixed = []
                    for channel in range(widths[stage]):
                        scales = [one[:, channel % one.shape[1]] for one in remembered]
                        scales.append(means[:, channel])
                        parts = zip(own["mix"].flatten(), scales, strict=True)
                        mixed.append(sum(weight * scale for weight, scale in parts).relu())
                    glob = along_channels(torch.stack(mixed, 1), own["everywhere"]).sigmoid()
                    first, second = own["join"].flatten()
                    gate = (first * gate + second * glob).sigmoid()
                x = branch * (1 + gate[:, :, None, None])
            remembered.append(means)
        return x

    return run


@pytest.mark.parametrize(
    ("widths", "blocks", "options"),
    [
        ((4, 8, 16), 2, {}),
        ((2, 4, 4, 8), 2, {"kernel": 5}),
        ((6, 4, 9), 2, {}),  # not multiples of each other, and a wider stem
        ((3, 3, 6), 3, {}),
        ((3, 4, 6), 1, {}),  # first blocks alone
    ],
)
def test_emca_is_its_formula(widths, blocks, options):
    torch.manual_seed(1)
    network = Network(widths, blocks, unused_weights=False, **options)
    check_formula(network, formula(widths, blocks), (3, widths[0], 5, 4))


def test_alone_it_is_one_plus_the_local_gate():
    module = EfficientMultiscaleChannelAttention(32)
    assert [name for name, _ in module.named_parameters()] == ["local.weight"]

    def plain(weights, x):
        gate = along_channels(x.mean((2, 3)), weights["local.weight"]).sigmoid()
        return x * (1 + gate[:, :, None, None])

    check_formula(module, plain, (2, 32, 5, 7))
    x = torch.rand(2, 32, 5, 7, dtype=torch.float64)
    assert module.gate(x).shape == (2, 32, 1, 1)
    assert_same(module(x), x * (1 + module.gate(x)))


def test_the_weights_that_a_first_block_never_uses_are_frozen():
    torch.manual_seed(1)
    network, bare = Network((4, 8, 16)), Network((4, 8, 16), unused_weights=False)
    frozen = [name for name, weight in network.named_parameters() if not weight.requires_grad]
    unused = ("mix", "everywhere", "join")
    assert frozen == [f"gates.{block}.{name}.weight" for block in (0, 2) for name in unused]
    bare.load_state_dict(network.state_dict(), strict=False)
    x = torch.rand(2, 4, 5, 4)
    out = network(x)
    assert torch.equal(out, bare(x))
    out.square().sum().backward()
    assert all((w.grad is not None) == w.requires_grad for w in network.parameters())


def test_gradients_flow_through_the_memory():
    """From stage 2 back to what stage 1 and the stem left there."""
    torch.manual_seed(1)
    network = fill_(Network((4, 8, 16)))
    for weight in network.gates[3].parameters():
        nn.init.ones_(weight)
    x = torch.rand(2, 4, 5, 4, requires_grad=True)
    for convolution, gate in zip(network.convolutions[:2], network.gates[:2], strict=True):
        gate.see_input(x)
        gate(convolution(x if convolution.in_channels == 4 else torch.rand(2, 8, 5, 4)))
    network.gates[3](torch.rand(2, 16, 5, 4)).sum().backward()
    assert x.grad.any()
    assert network.convolutions[1].weight.grad.any()


def test_every_pass_fills_the_memory_anew():
    network = fill_(Network((4, 8, 16))).eval()
    first, second = torch.rand(2, 4, 5, 4), torch.rand(3, 4, 6, 4)
    want = copy.deepcopy(network)(second)
    network(first)
    assert torch.equal(network(second), want)


class Kept:
    """Something to refer to weakly."""

    def __init__(self, tensor):
        self.tensor = tensor.detach()


class Saved(torch.autograd.graph.saved_tensors_hooks):
    """Counts what autograd still keeps for the backward pass."""

    def __init__(self):
        self.seen = []
        super().__init__(self.pack, lambda kept: kept.tensor)

    def pack(self, tensor):
        kept = Kept(tensor)
        self.seen.append(weakref.ref(kept))
        return kept

    def alive(self):
        return sum(kept() is not None for kept in self.seen)


def test_the_memory_keeps_no_graph_alive():
    network = fill_(Network((4, 8, 16, 16)))
    x = torch.rand(2, 4, 5, 4)
    saved = Saved()
    with saved:
        out = network.eval()(x)
        assert saved.alive() > 20
        del out
        assert saved.alive() == 0
        assert not network.gates[0].memory.kept
    saved = Saved()
    with saved:
        network.train()(x)
        assert sorted(network.gates[0].memory.kept) == [0, 1, 2]
    with torch.no_grad():
        network.gates[0].see_input(x)
    assert saved.alive() == 0
    assert sorted(network.gates[0].memory.kept) == [0]


@pytest.mark.parametrize("train", [True, False])
def test_means_of_another_batch_are_named(train):
    network = fill_(Network((4, 8, 16))).train(train)
    gate = network.gates[3]
    text = "expects the means for 3 images in torch.float{} on cpu in its memory; got those of"

    def run_first_stage():
        y = torch.rand(2, 4, 5, 4)
        for convolution, one in zip(network.convolutions[:2], network.gates[:2], strict=True):
            one.see_input(y)
            y = one(convolution(y))

    run_first_stage()
    with pytest.raises(ValueError, match=f"{text.format(32)} stem for 2 images.*; insert it in"):
        gate(torch.rand(3, 16, 5, 4))
    run_first_stage()
    gate.memory.kept[0] = torch.rand(3, 4)
    with pytest.raises(ValueError, match=f"{text.format(32)} stage 1 for 2 images.*; insert it"):
        gate(torch.rand(3, 16, 5, 4))
    gate.memory.kept[1] = torch.rand(3, 8)
    with pytest.raises(ValueError, match=f"{text.format(64)} stem for 3 images in torch.float32"):
        gate.double()(torch.rand(3, 16, 5, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"for 3 images in .* on meta in its memory"):
        gate.float().to("meta")(torch.rand(3, 16, 5, 4, device="meta"))


def test_after_a_pass_in_evaluation_no_part_runs_alone():
    network = fill_(Network((4, 8, 16))).eval()
    network(torch.rand(2, 4, 5, 4))
    with pytest.raises(ValueError, match="got nothing of stem, stage 1; insert it in every block"):
        network.gates[3](torch.rand(2, 16, 5, 4))


def test_autocast_may_mix_dtypes_in_a_pass():
    network = fill_(Network((4, 8, 16))).eval()
    x = torch.rand(2, 4, 5, 4)
    want = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(network(x).float(), want, limit=2e-2)


def test_it_is_traced_symbolically_as_a_whole():
    network = fill_(Network((4, 8, 16))).eval()
    x = torch.rand(2, 4, 5, 4)
    want = network(x)
    assert_same(torch.fx.symbolic_trace(network)(x), want)
    network.train()
    torch.fx.symbolic_trace(network)
    with pytest.raises(ValueError, match="got nothing of stem, stage 1; insert it in every block"):
        network.gates[3](torch.rand(2, 16, 5, 4))


def test_copies_and_pickles_have_a_memory_of_their_own():
    network = fill_(Network((4, 8, 16))).eval()
    x = torch.rand(2, 4, 5, 4)
    want = network(x)
    stored = io.BytesIO()
    torch.save(network, stored)
    stored.seek(0)
    for other in (copy.deepcopy(network), torch.load(stored, weights_only=False)):
        memories = {id(gate.memory) for gate in other.gates}
        assert len(memories) == 1 and id(network.gates[0].memory) not in memories
        assert not other.gates[0].memory.kept
        assert torch.equal(other(x), want)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_network_gives_the_same_numbers_and_gradients(backend):
    torch.manual_seed(1)
    network = fill_(Network((4, 8, 16)))
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    compiled = torch.compile(copy.deepcopy(network), fullgraph=True, backend=backend)
    its = [weight for weight in compiled.parameters() if weight.requires_grad]
    for _ in range(2):
        x = torch.rand(2, 4, 5, 4)
        want, got = network(x), compiled(x)
        assert_same(got, want)
        wanted = torch.autograd.grad(want.square().sum(), learned)
        for ours, plain in zip(torch.autograd.grad(got.square().sum(), its), wanted, strict=True):
            assert_same(ours, plain, limit=1e-4)


def test_parameters_are_the_exact_integers():
    params = attention_spec("emca").params
    for stage, (channels, kernel) in enumerate(((256, 5), (512, 5), (1024, 5), (2048, 7)), 1):
        assert params(channels, stage=stage, block=2) == 2 * kernel + (stage + 1) + 2
        assert params(channels, stage=stage, unused_weights=True) == 2 * kernel + stage + 3
        assert params(channels, stage=stage) == kernel
    network = Network((4, 8, 16), kernel=3)
    for number, gate in enumerate(network.gates):
        stage, block = number // 2 + 1, number % 2 + 1
        counted = sum(weight.numel() for weight in gate.parameters())
        options = {"kernel": 3, "stage": stage, "block": block, "unused_weights": True}
        assert counted == params(gate.channels, **options) == 2 * 3 + stage + 3


@pytest.mark.parametrize(
    ("widths", "blocks", "plain", "total"),
    [
        ((64, 128, 256, 512), (2, 2, 2, 2), 11_689_512, 11_689_628),
        ((256, 512, 1024, 2048), (3, 4, 6, 3), 25_557_032, 25_557_293),
        ((256, 512, 1024, 2048), (3, 4, 23, 3), 44_549_160, 44_549_693),
    ],
)
def test_whole_networks_have_the_size_of_the_authors(widths, blocks, plain, total):
    params = attention_spec("emca").params
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), 1):
        for block in range(1, count + 1):
            plain += params(width, stage=stage, block=block, unused_weights=True)
    assert plain == total


def test_without_stages_it_is_alone_and_its_options_win():
    fit = attention_spec("emca").fit
    assert fit(Place(8, (5, 4)), {}) == {}
    place = Place(8, (5, 4), 2, 4, 1, 3)
    assert fit(place, {"unused_weights": False, "kernel": 3}) == {
        "stage": 2,
        "block": 1,
        "blocks": 3,
        "stages": 4,
        "memory": place.memory,
    }


def test_a_missing_memory_is_named():
    who = "EfficientMultiscaleChannelAttention expects"
    with pytest.raises(ValueError, match=f"{who} a memory for block 2 of a stage; got None"):
        EfficientMultiscaleChannelAttention(8, block=2, blocks=2)
    later = EfficientMultiscaleChannelAttention(8, stage=2, block=2, blocks=2, memory=Memory())
    with pytest.raises(ValueError, match=f"{who} .*; got nothing of stem, stage 1; insert it"):
        later(torch.rand(2, 8, 5, 4))
    later.memory.kept[0] = torch.rand(2, 4)
    with pytest.raises(ValueError, match=f"{who} .* 1 earlier stage.*; got nothing of stage 1;"):
        later(torch.rand(2, 8, 5, 4))


@pytest.mark.parametrize("option", ["stage", "block", "blocks"])
def test_wrong_options_are_named(option):
    with pytest.raises(ValueError, match=f"Attention expects {option} >= 1; got 0"):
        EfficientMultiscaleChannelAttention(8, **{option: 0})
    with pytest.raises(ValueError, match="Attention expects an odd kernel; got 4"):
        EfficientMultiscaleChannelAttention(8, kernel=4)


def test_options_that_contradict_each_other_are_named():
    who = "EfficientMultiscaleChannelAttention expects"
    with pytest.raises(ValueError, match=f"{who} block <= blocks; got 3 > 2"):
        EfficientMultiscaleChannelAttention(8, block=3, blocks=2, memory=Memory())
    with pytest.raises(ValueError, match=f"{who} stage <= stages; got 3 > 2"):
        EfficientMultiscaleChannelAttention(8, stage=3, stages=2)
    with pytest.raises(ValueError, match=f"{who} stages >= 1; got 0"):
        EfficientMultiscaleChannelAttention(8, stages=0)
    with pytest.raises(TypeError, match=f"{who} a Memory or None; got dict; use insert_"):
        EfficientMultiscaleChannelAttention(8, memory={})


def test_checkpointed_parts_give_the_same_gradients():
    torch.manual_seed(1)
    network = fill_(Network((4, 8, 16)).double())
    x = torch.rand(2, 4, 5, 4, dtype=torch.float64)
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    wanted = torch.autograd.grad(network(x).square().sum(), learned)

    def block(y, convolution, gate):
        gate.see_input(y)
        return gate(convolution(y))

    for both in zip(network.convolutions, network.gates, strict=True):
        x = checkpoint(block, x, *both, use_reentrant=False)
    for got, want in zip(torch.autograd.grad(x.square().sum(), learned), wanted, strict=True):
        assert_same(got, want)
