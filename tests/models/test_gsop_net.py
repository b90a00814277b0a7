"""The head of GSoP-Net2: sizes as published, its formula, the authors' numbers, two hosts."""

import json

import pytest
import timm
import torch
import torchvision
from torch import nn

import foveate
from foveate.attention import attention_spec
from foveate.models.gsop_net import CovarianceHead, second_order_head_
from foveate.surgery import inserted
from recording import RECORDED, check_numbers, fill_
from support import assert_same


@pytest.mark.parametrize(("name", "total"), [("resnet50", 58_278_568), ("resnet101", 77_270_696)])
@pytest.mark.parametrize("host", ["torchvision", "timm"])
def test_gsop_net2_has_the_published_size(host, name, total):
    with torch.device("meta"):
        make = torchvision.models.get_model if host == "torchvision" else timm.create_model
        model = make(name)
        second_order_head_(model)
        assert model(torch.empty(2, 3, 64, 64)).shape == (2, 1000)
    assert model.fc.in_features == 32_896
    blocks = [attention_spec("gsop").params(channels) for channels in (256, 512, 1024)]
    assert sum(weight.numel() for weight in model.parameters()) + sum(blocks) == total


@pytest.mark.parametrize("training", [False, True])
def test_the_head_is_its_formula(training):
    head = CovarianceHead(9, dim=5, iterations=2).double()
    head = fill_(head).train(training)
    x = torch.randn(3, 9, 4, 6, dtype=torch.float64, requires_grad=True)
    mixed = torch.einsum("dc,nchw->ndhw", head.reduce.weight[:, :, 0, 0], x)
    mean, var = head.norm.running_mean.clone(), head.norm.running_var.clone()
    if training:
        mean, var = mixed.mean((0, 2, 3)), mixed.var((0, 2, 3), correction=0)
    scale = head.norm.weight / (var + 1e-5).sqrt()
    mixed = (mixed - mean[:, None, None]) * scale[:, None, None] + head.norm.bias[:, None, None]
    want = []
    for image in mixed.relu().flatten(2):
        matrix = torch.cov(image, correction=0)
        root, other = matrix / matrix.trace(), torch.eye(5, dtype=torch.float64)
        for _ in range(2):
            step = (3 * torch.eye(5, dtype=torch.float64) - other @ root) / 2
            root, other = root @ step, step @ other
        root = root * matrix.trace() ** 0.5
        want.append(torch.stack([root[i, j] for j in range(5) for i in range(j + 1)]))
    want, got = torch.stack(want), head(x)
    assert_same(got, want)
    leaves = [x, *head.parameters()]
    upstream = torch.randn_like(got)
    grads = [torch.autograd.grad(out, leaves, upstream) for out in (got, want)]
    for one, other in zip(*grads, strict=True):
        assert_same(one, other)


def test_the_head_gives_the_numbers_of_the_official_code():
    recorded = json.loads((RECORDED / "gsop_head.json").read_text())
    head = CovarianceHead(recorded["shape"][1], **recorded["options"])
    check_numbers(fill_(head.double().eval()), recorded)


@pytest.mark.parametrize(
    "make",
    [lambda: timm.create_model("resnet10t", zero_init_last=False), torchvision.models.resnet18],
)
def test_networks_learn_through_it(make):
    model = make()
    outputs = model.fc.out_features
    head = second_order_head_(model, dim=16)
    assert model.fc.in_features == head.features == 136
    assert model.fc.out_features == outputs
    out = model(torch.rand(2, 3, 64, 64))
    (out * torch.randn_like(out)).sum().backward()
    dead = [name for name, w in model.named_parameters() if w.grad is None or not w.grad.any()]
    assert dead == []
    assert all(w.grad.isfinite().all() for w in model.parameters())


def test_it_keeps_what_the_network_was():
    model = timm.create_model("resnet10t", num_classes=4, global_pool="catavgmax").eval()
    model = model.to(torch.bfloat16)
    head = second_order_head_(model, num_classes=6, dim=8)
    assert head.channels == 512
    assert not head.training
    assert not model.fc.training
    assert {w.dtype for w in model.parameters()} == {torch.bfloat16}
    out = model(torch.rand(1, 3, 64, 64, dtype=torch.bfloat16))
    assert out.shape == (1, 6)
    assert out.dtype == torch.bfloat16


def test_the_head_starts_as_the_authors_do():
    head = CovarianceHead(128, dim=32)
    assert head.reduce.weight.std().item() == pytest.approx((2 / 32) ** 0.5, rel=0.05)


def test_shapes_and_small_maps():
    head = CovarianceHead(6, dim=4).eval()
    flat = head(torch.rand(2, 6, 5, 3))
    assert flat.shape == (2, 10)
    pooled = CovarianceHead(6, dim=4, flatten=False).eval()
    pooled.load_state_dict(head.state_dict())
    assert pooled(torch.rand(2, 6, 5, 3)).shape == (2, 10, 1, 1)
    x = torch.rand(2, 6, 1, 1, requires_grad=True)
    assert torch.equal(head(x), torch.zeros(2, 10))
    head(x).sum().backward()
    assert x.grad.isfinite().all()


def test_autocast_keeps_the_statistics_exact():
    head = CovarianceHead(6, dim=4).eval()
    x = torch.rand(2, 6, 5, 3)
    reduced = []
    head.norm.register_forward_hook(lambda *args: reduced.append(args[-1].relu()))
    with torch.autocast("cpu", torch.bfloat16):
        low = head(x)
    again = CovarianceHead(4, dim=4).eval()
    nn.init.dirac_(again.reduce.weight)
    assert_same(low, again(reduced[0].float()).to(low.dtype), limit=5e-3)


def test_a_symbolic_trace_and_an_export_agree():
    head = CovarianceHead(6, dim=4).eval()
    x = torch.rand(3, 6, 5, 3)
    assert_same(torch.fx.symbolic_trace(head)(x), head(x))
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(head, (x,), dynamic_shapes=({0: batch},)).module()
    assert_same(exported(x[:2]), head(x[:2]))


def test_other_networks_are_refused():
    who = r"second_order_head_ \(MobileNetV2\) expects a network with a module avgpool"
    with torch.device("meta"):
        with pytest.raises(ValueError, match=who):
            second_order_head_(torchvision.models.mobilenet_v2())
        with pytest.raises(ValueError, match="fc Identity; use a ResNet"):
            second_order_head_(timm.create_model("resnet10t", num_classes=0))
        model = torchvision.models.resnet18()
        with pytest.raises(ValueError, match="num_classes >= 1; got 0"):
            second_order_head_(model, num_classes=0)
        second_order_head_(model)
        with pytest.raises(ValueError, match="one that has it"):
            second_order_head_(model)
    with pytest.raises(ValueError, match="CovarianceHead expects x of shape"):
        CovarianceHead(6)(torch.rand(2, 5, 4, 4))


@pytest.mark.parametrize("name", ["resnet50", "torchvision/resnet50"])
def test_whole_networks_are_built_by_name(name):
    with torch.device("meta"):
        model = foveate.create_model(name, "gsop", network="net2", num_classes=10)
        assert model(torch.empty(2, 3, 64, 64)).shape == (2, 10)
    assert list(inserted(model)) == ["layer1.2.bn3", "layer2.3.bn3", "layer3.5.bn3"]
    assert model.layer4[0].conv2.stride == (1, 1)
    assert model.fc.in_features == 32_896
    assert foveate.remove_(model).sites and model.layer4[0].conv2.stride == (2, 2)


def test_whole_networks_are_saved_and_wrong_names_refused(tmp_path):
    model = foveate.create_model("resnet18", "gsop", network="net2", num_classes=3).eval()
    x = torch.rand(1, 3, 64, 64)
    foveate.save(model, tmp_path)
    assert torch.equal(foveate.load(tmp_path)(x), model(x))
    with pytest.raises(ValueError, match=r"a network of 'gsop'; .* 'net1'"):
        foveate.create_model("resnet18", "gsop", network="net3")
    with pytest.raises(ValueError, match="only with an attention; got network"):
        foveate.create_model("resnet18", network="net1")
