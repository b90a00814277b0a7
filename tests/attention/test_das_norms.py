"""The gate's norms: every pair is its formula and costs it; what does not go together."""

import itertools

import pytest
import torch
from formulas import check_formula
from torch.nn import functional

import foveate
from foveate.attention import DAS, attention_spec
from foveate.attention.parts.norms import NORMS, norm_groups
from support import assert_same

SHAPE = (2, 10, 3, 4)
PAIRS = list(itertools.product(NORMS, NORMS))
GROUPS = {10: 5, 4: 2}


def norm_of(kind, z, scale, shift, statistics, eps):
    """Normalize by the definition; ``statistics`` are the running ones of a batch norm, or None."""
    if kind == "none":
        return z
    axes = {"batch": (0, 2, 3), "instance": (2, 3), "layer": (1,), "group": (2, 3, 4)}[kind]
    parts = z.unflatten(1, (GROUPS[z.shape[1]], 2)) if kind == "group" else z
    mean = parts.mean(axes, keepdim=True)
    variance = (parts - mean).square().mean(axes, keepdim=True)
    if statistics is not None:
        mean, variance = (one[:, None, None] for one in statistics)
    z = ((parts - mean) / (variance + eps).sqrt()).reshape(z.shape)
    return z if scale is None else z * scale[:, None, None] + shift[:, None, None]


def deformed(w, z):
    """The deformable step, every tap read by the nearness of the pixels around it."""
    maps = functional.conv2d(z, w["offset.weight"], w["offset.bias"], padding=1)
    rows, columns = torch.meshgrid(torch.arange(3.0), torch.arange(4.0), indexing="ij")
    out = 0.0
    for tap in range(9):
        y = rows + tap // 3 - 1 + maps[:, 2 * tap]
        x = columns + tap % 3 - 1 + maps[:, 2 * tap + 1]
        by_row = (1 - (y[..., None] - torch.arange(3)).abs()).clamp(min=0)
        by_column = (1 - (x[..., None] - torch.arange(4)).abs()).clamp(min=0)
        seen = torch.einsum("nhwi,nhwj,ncij->nchw", by_row, by_column, z)
        kernel = w["deform.weight"][:, :, tap // 3, tap % 3]
        weighed = seen * maps[:, 18 + tap, None].sigmoid()
        out = out + torch.einsum("nchw,oc->nohw", weighed, kernel)
    return out


def formula(before, after, training, eps=1e-5):
    def statistics(w, at):
        names = f"{at}.running_mean", f"{at}.running_var"
        return None if training or names[0] not in w else [w[name] for name in names]

    def run(w, x):
        z = functional.conv2d(x, w["squeeze.depthwise.weight"], padding=1, groups=10)
        z = functional.conv2d(z, w["squeeze.pointwise.weight"])
        scales = w.get("norm.weight"), w.get("norm.bias")
        z = norm_of(before, z, *scales, statistics(w, "norm"), eps)
        z = deformed(w, z * (1 + torch.erf(z / 2**0.5)) / 2)
        names = (
            ("ln_weight", "ln_bias")
            if after == "layer"
            else ("norm_after.weight", "norm_after.bias")
        )
        scales = [w.get(name) for name in names]
        return x * norm_of(after, z, *scales, statistics(w, "norm_after"), eps).sigmoid()

    return run


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_every_pair_is_its_formula(before, after):
    for training in (True, False) if "batch" in (before, after) else (False,):
        gate = DAS(10, alpha=0.4, norm_before=before, norm_after=after, eps=1e-3)
        check_formula(gate, formula(before, after, training, eps=1e-3), SHAPE, training)


@pytest.mark.parametrize("after", NORMS)
def test_the_norm_after_can_go_without_scale_and_shift(after):
    options = {"alpha": 0.4, "norm_after": after, "ln_affine": False}
    gate = DAS(10, **options)
    assert not [
        key for key in dict(gate.named_parameters()) if key.startswith(("ln_", "norm_after"))
    ]
    check_formula(gate, formula("instance", after, False), SHAPE)
    counted = sum(weight.numel() for weight in gate.parameters())
    assert counted == attention_spec("das").params(10, **options)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_every_pair_costs_its_formula(before, after):
    c, r, h, w = 64, 12, 9, 7
    gate = DAS(c, norm_before=before, norm_after=after)
    scales = {"none": 0, "instance": 0}.get(before, 2 * r) + (0 if after == "none" else 2 * c)
    # As das has it by default, less its LayerNorm: see the published cost.
    assert sum(weight.numel() for weight in gate.parameters()) == 11_327 - 2 * c + scales
    assert attention_spec("das").params(c, norm_before=before, norm_after=after) == (
        11_327 - 2 * c + scales
    )
    convs = 9 * c + c * r + 243 * r + 9 * r * c
    norms = {"none": 0, "instance": 2 * r}.get(before, 4 * r) + (0 if after == "none" else 4 * c)
    cost = foveate.accounting.count(gate, (c, h, w))
    assert cost.macs == h * w * (convs + norms)
    assert cost.macs - cost.macs_published == h * w * 9 * r * c


def test_the_defaults_are_those_of_the_paper_and_keep_their_keys():
    torch.manual_seed(3)
    plain = DAS(12)
    torch.manual_seed(3)
    named = DAS(12, norm_before="instance", norm_after="layer")
    assert list(plain.state_dict()) == list(named.state_dict())
    assert "ln_weight" in plain.state_dict() and "norm_after.weight" not in plain.state_dict()
    x = torch.randn(2, 12, 7, 5)
    assert torch.equal(plain(x), named(x))


def test_batch_norms_learn_their_statistics_in_training_and_use_them_afterwards():
    gate = DAS(12, norm_before="batch", norm_after="batch")
    assert gate.norm.momentum == gate.norm_after.momentum == 0.1
    x = 3 + 2 * torch.randn(4, 12, 7, 5)
    for _ in range(100):
        learned = gate(x)
    gate.eval()
    assert_same(gate(x), learned, limit=5e-3)
    assert_same(torch.cat([gate(one[None]) for one in x]), gate(x))


def test_groups_are_equal_and_hold_two_channels_or_more():
    for channels in range(2, 300):
        groups = norm_groups(channels)
        assert channels % groups == 0 and channels // groups >= 2 and groups <= 32
    widths = (12, 25, 51, 102, 204, 409, 64, 2048)
    assert [norm_groups(width) for width in widths] == [6, 5, 17, 17, 17, 1, 32, 32]
    gate = DAS(64, norm_before="group", norm_after="group")
    assert (gate.norm.num_groups, gate.norm_after.num_groups) == (6, 32)


@pytest.mark.parametrize("after", [norm for norm in NORMS if norm != "none"])
def test_a_near_identity_start_passes_almost_everything_after_any_norm(after):
    x = torch.rand(2, 8, 6, 6) + 1
    gate = DAS(8, norm_after=after, init="near_identity")
    assert_same(gate(x), x * torch.tensor(6.0).sigmoid())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"norm_before": "instant"}, "a known norm_before; got 'instant'; did you mean 'instance'"),
        ({"norm_after": "groups"}, "a known norm_after; got 'groups'; did you mean 'group'"),
        ({"norm_after": None}, "a known norm_after; got None"),
        (
            {"norm_before": "batch", "inst_affine": True},
            "norm_before='instance' for inst_affine or inst_track_stats; got 'batch'",
        ),
        (
            {"norm_before": "none", "inst_track_stats": True},
            "norm_before='instance' for inst_affine or inst_track_stats; got 'none'",
        ),
        (
            {"norm_after": "group", "ln_axes": "group1"},
            "norm_after='layer' for ln_axes='group1'; got 'group'",
        ),
        (
            {"norm_after": "none", "ln_axes": "chw", "map_size": (4, 4)},
            "norm_after='layer' for ln_axes='chw'; got 'none'",
        ),
        (
            {"norm_after": "none", "init": "near_identity"},
            "a norm_after for init='near_identity'; got 'none'",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(options, text):
    with pytest.raises(ValueError, match=f"DAS expects {text}"):
        DAS(12, **options)


OTHERS = [("batch", "group"), ("layer", "instance"), ("group", "batch"), ("none", "none")]


def moved(before, after):
    gate = DAS(12, norm_before=before, norm_after=after, residual=before == "none").eval()
    with torch.no_grad():
        for weight in gate.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return gate


@pytest.mark.parametrize(("before", "after"), OTHERS)
def test_layouts_traces_and_half_precision_agree(before, after):
    gate = moved(before, after)
    x = torch.randn(2, 12, 7, 5)
    want = gate(x)
    assert want.is_contiguous()
    last = gate(x.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert_same(last, want)
    assert_same(torch.fx.symbolic_trace(gate)(x), want)
    assert_same(gate.gate(x), (want - x if gate.residual else want) / x)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            for given in (x, x.to(dtype)):
                out = gate(given)
                assert out.dtype == given.dtype
                assert_same(out.float(), want, limit=2e-2)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), OTHERS)
def test_compile_and_export_agree(before, after):
    gate = moved(before, after)
    x = torch.randn(3, 12, 7, 5)
    assert_same(torch.compile(gate, fullgraph=True)(x), gate(x))
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(gate, (x,), dynamic_shapes=({0: batch},)).module()
    assert_same(exported(x[:2]), gate(x[:2]))
