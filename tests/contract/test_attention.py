"""The contract of every registered attention, by name."""

import copy
import re

import pytest
import torch
from torch import nn

import foveate
from foveate.attention import attention_spec, list_attentions
from recording import RECORDED
from support import assert_same

each = pytest.mark.parametrize("name", list_attentions())


def is_defined(name, channels=6, size=(7, 5)):
    """Whether the registry says that an attention takes such maps."""
    spec = attention_spec(name)
    pixels = size[0] * size[1] >= spec.min_pixels
    return pixels and min(size) >= spec.min_side and channels % spec.channel_multiple == 0


def fresh(name, channels=6, dtype=torch.float32, scramble=True):
    """A module whose every weight matters: zero starts are moved off zero."""
    module = foveate.create_attention(name, channels).to(dtype)
    if scramble:
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for weight in module.parameters():
                noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
                weight.add_(0.1 * noise.to(dtype))
    return module


@each
@pytest.mark.parametrize("channels", [1, 3, 32])
def test_parameter_count_equals_the_formula(name, channels):
    if not is_defined(name, channels):
        with pytest.raises(ValueError, match=r"channels.*; got"):
            foveate.create_attention(name, channels)
        return
    module = foveate.create_attention(name, channels)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == attention_spec(name).params(channels)


@each
@pytest.mark.parametrize("size", [(7, 5), (13, 11), (1, 9), (8, 1), (1, 1)])
def test_any_map_keeps_its_shape_or_is_refused_by_a_clear_error(name, size):
    module = fresh(name).eval()
    x = torch.rand(2, 6, *size)
    if not is_defined(name, size=size):
        with pytest.raises(ValueError, match=rf"expects .*at least .*; got {size[0]}x{size[1]}"):
            module(x)
        return
    out = module(x)
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert out.isfinite().all()
    assert not torch.equal(out, x)


@each
def test_the_input_and_every_parameter_get_a_gradient(name):
    # Wide enough that no hidden layer of a channel attention is dead in all images.
    module = fresh(name, channels=96)
    x = torch.randn(8, 96, 7, 5, requires_grad=True)
    # A plain sum would be blind to weights that a norm takes out again.
    (module(x) * torch.randn(8, 96, 7, 5)).sum().backward()
    learned = [(key, w) for key, w in module.named_parameters() if w.requires_grad]
    missing = [key for key, w in learned if w.grad is None or not w.grad.any()]
    assert missing == []
    assert x.grad.any()


@each
def test_gradients_are_right_in_float64(name):
    module = fresh(name, channels=4, dtype=torch.float64).eval()
    x = torch.randn(1, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,), atol=1e-6)


@each
def test_images_of_a_batch_are_independent_in_evaluation(name):
    module = fresh(name, dtype=torch.float64).eval()
    x = torch.randn(3, 6, 7, 5, dtype=torch.float64)
    together = module(x)
    alone = torch.cat([module(one[None]) for one in x])
    assert_same(alone, together)


@each
def test_memory_layout_does_not_matter(name):
    module = fresh(name).eval()
    x = torch.randn(2, 6, 7, 5)
    want = module(x)
    assert_same(module(x.contiguous(memory_format=torch.channels_last)), want)
    assert_same(module(x.transpose(2, 3).contiguous().transpose(2, 3)), want)
    last = copy.deepcopy(module).to(memory_format=torch.channels_last)
    assert_same(last(x), want)


@each
def test_copies_and_state_dicts_carry_everything(name):
    module = fresh(name).eval()
    x = torch.randn(2, 6, 7, 5)
    want = module(x)
    assert torch.equal(copy.deepcopy(module)(x), want)
    other = foveate.create_attention(name, 6).eval()
    assert not torch.equal(other(x), want) or not module.state_dict()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), want)


@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_float32(name, dtype):
    module = fresh(name).eval()
    x = torch.randn(2, 6, 7, 5)
    want = module(x)
    assert_same(copy.deepcopy(module).to(dtype)(x.to(dtype)), want.to(dtype))
    with torch.autocast("cpu", dtype):
        assert_same(module(x).float(), want, limit=2e-2)


# What a module inside a network gets from a convolution before it.
@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_half_precision_map_keeps_its_dtype_under_autocast(name, dtype):
    module = fresh(name).eval()
    x = torch.randn(2, 6, 7, 5).to(dtype)
    want = module(x.float())
    with torch.autocast("cpu", dtype):
        out = module(x)
    assert out.dtype == dtype
    assert_same(out.float(), want, limit=2e-2)


@each
def test_one_pixel_of_one_image_is_defined_or_refused(name):
    module = fresh(name).eval()
    x = torch.rand(1, 6, 1, 1)
    if not is_defined(name, size=(1, 1)):
        with pytest.raises(ValueError, match=r"expects .*at least .*; got 1x1"):
            module(x)
        return
    assert_same(module(x), module(x.repeat(2, 1, 1, 1))[:1])


# Torch warns of the variance of no images, which are not asked for.
@each
@pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0:UserWarning")
def test_an_empty_batch_stays_empty(name):
    module = fresh(name).eval()
    x = torch.rand(0, 6, 7, 5, requires_grad=True)
    out = module(x)
    assert out.shape == x.shape
    out.sum().backward()
    assert x.grad.shape == x.shape
    assert not any(w.grad.any() for w in module.parameters() if w.grad is not None)


@each
def test_it_can_be_built_on_the_meta_device(name):
    with torch.device("meta"):
        module = foveate.create_attention(name, 6)
        assert module(torch.empty(2, 6, 7, 5)).shape == (2, 6, 7, 5)


@each
def test_wrong_input_is_named(name):
    module = foveate.create_attention(name, 6)
    who = type(module).__name__
    with pytest.raises(ValueError, match=rf"{who} expects x of shape \(N, 6, H, W\).*got \(2, 5"):
        module(torch.rand(2, 5, 7, 7))
    with pytest.raises(ValueError, match=rf"{who} expects x of shape"):
        module(torch.rand(6, 7, 7))
    with pytest.raises(TypeError, match=f"{who} expects x of a floating dtype"):
        module(torch.ones(2, 6, 7, 7, dtype=torch.long))


@pytest.mark.parametrize(
    "name", [name for name in list_attentions() if hasattr(attention_spec(name).factory, "gate")]
)
def test_a_gate_refuses_wrong_input_too(name):
    module = foveate.create_attention(name, 6).eval()
    with pytest.raises(ValueError, match=r"expects x of shape \(N, 6, H, W\).*; got \(2, 5"):
        module.gate(torch.rand(2, 5, 7, 7))


@each
@pytest.mark.parametrize("channels", [0, -3])
def test_too_few_channels_are_refused(name, channels):
    with pytest.raises(ValueError, match="channels >= 1; got"):
        foveate.create_attention(name, channels)


@each
def test_a_non_integer_number_of_channels_is_refused(name):
    with pytest.raises(TypeError, match="integer channels"):
        foveate.create_attention(name, 2.5)


@each
def test_an_identity_start_is_what_the_registry_says(name):
    module = foveate.create_attention(name, 6).eval()
    x = torch.randn(2, 6, 7, 5)
    assert torch.equal(module(x), x) == attention_spec(name).identity_at_init


@each
def test_the_registry_describes_it(name):
    spec = attention_spec(name)
    assert spec.name == name
    assert spec.paper and 2010 < spec.year < 2030
    assert bool(spec.link) == (spec.paper[:4].isdigit())
    assert type(foveate.create_attention(name, 4)) is spec.factory
    assert "channels" not in spec.options
    # What is claimed to be recorded is, and what is not says why.
    claims = [line for line in spec.verified if re.search(r"authors' code \(\w+\), recorded", line)]
    assert bool(claims) == (RECORDED / f"{name}.json").exists()
    assert claims or any(re.search(r"^not? |nothing|sums", line) for line in spec.verified)


@each
@pytest.mark.slow
def test_compile_and_export_agree(name):
    module = fresh(name).eval()
    x = torch.randn(3, 6, 7, 5)
    want = module(x)
    assert_same(torch.compile(module, fullgraph=True)(x), want)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: batch},)).module()
    assert_same(exported(x), want)
    assert_same(exported(x[:2]), want[:2])


def test_names_near_an_unknown_one_are_listed():
    with pytest.raises(ValueError, match="did you mean 'das'"):
        foveate.create_attention("dass", 4)
    with pytest.raises(ValueError, match="did you mean 'alpha'"):
        foveate.create_attention("das", 4, alfa=0.1)
    with pytest.raises(ValueError, match="known kind"):
        foveate.list_attentions("spacial")


def test_a_taken_name_cannot_be_registered():
    register = foveate.attention.register
    facts = {"title": "t", "kind": "channel", "paper": "1.1", "year": 2020, "site": "stages"}
    with pytest.raises(ValueError, match="a free name"):
        register(name="das", params=lambda c: 0, **facts)(nn.Identity)
