"""A gate that can be asked for alone refuses what its module refuses."""

import pytest
import torch

import foveate
from foveate.attention import attention_spec, list_attentions


def gate_of(module):
    return getattr(module, "gate", None) or getattr(module, "gates", None)


GATED = [name for name in list_attentions() if gate_of(attention_spec(name).factory)]


def test_there_are_such_gates():
    assert len(GATED) > 10


@pytest.mark.parametrize("name", GATED)
def test_wrong_maps_are_named_by_the_gate_too(name):
    module = foveate.create_attention(name, 8).eval()
    for run in (module, gate_of(module)):
        with pytest.raises(ValueError, match=r"expects x of shape \(N, 8, H, W\).*; got"):
            run(torch.rand(2, 16, 6, 6))
        with pytest.raises(TypeError, match="expects x of a floating dtype"):
            run(torch.ones(2, 8, 6, 6, dtype=torch.int64))


def test_a_gate_asked_for_a_map_too_small_names_its_size():
    with pytest.raises(ValueError, match=r"SimpleAttention expects .*2 pixels; got 1x1"):
        foveate.create_attention("simam", 8).gate(torch.rand(2, 8, 1, 1))
