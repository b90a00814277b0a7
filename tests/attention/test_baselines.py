"""The baselines against their formulas, written out, and against exact network sizes."""

import pytest
import torch
from torch.nn import functional

import foveate
from foveate.attention import (
    GlobalContext,
    SqueezeExcite,
    attention_spec,
)
from support import assert_same

# Parameters of torchvision's ResNet-18, -50, -101 and MobileNetV2 with the attention in every
# block after the last norm; the first three confirmed by timm's or the authors' own networks.
NETWORKS = {
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "mobilenet_v2": 3_504_872,
}
ORACLE = {
    "se": (11_778_592, 28_088_024, 49_326_872, 3_534_885),
    "eca": (11_689_548, 25_557_118, 44_549_331, 3_504_931),
    "cbam": (11_779_392, 28_089_624, 49_330_172, 3_536_585),
    "gc": (11_780_760, 28_105_032, 49_363_481, 3_536_592),
}


@pytest.mark.parametrize("name", ORACLE)
@pytest.mark.parametrize("network", range(4))
def test_whole_networks_have_the_published_size(name, network):
    sites = {
        "resnet18": dict(zip((64, 128, 256, 512), (2, 2, 2, 2), strict=True)),
        "resnet50": dict(zip((256, 512, 1024, 2048), (3, 4, 6, 3), strict=True)),
        "resnet101": dict(zip((256, 512, 1024, 2048), (3, 4, 23, 3), strict=True)),
        "mobilenet_v2": dict(
            zip((16, 24, 32, 64, 96, 160, 320), (1, 2, 3, 4, 3, 3, 1), strict=True)
        ),
    }
    host = list(NETWORKS)[network]
    params = attention_spec(name).params
    total = NETWORKS[host] + sum(n * params(c) for c, n in sites[host].items())
    assert total == ORACLE[name][network]


def test_se_is_its_formula():
    module = SqueezeExcite(32, reduction=8).double()
    x = torch.randn(2, 32, 5, 6, dtype=torch.float64)
    weights = dict(module.layer.named_parameters())
    mean = x.mean((2, 3))
    hidden = (mean @ weights["fc1.weight"].flatten(1).T + weights["fc1.bias"]).relu()
    gate = (hidden @ weights["fc2.weight"].flatten(1).T + weights["fc2.bias"]).sigmoid()
    assert_same(module(x), x * gate[:, :, None, None])


def test_gc_is_its_formula():
    module = GlobalContext(32).double()
    x = torch.randn(2, 32, 5, 6, dtype=torch.float64)
    assert torch.equal(module(x), x)  # starts as identity
    torch.nn.init.normal_(module.layer.mlp_add.fc2.weight)
    torch.nn.init.normal_(module.layer.mlp_add.fc2.bias)
    weights = dict(module.layer.named_parameters())
    scores = torch.einsum("nchw,c->nhw", x, weights["conv_attn.weight"].flatten())
    attention = (scores + weights["conv_attn.bias"]).flatten(1).softmax(1)
    context = torch.einsum("ncp,np->nc", x.flatten(2), attention)
    hidden = context @ weights["mlp_add.fc1.weight"].flatten(1).T + weights["mlp_add.fc1.bias"]
    hidden = functional.layer_norm(
        hidden, (2,), weights["mlp_add.norm.weight"], weights["mlp_add.norm.bias"], 1e-5
    ).relu()
    added = hidden @ weights["mlp_add.fc2.weight"].flatten(1).T + weights["mlp_add.fc2.bias"]
    assert_same(module(x), x + added[:, :, None, None])


def test_se_without_bias_and_other_options():
    counted = sum(w.numel() for w in SqueezeExcite(32, reduction=4, bias=False).parameters())
    assert counted == 2 * 32 * 8 == attention_spec("se").params(32, reduction=4, bias=False)
    for build, text in ((lambda: SqueezeExcite(8, reduction=0), "reduction >= 1"),):
        with pytest.raises(ValueError, match=text):
            build()


def test_a_missing_timm_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.layers", None)
    with pytest.raises(ImportError, match=r'pip install "foveate\[models\]"'):
        foveate.create_attention("se", 8)
