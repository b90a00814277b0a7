"""Recurrent criss-cross attention: the same weights in every pass."""

import pytest
import torch
from formulas import check_formula
from test_cca import written

from foveate.attention import CrissCrossAttention, RecurrentCrissCrossAttention, attention_spec
from recording import check_recorded, fill_


@pytest.mark.parametrize("recurrent", [1, 2, 3])
def test_rcca_is_its_formula(recurrent):
    def formula(weights, x):
        for _ in range(recurrent):
            x = written(weights, x, "attention.")
        return x

    module = RecurrentCrissCrossAttention(16, recurrent=recurrent)
    check_formula(module, formula, (2, 16, 4, 5), vanishing=["attention.key.bias"])


def test_rcca_gives_the_numbers_of_the_official_code():
    check_recorded("rcca")


@pytest.mark.parametrize("recurrent", [1, 2, 5])
def test_passes_share_their_weights(recurrent):
    module = fill_(RecurrentCrissCrossAttention(16, reduction=4, recurrent=recurrent))
    counted = sum(weight.numel() for weight in module.parameters())
    spec = attention_spec("rcca")
    assert counted == spec.params(16, reduction=4, recurrent=recurrent)
    assert counted == attention_spec("cca").params(16, reduction=4)
    once = CrissCrossAttention(16, reduction=4)
    once.load_state_dict(module.attention.state_dict())
    x = want = torch.randn(2, 16, 5, 7)
    for _ in range(recurrent):
        want = once(want)
    assert torch.equal(module(x), want)


@pytest.mark.parametrize(("recurrent", "seen"), [(1, 4 + 6 - 1), (2, 4 * 6)])
def test_two_passes_see_the_whole_map(recurrent, seen):
    module = fill_(RecurrentCrissCrossAttention(8, recurrent=recurrent))
    x = torch.randn(1, 8, 4, 6, requires_grad=True)
    module(x)[0, :, 1, 2].sum().backward()
    assert x.grad.ne(0).any(1).sum() == seen


def test_a_wrong_number_of_passes_is_named():
    with pytest.raises(ValueError, match="recurrent >= 1; got 0"):
        RecurrentCrissCrossAttention(8, recurrent=0)
