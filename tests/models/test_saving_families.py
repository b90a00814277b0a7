"""Many families of networks and every site come back from their folders."""

import pytest
import torch

import foveate
from foveate.surgery import SITES, inserted

pytestmark = pytest.mark.slow

FAMILIES = (
    "convnext_atto",
    "densenet121",
    "dla34",
    "efficientnet_b0",
    "ghostnet_100",
    "hardcorenas_a",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "regnety_002",
    "repvgg_a0",
    "res2net50_14w_8s",
    "resnest14d",
    "seresnet18",
    "skresnet18",
    "torchvision/googlenet",
    "torchvision/mobilenet_v2",
    "torchvision/resnet18",
    "torchvision/shufflenet_v2_x0_5",
    "torchvision/squeezenet1_1",
    "vgg11_bn",
)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_comes_back(tmp_path, name):
    example = torch.zeros(1, 3, 96, 96)
    model = foveate.create_model(name, "das", "stages", num_classes=4, example=example)
    check(model, tmp_path)


@pytest.mark.parametrize("site", sorted(SITES))
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_050"])
def test_a_site_comes_back(tmp_path, name, site):
    attention = "dcnv2" if site == "replace_conv2" else "se"
    example = torch.zeros(1, 3, 96, 96)
    check(foveate.create_model(name, attention, site, num_classes=4, example=example), tmp_path)


def check(model, folder):
    """Give every weight another value, save, load, and compare all bits of the output."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.state_dict().values():
            if weight.is_floating_point():
                weight.mul_(1 + 0.1 * torch.rand(weight.shape, generator=generator))
    model.eval()
    x = torch.rand(2, 3, 96, 96, generator=generator)
    loaded = foveate.load(foveate.save(model, folder))
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))
    assert list(inserted(loaded)) == list(inserted(model)) != []
    loaded.train()
