"""Changes to the network around an attention: made, costed, taken back."""

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import foveate
from support import TinyResNet


@pytest.mark.parametrize(
    "build", [torchvision.models.resnet50, lambda: timm.create_model("resnet50")]
)
def test_the_last_stage_keeps_its_size_as_in_gsop_net(build):
    with torch.device("meta"):
        model = build().eval()
    image = torch.empty(1, 3, 224, 224, device="meta")
    plain = foveate.accounting.count(model).macs
    planned = foveate.plan(
        model, nn.Identity, "post_norm:last", example=image, host="last_stride_1"
    )
    assert [site.size for site in planned.sites] == [(56, 56), (28, 28), (14, 14), (14, 14)]
    assert foveate.accounting.count(model).macs == plain
    done = foveate.insert_(model, lambda c: nn.Identity(), example=image, host="last_stride_1")
    assert "the last stage that halved the map keeps its size" in str(done)
    # Measured on the authors' network without its attentions: convolutions and the classifier.
    with FlopCounterMode(display=False) as counter:
        model(image)
    assert counter.get_total_flops() / 2e9 == pytest.approx(6.209, abs=5e-4)
    removed = foveate.remove_(model)
    assert removed.host == "last_stride_1"
    assert foveate.accounting.count(model).macs == plain
    assert model.layer4[0].conv2.stride == (2, 2)


def test_a_change_is_refused_where_it_means_nothing_and_leaves_no_trace():
    model, image = TinyResNet().eval(), torch.zeros(1, 3, 16, 16)
    with pytest.raises(ValueError, match="did you mean 'last_stride_1'"):
        foveate.insert_(model, "se", example=image, host="last_stride")
    with pytest.raises(ValueError, match="host=None with an identity start"):
        foveate.insert_(model, "se", example=image, host="last_stride_1", start="identity")
    with pytest.raises(ValueError, match="patterns that match"):
        foveate.insert_(model, "se", ["nothing"], example=image, host="last_stride_1")
    assert model.layer2[0].conv1.stride == (2, 2)
    foveate.insert_(model, "se", "blocks", example=image, host="last_stride_1")
    with pytest.raises(ValueError, match="made already"):
        foveate.insert_(model, "eca", example=image, host="last_stride_1")
    foveate.insert_(model, "eca", example=image)
    foveate.remove_(model)
    assert model.layer2[0].conv1.stride == (2, 2)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
    with pytest.raises(ValueError, match="whose last stride is that of convolutions"):
        foveate.insert_(net, "se", ["1"], example=image, host="last_stride_1")


def test_gates_of_the_network_and_inserted_ones_are_no_strides():
    model = torchvision.models.regnet_y_400mf()
    image = torch.zeros(1, 3, 64, 64)
    foveate.insert_(model, "cpam", "post_norm", example=image)
    done = foveate.insert_(model, "se", "stages", example=image, host="last_stride_1")
    assert [site.size for site in done.sites] == [(16, 16), (8, 8), (4, 4), (4, 4)]
    replaced = torchvision.models.resnet18()
    foveate.insert_(replaced, lambda c, **k: nn.Conv2d(c, c, 1), "replace_conv2", example=image)
    foveate.remove_(replaced)
    foveate.insert_(replaced, "sk", ["layer4.0.conv1"], example=image)
    with pytest.raises(ValueError, match=r"got layer4.0.conv1 \(InsteadOfConv2d\)"):
        foveate.insert_(replaced, "se", example=image, host="last_stride_1")


def test_an_interrupted_insertion_leaves_nothing(monkeypatch):
    from foveate.surgery import insert as module

    model, image = TinyResNet().eval(), torch.zeros(1, 3, 16, 16)
    keys, want = list(model.state_dict()), model(torch.ones(1, 3, 16, 16))
    real, count = module.attach, [0]

    def interrupted(*args):
        count[0] += 1
        if count[0] == 3:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(module, "attach", interrupted)
    with pytest.raises(KeyboardInterrupt):
        foveate.insert_(model, "sk", example=image, host="last_stride_1")
    assert list(model.state_dict()) == keys
    assert torch.equal(model(torch.ones(1, 3, 16, 16)), want)
    assert model.layer2[0].conv1.stride == (2, 2)
    assert not any(m._forward_hooks or m._load_state_dict_pre_hooks for m in model.modules())
