"""Stereo networks: a known answer, sizes, gates, saving."""

import json

import pytest
import torch
from torch import nn

import foveate
from foveate.stereo import (
    create_stereo,
    load_stereo,
    save_stereo,
    sequence_loss,
    take_backbone_,
)
from foveate.stereo.model import network
from foveate.surgery import inserted, is_inserted_path
from support import assert_same

HEAD = {"channels": 8, "features": 8, "hidden": 8, "context": 8, "iterations": 3}


def make(attention=None, **options):
    torch.manual_seed(0)
    given = {"preset": "small", "width": 0.25, "size": (32, 64), "head": HEAD, **options}
    return create_stereo("resnet10t", attention, **given)


class Oracle(nn.Module):
    """Reads the peak of what is looked up and moves there; cells become pixels unweighed."""

    def __init__(self, radius, factor):
        super().__init__()
        self.radius, self.factor = radius, factor

    def forward(self, state, context, correlations, disparity):
        read = correlations[:, : 2 * self.radius + 1]
        # The peak lies to the left of the present match where the disparity is too small.
        return state, -(read.argmax(1, keepdim=True) - self.radius).to(disparity.dtype)

    def weights(self, state):
        shares = torch.full((len(state), 9, self.factor**2, *state.shape[2:]), -50.0)
        shares[:, 4] = 50.0
        return shares.flatten(1, 2)


@pytest.mark.parametrize("cells", [0, 2, 5])
def test_a_known_shift_is_found(cells, monkeypatch):
    """Features shifted by whole cells: the answer is that number of cells, in pixels."""
    net = make(head={**HEAD, "radius": 6}).eval()
    net.update = Oracle(net.options.radius, net.factor)
    net.describe, net.recall = nn.Identity(), nn.Conv2d(64, 16, 1)
    here = torch.randn(1, 64, 8, 16)
    monkeypatch.setattr(net, "maps", lambda left, right: (here, here.roll(-cells, dims=3)))
    with torch.no_grad():
        guess = net(torch.rand(1, 3, 30, 61), torch.rand(1, 3, 30, 61))
        # From 0 on, whole cells are found exactly.
        monkeypatch.setattr(network, "first_guess", lambda volume, reach: torch.zeros(1, 1, 8, 16))
        found = net(torch.rand(1, 3, 30, 61), torch.rand(1, 3, 30, 61))
    near = (guess - cells * net.factor)[:, :, (cells + 1) * net.factor :]
    assert near.abs().median() < 1
    assert found.shape == (1, 30, 61)
    seen = found[:, :, (cells + 1) * net.factor :]
    assert (seen == cells * net.factor).all()


def test_every_step_is_learned_from_and_only_the_last_is_told():
    net, views = make(), torch.rand(2, 2, 3, 32, 64)
    steps = net.train()(*views)
    assert [one.shape for one in steps] == [(2, 32, 64)] * 4
    with torch.no_grad():
        last = net.eval()(*views)
        assert last.shape == (2, 32, 64) and last.dtype == torch.float32
        assert not torch.equal(net(*views, 1), last)
        assert_same(net(*views, 3), last)
    with pytest.raises(ValueError, match="two views of one size"):
        net(views[0], views[1, :, :, :16])
    with pytest.raises(ValueError, match="iterations >= 1"):
        net(*views, 0)


def test_what_is_filled_up_does_not_move_a_disparity():
    """Views of any size; one that is a multiple already is not touched."""
    net = make().eval()
    views = torch.rand(2, 1, 3, 32, 64)
    with torch.no_grad():
        here, _ = net.maps(*views)
        filled, _ = net.maps(*torch.nn.functional.pad(views, (0, -9, 0, -3))[..., :29, :55])
        assert here.shape == filled.shape
        assert net(views[0, :, :, :29, :55], views[1, :, :, :29, :55]).shape == (1, 29, 55)


@pytest.mark.parametrize("attention", ["das", "cca", "dra"])
def test_the_loss_reaches_every_gate(attention):
    net = make(attention).train()
    sites = inserted(net.network)
    assert len(sites) == (4 if attention == "das" else 1)
    # Some start as the identity: what they weigh is reached once they have opened.
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if is_inserted_path(name) and parameter.numel() == 1 and not parameter.any():
                parameter.fill_(0.5)
    left, right = torch.rand(2, 2, 3, 64, 96)
    truth = torch.full((2, 64, 96), 3.0)
    sequence_loss(net(left, right), truth, truth > 0).backward()
    gates = {n: p for n, p in net.named_parameters() if is_inserted_path(n)}
    lost = [name for name, one in gates.items() if one.grad is None or not one.grad.any()]
    assert lost == []
    rest = [n for n, one in net.named_parameters() if n not in gates and one.grad is None]
    assert rest == [], "several processes wait for the gradient of every parameter"


def test_it_is_saved_and_loaded_with_equal_answers(tmp_path):
    net, views = make("das").eval(), torch.rand(2, 1, 3, 32, 64)
    save_stereo(net, tmp_path)
    again = load_stereo(tmp_path)
    with torch.no_grad():
        assert torch.equal(again(*views), net(*views))
    with pytest.raises(ValueError, match="load_stereo"):
        foveate.load(tmp_path)
    spec = json.loads((tmp_path / "model.json").read_text())
    spec["stereo"]["width"] = 0.5
    (tmp_path / "model.json").write_text(json.dumps(spec))
    with pytest.raises(ValueError, match="load_stereo expects"):
        load_stereo(tmp_path)
    with pytest.raises(ValueError, match="made by create_stereo"):
        save_stereo(nn.Identity(), tmp_path)


def test_a_classifier_gives_its_backbone(tmp_path):
    torch.manual_seed(1)
    trained = foveate.create_model("resnet10t", "das", width=0.25, num_classes=5)
    foveate.save(trained, tmp_path)
    net = make("das")
    assert take_backbone_(net, tmp_path) == []
    held, given = net.network.state_dict(), trained.state_dict()
    assert all(torch.equal(value, given[name]) for name, value in held.items())
    with pytest.raises(ValueError, match="same base network"):
        take_backbone_(make(width=0.5), tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"preset": "large"}, "a known preset"),
        ({"head": {"radios": 3}}, "radius"),
        ({"head": {"hidden": 1}}, "hidden >= 2"),
        ({"head": {"levels": 9}}, "stages of 9 resolutions"),
        ({"size": 64}, "rows, columns"),
    ],
)
def test_bad_options_are_refused(change, text):
    with pytest.raises(ValueError, match=text):
        make(**change)
