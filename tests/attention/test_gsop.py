"""Global second-order pooling against its formula, written out, and the authors' numbers."""

import pytest
import torch
from torch.nn import functional

from foveate.attention import GlobalSecondOrderPooling, attention_spec
from foveate.attention.place import Place
from recording import check_recorded, fill_
from support import assert_same

MODES = ("channel", "position", "average", "max", "concat")


def norm(x, weights, name, training):
    mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    mean, var, scale, shift = (one[:, None, None] for one in (mean, var, scale, shift))
    return (x - mean) / (var + 1e-5) ** 0.5 * scale + shift


def reduced(x, weights, name, training, stride=1):
    kernel = weights[f"{name}.reduce.weight"][:, :, 0, 0]
    mixed = torch.einsum("dc,nchw->ndhw", kernel, x.relu()[:, :, ::stride, ::stride])
    mixed = mixed + weights[f"{name}.reduce.bias"][:, None, None]
    return norm(mixed, weights, f"{name}.norm", training)


def row_weights(rows, weights, name, act, training):
    """Rows (N, s, M) of which the covariance is taken."""
    mean = rows.sum(2, keepdim=True) / rows.shape[2]
    second = torch.einsum("nip,njp->nij", rows, rows) / rows.shape[2]
    matrix = second - mean * mean.transpose(1, 2)
    matrix = norm(matrix[..., None], weights, f"{name}.weights.norm", training)[..., 0]
    size = matrix.shape[1]
    kernel = weights[f"{name}.weights.rows.weight"].reshape(size, 4, size)
    four = torch.einsum("nij,ikj->nik", matrix, kernel).flatten(1)
    four = act(four + weights[f"{name}.weights.rows.bias"])
    last = weights[f"{name}.weights.expand.weight"][:, :, 0, 0]
    return (four @ last.T + weights[f"{name}.weights.expand.bias"]).sigmoid()


def windows(inputs, outputs):
    """What adaptive pooling averages, as a matrix."""
    matrix = torch.zeros(outputs, inputs, dtype=torch.float64)
    for i in range(outputs):
        start, end = i * inputs // outputs, -(-(i + 1) * inputs // outputs)
        matrix[i, start:end] = 1 / (end - start)
    return matrix


def plain(x, weights, mode, act, stride, training):
    height, width = x.shape[2:]
    if mode != "position":
        rows = reduced(x, weights, "channel", training, stride).relu().flatten(2)
        gate = row_weights(rows, weights, "channel", act, training)
        channel = x * gate[:, :, None, None]
        if mode == "channel":
            return channel
    grid = reduced(x, weights, "position", training)
    grid = torch.einsum("ih,ndhw,jw->nijd", windows(height, 8), grid, windows(width, 8))
    gate = row_weights(grid.flatten(1, 2), weights, "position", torch.relu, training)
    gate = gate.reshape(-1, 8, 8)
    gate = torch.einsum("hi,nij,wj->nhw", windows(8, height), gate, windows(8, width))
    position = (x * gate[:, None]).relu()
    if mode == "concat":
        parts = zip((channel, position), ("merge_channel", "merge_position"), strict=True)
        total = 0
        for part, name in parts:
            kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
            groups, padding = x.shape[1] // kernel.shape[1], (kernel.shape[2] // 2, 0)
            total = total + functional.conv2d(part, kernel, bias, 1, padding, groups=groups)
        return norm(total, weights, "norm", training)
    return {
        "position": lambda: position,
        "average": lambda: channel + position,
        "max": lambda: torch.where(channel > position, channel, position),
    }[mode]()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("training", [False, True])
def test_gsop_is_its_formula(mode, training):
    module = GlobalSecondOrderPooling(128, mode, dim=12, mid_act="leaky_relu", stride=2)
    module = fill_(module.double()).train(training)
    x = torch.randn(3, 128, 9, 6, dtype=torch.float64, requires_grad=True)
    weights = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    # A bias before a norm of the batch has no gradient but noise.
    learned = {
        name: weight
        for name, weight in module.named_parameters()
        if not (training and (name.endswith("reduce.bias") or name.startswith("merge")))
    }
    want = plain(x, weights, mode, functional.leaky_relu, 2, training)
    got = module(x)
    upstream = torch.randn_like(got)
    got_grads, want_grads = (
        torch.autograd.grad(out, [x, *learned.values()], upstream) for out in (got, want)
    )
    assert_same(got, want)
    for name, one, other in zip(["x", *learned], got_grads, want_grads, strict=True):
        assert_same(one, other, name)


@pytest.mark.parametrize(
    ("act", "plain_act"), [("none", lambda x: x), ("relu", torch.relu), ("leaky_relu", None)]
)
def test_the_middle_activation_is_chosen(act, plain_act):
    module = fill_(GlobalSecondOrderPooling(6, dim=5, mid_act=act).double().eval())
    x = torch.randn(2, 6, 7, 4, dtype=torch.float64)
    act = plain_act or functional.leaky_relu
    assert_same(module(x), plain(x, module.state_dict(), "channel", act, 1, False))


@pytest.mark.parametrize(
    ("channels", "count"),
    [(256, 230_784), (512, 394_880), (1024, 723_072), (2048, 1_379_456)],
)
def test_the_published_sizes(channels, count):
    assert attention_spec("gsop").params(channels) == count


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 96, 200, 8192])
def test_every_mode_counts_its_parameters(mode, channels):
    with torch.device("meta"):
        module = GlobalSecondOrderPooling(channels, mode, dim=7)
        assert module(torch.empty(2, channels, 5, 3)).shape == (2, channels, 5, 3)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == attention_spec("gsop").params(channels, mode=mode, dim=7)


@pytest.mark.parametrize(
    ("channels", "kernel", "groups"),
    [(64, 15, 1), (256, 11, 4), (512, 9, 8), (1024, 7, 16), (2048, 5, 32)],
)
def test_merging_follows_the_authors_rule(channels, kernel, groups):
    with torch.device("meta"):
        merge = GlobalSecondOrderPooling(channels, "concat").merge_channel
    assert merge.kernel_size == (kernel, 1)
    assert merge.groups == groups


def test_the_first_stage_is_halved():
    fit = attention_spec("gsop").fit
    first, second = (Place(channels=64, size=(56, 56), stage=n) for n in (1, 2))
    assert fit(first, {}) == {"stride": 2}
    assert fit(first, {"stride": None}) == {"stride": 2}
    assert fit(first, {"stride": 3}) == {}
    assert fit(second, {}) == {}
    assert GlobalSecondOrderPooling(8).channel.reduce.stride == (1, 1)
    assert GlobalSecondOrderPooling(8, stride=2).channel.reduce.stride == (2, 2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1)])
def test_small_maps_work(mode, size):
    module = GlobalSecondOrderPooling(6, mode, stride=2)
    x = torch.randn(2, 6, *size, requires_grad=True)
    for _ in range(2):
        out = module(x)
        out.square().sum().backward()
        assert out.shape == x.shape
        assert out.isfinite().all()
        assert x.grad.isfinite().all()
        module.eval()


def test_a_gate_is_what_multiplies():
    x = torch.rand(2, 6, 7, 4)
    channel = GlobalSecondOrderPooling(6, dim=5).eval()
    assert channel.gate(x).shape == (2, 6, 1, 1)
    assert_same(channel(x), x * channel.gate(x))
    position = GlobalSecondOrderPooling(6, "position", dim=5).eval()
    assert position.gate(x).shape == (2, 1, 7, 4)
    assert_same(position(x), x * position.gate(x))
    with pytest.raises(ValueError, match=r"mode of one gate; got 'max'"):
        GlobalSecondOrderPooling(6, "max").gate(x)


def test_under_autocast_the_covariance_stays_exact():
    module = GlobalSecondOrderPooling(6, dim=5).eval()
    seen = []
    module.channel.weights.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.autocast("cpu", torch.bfloat16):
        module(torch.rand(2, 6, 7, 4))
    assert seen[0].dtype == torch.float32


def test_a_symbolic_trace_runs():
    for mode in MODES:
        module = GlobalSecondOrderPooling(6, mode, dim=5).eval()
        x = torch.rand(2, 6, 7, 4)
        assert_same(torch.fx.symbolic_trace(module)(x), module(x))


def test_the_start_is_that_of_the_authors():
    module = GlobalSecondOrderPooling(256)
    rows = module.channel.weights.rows.weight
    assert rows.std().item() == pytest.approx((2 / (4 * 128 * 128)) ** 0.5, rel=0.05)
    assert module.channel.reduce.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.05)
    assert torch.equal(module.channel.norm.weight, torch.ones(128))


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match=r"expects a known mode; got 'chanel'.*'channel'"):
        GlobalSecondOrderPooling(8, mode="chanel")
    with pytest.raises(ValueError, match="dim >= 1; got 0"):
        GlobalSecondOrderPooling(8, dim=0)
    with pytest.raises(ValueError, match="stride >= 1; got 0"):
        GlobalSecondOrderPooling(8, stride=0)
    with pytest.raises(ValueError, match="a known mid_act; got 'gelu'"):
        GlobalSecondOrderPooling(8, mid_act="gelu")


@pytest.mark.parametrize("mode", MODES)
def test_gsop_gives_the_numbers_of_the_official_code(mode):
    check_recorded("gsop", "gsop" if mode == "channel" else f"gsop_{mode}")
