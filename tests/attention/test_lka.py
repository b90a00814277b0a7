"""Large kernel attention against its formula, written out tap by tap."""

import torch
from torch.nn import functional

from foveate.attention import LargeKernelAttention, attention_spec
from recording import check_recorded, fill_, wave
from support import assert_same, gradients_of


def sweep(x, weight, bias, dilation):
    """A depthwise convolution as a sum of shifted maps."""
    size = weight.shape[-1]
    reach = dilation * (size // 2)
    wide = functional.pad(x, (reach,) * 4)
    out = bias[:, None, None].expand_as(x)
    for i in range(size):
        for j in range(size):
            top, left = i * dilation, j * dilation
            moved = wide[..., top : top + x.shape[2], left : left + x.shape[3]]
            out = out + moved * weight[:, 0, i, j, None, None]
    return out


def test_lka_is_its_formula():
    module = fill_(LargeKernelAttention(3).double())
    inputs = {"x": wave((2, 3, 12, 23)), **dict(module.named_parameters())}

    def ours(x, **given):
        return torch.func.functional_call(module, given, (x,))

    def plain(x, **given):
        seen = sweep(x, given["near.weight"], given["near.bias"], 1)
        seen = sweep(seen, given["far.weight"], given["far.bias"], 3)
        mixed = torch.einsum("nchw,oc->nohw", seen, given["point.weight"][:, :, 0, 0])
        return x * (mixed + given["point.bias"][:, None, None])

    got, got_grads = gradients_of(ours, inputs)
    want, want_grads = gradients_of(plain, inputs)
    assert_same(got, want)
    for key in inputs:
        assert_same(got_grads[key], want_grads[key], key)


def test_lka_gives_the_numbers_of_the_official_code():
    check_recorded("lka")


def test_it_sees_11_positions_to_every_side():
    module = fill_(LargeKernelAttention(1).double())
    x = torch.zeros(1, 1, 31, 31, dtype=torch.float64)
    base = module.gate(x)
    x[0, 0, 15, 15] = 1.0
    changed = (module.gate(x) - base).abs()[0, 0] > 1e-12
    rows, columns = changed.nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 26, 4, 26)


def test_its_size_is_that_of_the_official_module():
    params = attention_spec("lka").params
    # Depthwise 5x5 and 7x7 and a 1x1 layer, all with biases.
    assert [params(c) for c in (1, 64, 512)] == [78, 9024, 301_568]
    assert params(64) == 64 * (25 + 1) + 64 * (49 + 1) + 64 * 64 + 64


def test_it_starts_as_the_authors_do():
    torch.manual_seed(0)
    module = LargeKernelAttention(256)
    for conv, outputs in ((module.near, 25), (module.far, 49), (module.point, 256)):
        assert abs(conv.weight.std() / (2 / outputs) ** 0.5 - 1) < 0.05
        assert not conv.bias.any()
