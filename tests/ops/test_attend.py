"""Softmax attention beside the sum it is, and what is asked of its kernels."""

import subprocess
import sys

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import flop_counter

from foveate.ops.attend import attend
from foveate.ops.flops import count_macs
from support import assert_same, gradients_of


def maps(dtype=torch.float64, width=3, values=3):
    shapes = {"query": (2, width, 7), "key": (2, width, 5), "value": (2, values, 5)}
    return {name: torch.randn(shape, dtype=dtype) for name, shape in shapes.items()}


def plain(query, key, value, scale=1.0):
    shares = (scale * torch.einsum("ndp,ndk->npk", query, key)).exp()
    shares = shares / shares.sum(2, keepdim=True)
    return torch.einsum("npk,nvk->nvp", shares, value)


# Alike widths take torch's fused kernel on a CPU, unlike ones with zeros; where they are no fewer
# than the 5 keys, the plain products.
@pytest.mark.parametrize("values", [3, 4, 2, 6])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_attend_is_its_formula(values, scale):
    given = maps(values=values)
    got, slopes = gradients_of(lambda **one: attend(**one, scale=scale), given)
    want, wanted = gradients_of(lambda **one: plain(**one, scale=scale), given)
    assert_same(got, want)
    for name in given:
        assert_same(slopes[name], wanted[name], f"gradient of {name}")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("values", [3, 4])
def test_likenesses_are_wide_in_half_precision(dtype, values):
    # Near 2 * 256 * 256, beyond float16; they differ by 2, far below the step of a bfloat16.
    given = {name: one.to(dtype) for name, one in maps(values=values).items()}
    given["query"] = torch.full((2, 3, 7), 256, dtype=dtype)
    given["key"] = torch.full((2, 3, 5), 256, dtype=dtype)
    given["key"][:, 0, 3] -= 2
    given["query"][:, 0] = 1
    likeness = torch.einsum("ndp,ndk->npk", given["query"].double(), given["key"].double())
    want = torch.einsum("npk,nvk->nvp", likeness.softmax(2), given["value"].double())
    assert_same(attend(**given), want)


@pytest.mark.parametrize("values", [3, 4])
def test_second_derivatives_and_forward_mode_by_the_plain_kernel(values):
    given = [one.requires_grad_() for one in maps(values=values).values()]
    with sdpa_kernel(SDPBackend.MATH):
        assert torch.autograd.gradgradcheck(attend, given)
        tangents = tuple(one.detach() for one in given)
        _, slope = torch.func.jvp(attend, tangents, tangents)
        _, want = torch.func.jvp(plain, tangents, tangents)
        assert_same(slope, want)


@pytest.mark.parametrize(("values", "widths"), [(3, 3 + 3), (4, 4 + 4), (2, 3 + 3), (6, 3 + 6)])
@pytest.mark.parametrize("known", [True, False])
def test_its_products_are_counted(values, widths, known, monkeypatch):
    if not known:
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        monkeypatch.delitem(flop_counter.flop_registry, kernel, raising=False)
    macs, _ = count_macs(lambda: attend(**maps(torch.float32, values=values)))
    assert macs == 2 * 7 * 5 * widths


def test_an_open_number_of_keys_stays_open():
    class Attend(torch.nn.Module):
        def forward(self, query, key, value):
            return attend(query, key, value)

    keys = torch.export.Dim("keys", min=2, max=64)
    shapes = {"query": {}, "key": {2: keys}, "value": {2: keys}}
    given = maps(values=4)
    run = torch.export.export(Attend(), (), given, dynamic_shapes=shapes).module()
    few = {name: one if name == "query" else one[:, :, :2] for name, one in given.items()}
    for one in (given, few):
        assert_same(run(**one), plain(**one))


MEASURE = """
import resource, torch
from foveate.ops.attend import attend
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def run(pixels):
    query, key, value = (torch.rand(1, width, pixels) for width in (8, 8, 64))
    return attend(query, key, value)
run(200)
before = peak()
run(100 * 152)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux alone")
def test_no_matrix_of_all_pairs_is_kept_for_unlike_widths():
    ran = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    # A map of 64 channels takes 4 MiB here, the matrix of all pairs 881.
    assert int(ran.stdout) < 20 * 4
