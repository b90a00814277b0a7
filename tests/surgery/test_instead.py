"""An attention in the place of a convolution: what stays, what it starts from, what is refused."""

import copy
import io

import pytest
import torch
from torch import nn

import foveate
from foveate.surgery import inserted, set_openness_
from support import TinyResNet, assert_same

IMAGE = torch.rand(2, 3, 16, 16)
SITES = "replace_conv2@2"


def net():
    torch.manual_seed(1)
    return TinyResNet().eval()


def insert(model, name="dcn", where=SITES, **kwargs):
    kwargs.setdefault("example", torch.zeros(1, 3, 16, 16))
    return foveate.insert_(model, name, where, **kwargs)


def test_a_deformable_convolution_starts_as_the_one_it_replaces():
    model = net()
    want, keys = model(IMAGE), list(model.state_dict())
    conv = model.layer2[0].conv2
    seen = []
    conv.register_forward_hook(lambda *_: seen.append(1))
    model.alias = conv
    done = insert(model)
    assert [site.path for site in done.sites] == ["layer2.0.conv2", "layer2.1.conv2"]
    assert_same(model(IMAGE), want)
    assert model.alias is conv is model.layer2[0].conv2 and seen
    assert isinstance(conv, nn.Conv2d)
    assert set(keys) < set(model.state_dict())
    with torch.no_grad():
        for module in inserted(model).values():
            module.offset.bias.fill_(0.5)
    assert not torch.allclose(model(IMAGE), want)
    removed = foveate.remove_(model)
    assert len(removed.sites) == 2 and type(conv) is nn.Conv2d
    assert torch.equal(model(IMAGE), want)
    del model.alias
    assert list(model.state_dict()) == keys


@pytest.mark.parametrize("name", foveate.list_attentions("convolution"))
@pytest.mark.parametrize("start", ["paper", "identity"])
def test_weights_stay_under_their_names_and_come_back(name, start):
    model, other = net(), TinyResNet()
    want = model(IMAGE)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    weights = dict(model.named_parameters())
    count = sum(w.numel() for w in model.parameters())
    cost = foveate.accounting.count(model, (3, 16, 16))
    done = insert(model, name, "replace_conv2", start=start)
    if start == "identity":
        assert torch.equal(model(IMAGE), want)
        set_openness_(model, 1.0)
    assert done.params == sum(w.numel() for w in model.parameters()) - count
    assert done.macs == foveate.accounting.count(model, (3, 16, 16)).macs - cost.macs
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in before.items())
    model.load_state_dict(other.state_dict())  # published weights, strictly
    twin = copy.deepcopy(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    for one in (twin, again):
        assert torch.equal(one(IMAGE), model(IMAGE))
        foveate.remove_(one)
        assert torch.equal(one(IMAGE), other.eval()(IMAGE))
    foveate.remove_(model)
    assert dict(model.named_parameters()).keys() == weights.keys()
    assert all(weight is weights[key] for key, weight in model.named_parameters())
    assert torch.equal(model(IMAGE), other(IMAGE))


def test_dtype_and_requires_grad_survive_parking():
    model = net()
    model.layer2[0].conv2.weight.requires_grad_(False)
    insert(model, "splat")
    assert "layer2.0.conv2.weight" not in dict(model.named_parameters())
    model.double()
    model(IMAGE.double())
    foveate.remove_(model)
    assert model.layer2[0].conv2.weight.dtype == torch.float64
    assert not model.layer2[0].conv2.weight.requires_grad
    assert model.layer2[1].conv2.weight.requires_grad
    model(IMAGE.double())


def test_a_weight_that_another_layer_has_too_stays_a_parameter():
    model = net()
    model.layer2[1].conv1.weight = model.layer2[1].conv2.weight
    count = sum(w.numel() for w in model.parameters())
    done = insert(model, "sk", ["layer2.1.conv2"])
    assert done.params == sum(w.numel() for w in model.parameters()) - count
    with torch.no_grad():
        model.layer2[1].conv1.weight.add_(1.0)
    want = model.layer2[1].conv1.weight.clone()
    assert foveate.remove_(model).params == done.params
    assert torch.equal(model.layer2[1].conv1.weight, want)
    assert model.layer2[1].conv1.weight is model.layer2[1].conv2.weight


def test_a_weight_put_in_place_of_a_parked_one_is_kept():
    model, other = net(), TinyResNet()
    insert(model, "sk")
    model.load_state_dict(other.state_dict(keep_vars=True), assign=True)
    foveate.remove_(model)
    assert torch.equal(model(IMAGE), other.eval()(IMAGE))
    assert all(type(m) is nn.Conv2d for m in model.modules() if isinstance(m, nn.Conv2d))


def test_an_optimizer_does_not_move_what_is_parked():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    model(IMAGE).sum().backward()
    optimizer.step()
    before = model.layer2[0].conv2.weight.clone()
    insert(model, "sk")
    for _ in range(2):
        optimizer.zero_grad(set_to_none=False)
        model(IMAGE).sum().backward()
        optimizer.step()
    foveate.remove_(model)
    assert torch.equal(model.layer2[0].conv2.weight, before)
    assert list(model.layer2[0].conv2._parameters) == ["weight", "bias"]


def test_what_sits_on_the_same_convolution_is_counted_apart():
    model = net()
    insert(model, "se", ["layer2.0.conv2"])
    count = sum(w.numel() for w in model.parameters())
    done = insert(model, "sk", ["layer2.0.conv2"])
    assert done.params == sum(w.numel() for w in model.parameters()) - count


def test_patterns_name_the_convolutions():
    model = net()
    done = insert(model, where=["layer?.0.conv1"])
    assert [site.path for site in done.sites] == ["layer1.0.conv1", "layer2.0.conv1"]
    assert model(IMAGE).shape == (2, 3)


def test_your_own_convolution_is_told_what_it_replaces():
    model, told = net(), []

    def make(channels, out_channels, kernel, **rest):
        told.append((channels, out_channels, kernel, sorted(rest)))
        rest.pop("padding")
        return nn.Conv2d(channels, out_channels, 5, rest["stride"], 2, bias=False)

    insert(model, make, "replace_conv2:first@2")
    assert told == [(8, 8, 3, ["bias", "dilation", "groups", "padding", "stride"])]
    assert model(IMAGE).shape == (2, 3)


def test_what_cannot_be_replaced_is_refused_and_nothing_changes():
    model = net()
    want = model(IMAGE)
    model.layer2[1].conv2 = nn.Conv2d(8, 8, (3, 1), padding=(1, 0), bias=False)
    with pytest.raises(ValueError, match=r"layer2.1.conv2 with kernel \(3, 1\)"):
        insert(model)
    with pytest.raises(ValueError, match=r"plain nn.Conv2d .* got layer1.0.bn1 \(BatchNorm2d"):
        insert(model, where=["layer1.0.bn1"])
    with pytest.raises(ValueError, match="dcn takes the place of a convolution"):
        insert(model, where="blocks")
    with pytest.raises(ValueError, match="se replaces nothing"):
        insert(model, "se", "replace_conv2@1")
    assert not inserted(model)
    model = net()
    insert(model)
    with pytest.raises(ValueError, match="which holds 'dcn'"):
        insert(model)
    with pytest.raises(ValueError, match="position='before'"):
        insert(model, where="replace_conv2@1", position="before")
    foveate.remove_(model)
    assert torch.equal(model(IMAGE), want)


@pytest.mark.slow
def test_compile_and_export_see_the_attention():
    torch.compiler.reset()  # what was compiled before counts against a limit
    model = net()
    insert(model, "dcnv2")
    with torch.no_grad():
        for module in inserted(model).values():
            module.offset.bias.fill_(0.3)
    want = model(IMAGE)
    assert_same(torch.compile(model, fullgraph=True)(IMAGE), want)
    assert_same(torch.export.export(model, (IMAGE,)).module()(IMAGE), want)
