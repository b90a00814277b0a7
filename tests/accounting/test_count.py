"""Costs against closed forms, published figures and torch's own counter."""

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import foveate
from foveate.accounting import count, register_flop_formulas

# network: parameters; honest and published parameters (M) and MACs (G) with four gates.
TOTALS = {
    "resnet18": (12_438_830, 12.4388, 1.9470, 11.8156, 1.8567),
    "resnet50": (36_903_598, 36.9036, 5.8655, 26.8973, 4.3907),
    "resnet101": (55_895_726, 55.8957, 9.5982, 45.8895, 8.1234),
    "torchvision/mobilenet_v2": (3_832_193, 3.8322, 0.3764, 3.5754, 0.3510),
}
PLAIN = {"resnet18": 1.8240, "resnet50": 4.1337}


@pytest.mark.parametrize("name", TOTALS)
def test_gated_networks_cost_what_the_paper_and_the_truth_say(name):
    cost = count(foveate.create_model(name, "das"))
    exact, *rounded = TOTALS[name]
    assert cost.params == exact
    got = (cost.params / 1e6, cost.macs / 1e9, cost.params_published / 1e6)
    # thop does not see MobileNetV2's pooling, a function and no module: 0.00006 G.
    assert (*got, cost.macs_published / 1e9) == pytest.approx(rounded, abs=1.2e-4)


@pytest.mark.parametrize("name", PLAIN)
def test_plain_networks_have_one_cost(name):
    cost = count(foveate.create_model(name))
    assert round(cost.macs / 1e9, 4) == PLAIN[name]
    assert (cost.macs, cost.params) == (cost.macs_published, cost.params_published)


def test_a_gate_costs_its_formula():
    c, r, h, w = 32, 6, 9, 7
    cost = count(foveate.attention.DAS(c), (c, h, w))
    convs = 9 * c + c * r + 243 * r + 9 * r * c
    assert cost.macs == h * w * (convs + 2 * r + 4 * c)  # and its two norms
    assert cost.macs - cost.macs_published == h * w * 9 * r * c
    assert cost.params - cost.params_published == 9 * r * c


@pytest.mark.parametrize("form", ["grouped9", "dw_pw"])
def test_other_kernels_cost_theirs(form):
    c, r = 32, 6
    cost = count(foveate.attention.DAS(c, deform_weight=form), (c, 4, 4))
    kernel = {"grouped9": 9 * 36, "dw_pw": 9 * r}[form]  # padded to 6 outputs a group
    rest = 9 * c + c * r + 243 * r + (r * c if form == "dw_pw" else 0)
    assert cost.macs == 16 * (rest + kernel + 2 * r + 4 * c)


def test_layers_are_counted_by_name_and_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
    model.train()
    model[1].eval()
    cost = count(model, (3, 10, 10))
    assert cost.by_module["0"] == 100 * 3 * 8 * 9
    assert cost.by_module["1"] == 100 * 8 * 4
    assert cost.by_module[""] == cost.macs == 21_600 + 3_200
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert model[1].num_batches_tracked == 0
    assert "0.00 M parameters" in str(cost)


def test_torchvisions_operator_is_counted_where_the_counter_says_nothing():
    layer = torchvision.ops.DeformConv2d(4, 6, 3, padding=1, bias=False)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, torch.zeros(x.shape[0], 18, *x.shape[2:]))

    macs = 6 * 64 * 36
    cost = count(Net(), (4, 8, 8))
    assert (cost.macs, cost.macs_published) == (macs, 0)
    assert (cost.params, cost.params_published) == (216, 0)
    register_flop_formulas()
    with FlopCounterMode(display=False) as counter:
        Net()(torch.zeros(1, 4, 8, 8))
    assert counter.get_total_flops() == 2 * macs


@pytest.mark.parametrize(
    ("model", "size", "error", "text"),
    [
        (nn.Conv2d(3, 4, 3), (3, 2, 2), ValueError, "runs on an image of"),
        (nn.Conv2d(3, 4, 3), (3, 8), ValueError, "channels, height, width"),
        (nn.Conv2d(3, 4, 3), (3, 0, 8), ValueError, "size >= 1"),
        ("resnet18", (3, 8, 8), TypeError, "torch.nn.Module"),
    ],
)
def test_bad_input_is_named(model, size, error, text):
    with pytest.raises(error, match=text):
        count(model, size)


def test_the_published_convention_leaves_out_replaced_kernels_too():
    with torch.device("meta"):
        plain = foveate.accounting.count(foveate.create_model("resnet50"))
        gated = foveate.accounting.count(foveate.create_model("resnet50", "dcn"))
    kernels = sum(9 * width**2 * count for width, count in ((128, 4), (256, 6), (512, 3)))
    assert gated.params - gated.params_published == kernels
    pixels = {128: 28**2, 256: 14**2, 512: 7**2}
    macs = sum(9 * w**2 * n * pixels[w] for w, n in ((128, 4), (256, 6), (512, 3)))
    assert gated.macs - gated.macs_published == macs
    assert plain.macs == plain.macs_published
