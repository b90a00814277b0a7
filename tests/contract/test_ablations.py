"""What the designs of an ablation owe to whoever trains them: the essentials of the contract."""

import copy

import pytest
import torch
from torch import nn

import foveate
from foveate.attention import attention_spec, list_attentions
from support import assert_same

DESIGNS = list_attentions("ablation")
each = pytest.mark.parametrize("name", DESIGNS)


def fresh(name, channels=6, **options):
    """A design in evaluation mode, its zero starts moved off zero."""
    module = foveate.create_attention(name, channels, **options).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return module


def test_ablations_are_listed_when_asked_for_alone():
    assert [f"das_{letter}" for letter in "abdefgh"] == DESIGNS
    assert not set(DESIGNS) & set(list_attentions())
    assert not set(DESIGNS) & set(list_attentions("both", undefined=True))


@each
def test_the_registry_describes_it(name):
    spec = attention_spec(name)
    assert (spec.name, spec.kind, spec.paper, spec.site) == (
        name,
        "ablation",
        "2311.12091",
        "stages",
    )
    assert type(foveate.create_attention(name, 4)) is spec.factory
    stated, *ours = spec.departs
    assert stated.startswith("stated: ") and ours
    assert all(line.startswith("ours: ") for line in ours)


@each
@pytest.mark.parametrize("channels", [1, 3, 32])
def test_parameter_count_equals_the_formula(name, channels):
    module = foveate.create_attention(name, channels)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == attention_spec(name).params(channels)


@each
@pytest.mark.parametrize("size", [(7, 5), (1, 9), (8, 1), (1, 1)])
def test_any_map_keeps_its_shape_or_is_refused_by_a_clear_error(name, size):
    module = fresh(name)
    if size == (1, 1) and attention_spec(name).min_pixels > 1:
        with pytest.raises(ValueError, match=r"at least 2 pixels; got 1x1"):
            module(torch.rand(2, 6, *size))
        return
    for batch in (1, 2):
        x = torch.rand(batch, 6, *size)
        out = module(x)
        assert (out.shape, out.dtype) == (x.shape, x.dtype)
        assert out.isfinite().all()
        assert not torch.equal(out, x)


@each
def test_the_input_and_every_parameter_get_a_gradient(name):
    module = fresh(name, 24)
    x = torch.randn(4, 24, 7, 5, requires_grad=True)
    # A plain sum would be blind to weights that a norm takes out again.
    (module(x) * torch.randn(4, 24, 7, 5)).sum().backward()
    assert [key for key, w in module.named_parameters() if w.grad is None or not w.grad.any()] == []
    assert x.grad.any()


@each
def test_a_fresh_one_can_learn_where_to_look(name):
    module = foveate.create_attention(name, 24)
    pointing = [w for key, w in module.named_parameters() if "flow." in key or "offset." in key]
    assert bool(pointing) == (name not in ("das_e", "das_f"))
    assert not any(w.any() for w in pointing)
    (module(torch.randn(2, 24, 7, 5)) * torch.randn(2, 24, 7, 5)).sum().backward()
    assert all(w.grad.any() for w in pointing)


@each
def test_images_are_independent_and_the_layout_does_not_matter(name):
    module = fresh(name)
    x = torch.randn(3, 6, 7, 5)
    want = module(x)
    assert_same(torch.cat([module(one[None]) for one in x]), want)
    last = x.contiguous(memory_format=torch.channels_last)
    assert_same(module(last), want)
    assert_same(module(x.transpose(2, 3).contiguous().transpose(2, 3)), want)
    assert_same(copy.deepcopy(module).to(memory_format=torch.channels_last)(last), want)


@each
def test_copies_and_state_dicts_carry_everything(name):
    module = fresh(name)
    x = torch.randn(2, 6, 7, 5)
    want = module(x)
    assert torch.equal(copy.deepcopy(module)(x), want)
    other = foveate.create_attention(name, 6).eval()
    assert not torch.equal(other(x), want)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), want)


@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_float32(name, dtype):
    module = fresh(name)
    x = torch.randn(2, 6, 7, 5)
    want = module(x)
    low = copy.deepcopy(module).to(dtype)(x.to(dtype))
    assert low.dtype == dtype
    assert_same(low.float(), want, limit=3e-2)
    with torch.autocast("cpu", dtype):
        for given in (x, x.to(dtype)):
            out = module(given)
            assert out.dtype == given.dtype
            assert_same(out.float(), want, limit=3e-2)


# Torch warns of the variance of no images, which are not asked for.
@each
@pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0:UserWarning")
def test_an_empty_batch_stays_empty_and_meta_tensors_pass(name):
    assert fresh(name)(torch.rand(0, 6, 7, 5)).shape == (0, 6, 7, 5)
    with torch.device("meta"):
        module = foveate.create_attention(name, 6)
        assert module(torch.empty(2, 6, 7, 5)).shape == (2, 6, 7, 5)


@each
def test_wrong_input_and_widths_are_named(name):
    module = foveate.create_attention(name, 6)
    who = type(module).__name__
    for run in filter(None, (module, getattr(module, "gate", None))):
        with pytest.raises(
            ValueError, match=rf"{who} expects x of shape \(N, 6, H, W\).*got \(2, 5"
        ):
            run(torch.rand(2, 5, 7, 7))
        with pytest.raises(TypeError, match=f"{who} expects x of a floating dtype"):
            run(torch.ones(2, 6, 7, 7, dtype=torch.long))
    with pytest.raises(ValueError, match=f"{who} expects channels >= 1; got 0"):
        foveate.create_attention(name, 0)
    with pytest.raises(TypeError, match=f"{who} expects an integer channels"):
        foveate.create_attention(name, 2.5)


@each
def test_a_symbolic_trace_runs_as_it_does(name):
    module = fresh(name)
    x = torch.randn(2, 6, 7, 5)
    assert_same(torch.fx.symbolic_trace(module)(x), module(x))


@each
def test_it_goes_into_a_network_learns_and_comes_out(name):
    pytest.importorskip("timm")
    model = foveate.create_model("resnet18", num_classes=4).eval()
    published = copy.deepcopy(model.state_dict())
    images = torch.rand(2, 3, 64, 64)
    want = model(images)
    done = foveate.insert_(model.train(), name, example=images)
    assert [site.channels for site in done.sites] == [64, 128, 256, 512]
    assert done.params == sum(attention_spec(name).params(c) for c in (64, 128, 256, 512))
    optimizer = torch.optim.SGD(done.parameters(), lr=0.1)
    before = copy.deepcopy(list(done.parameters()))
    nn.functional.cross_entropy(model(images), torch.tensor([0, 3])).backward()
    optimizer.step()
    pairs = zip(before, done.parameters(), strict=True)
    assert not any(torch.equal(old, new) for old, new in pairs)
    assert model(images).isfinite().all()
    foveate.remove_(model)
    model.load_state_dict(published)  # strictly; training has moved the running statistics
    assert torch.equal(model.eval()(images), want)


@each
def test_saved_networks_come_back_equal(tmp_path, name):
    pytest.importorskip("timm")
    model = foveate.create_model("resnet18", name, num_classes=4, start="identity").eval()
    x = torch.rand(1, 3, 64, 64)
    plain = model(x)
    foveate.surgery.set_openness_(model, 0.7)
    assert not torch.equal(model(x), plain)
    foveate.save(model, tmp_path)
    assert torch.equal(foveate.load(tmp_path)(x), model(x))


@each
@pytest.mark.slow
def test_compile_and_export_agree(name):
    module = fresh(name)
    x = torch.randn(3, 6, 7, 5)
    want = module(x)
    assert_same(torch.compile(module, fullgraph=True)(x), want)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: batch},)).module()
    assert_same(exported(x), want)
    assert_same(exported(x[:2]), want[:2])
