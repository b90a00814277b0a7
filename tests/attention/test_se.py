"""Squeeze-and-excitation against its formula."""

import sys

import pytest
import torch
from formulas import check_formula

import foveate
from foveate.attention import SqueezeExcite, attention_spec


def formula(weights, x):
    hidden = torch.einsum("nchw->nc", x) / (x.shape[2] * x.shape[3])
    for name in ("fc1", "fc2"):
        hidden = hidden.clamp(min=0) if name == "fc2" else hidden
        hidden = torch.einsum("nc,dc->nd", hidden, weights[f"layer.{name}.weight"][:, :, 0, 0])
        hidden = hidden + weights.get(f"layer.{name}.bias", 0)
    return torch.einsum("nchw,nc->nchw", x, 1 / (1 + (-hidden).exp()))


@pytest.mark.parametrize("options", [{}, {"reduction": 4}, {"reduction": 4, "bias": False}])
def test_se_is_its_formula(options):
    check_formula(SqueezeExcite(32, **options), formula, (3, 32, 7, 4))


def test_se_has_the_published_size():
    count = attention_spec("se").params
    assert [count(c) for c in (64, 256, 2048)] == [580, 8_464, 526_464]
    assert [count(c, bias=False) for c in (64, 256)] == [512, 8_192]
    # The width is exact: not rounded up to a multiple of 8, as timm does by default.
    for options in ({}, {"bias": False}, {"reduction": 8}):
        counted = sum(weight.numel() for weight in SqueezeExcite(64, **options).parameters())
        assert counted == count(64, **options)


def test_se_names_wrong_options():
    with pytest.raises(ValueError, match="SqueezeExcite expects reduction >= 1; got 0"):
        SqueezeExcite(8, reduction=0)


def test_a_missing_timm_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.layers", None)
    with pytest.raises(ImportError, match=r'pip install "foveate\[models\]"'):
        foveate.create_attention("se", 8)
