"""Every attention in the networks people have: inserted, trained for a step, taken out again."""

import pytest
import torch

import foveate

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
HOSTS = (
    "resnet18",
    "torchvision/resnet50",
    "mobilenetv2_100",
    pytest.param("torchvision/resnet18", marks=pytest.mark.slow),
    pytest.param("resnet50", marks=pytest.mark.slow),
    pytest.param("torchvision/mobilenet_v2", marks=pytest.mark.slow),
)


@pytest.fixture(scope="module", params=HOSTS)
def host(request):
    torch.manual_seed(0)
    model = foveate.create_model(request.param, num_classes=4)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # timm starts with residual branches that are multiplied by zero.
            if not weight.any() and name.endswith("weight"):
                weight.fill_(1.0)
    return model


@pytest.mark.parametrize("name", foveate.list_attentions())
def test_it_goes_in_learns_and_comes_out(host, name):
    before = {key: value.clone() for key, value in host.state_dict().items()}
    count = sum(weight.numel() for weight in host.parameters())
    done = foveate.insert_(host, name, example=IMAGES)
    try:
        added = [weight for weight in done.parameters() if weight.requires_grad]
        assert sum(w.numel() for w in host.parameters()) - count == done.params
        optimizer = torch.optim.SGD(added, lr=0.1) if added else None
        host.train()
        loss = torch.nn.functional.cross_entropy(host(IMAGES), torch.tensor([0, 3]))
        loss.backward()
        assert loss.isfinite()
        assert all(w.grad is not None and w.grad.isfinite().all() for w in added)
        if optimizer is not None:
            assert any(w.grad.any() for w in added)
            optimizer.step()
        assert host(IMAGES).isfinite().all()
    finally:
        host.zero_grad(set_to_none=True)
        removed = foveate.remove_(host)
        host.load_state_dict(before)  # strictly: the running statistics have moved
    assert len(removed.sites) == len(done.sites)
    assert list(host.state_dict()) == list(before)
    assert sum(weight.numel() for weight in host.parameters()) == count
