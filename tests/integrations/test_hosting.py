"""Gates in a backbone that freezes and initialises itself, as detection frameworks make them."""

import copy
import pickle

import pytest
import torch
from torch import nn

import foveate
from foveate.integrations.hosting import host_gates_
from foveate.surgery import set_openness_
from support import TinyResNet


class Backbone(TinyResNet):
    """Freezes its first stages and its norms whenever it is set to training."""

    def __init__(self, frozen=1, checkpoint=None):
        super().__init__(width=8)
        self.frozen, self.checkpoint = frozen, checkpoint
        self._freeze()

    def _freeze(self):
        for number in range(1, self.frozen + 1):
            stage = self.get_submodule(f"layer{number}").eval()
            stage.requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        self._freeze()
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    def init_weights(self):
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.ones_(module.weight)
        if self.checkpoint is not None:
            self.load_state_dict(self.checkpoint, strict=False)

    def forward(self, x):
        first = self.layer1(self.stem(x))
        return first, self.layer2(first)


IMAGE = torch.rand(2, 3, 32, 32)


def gates_of(backbone):
    return {name: w for name, w in backbone.named_parameters() if "foveate" in name}


def test_the_backbone_stays_itself_and_published_weights_load_strictly():
    published = Backbone().state_dict()
    plain = Backbone()
    plain.load_state_dict(published)
    backbone = Backbone()
    assert host_gates_(backbone, "das", start="identity") is backbone
    assert isinstance(backbone, Backbone)
    backbone.load_state_dict(published)
    plain.eval(), backbone.eval()
    assert all(map(torch.equal, backbone(IMAGE), plain(IMAGE)))
    set_openness_(backbone, 1.0)
    assert not any(map(torch.equal, backbone(IMAGE), plain(IMAGE)))


def test_gates_learn_where_stages_and_norms_are_frozen():
    backbone = host_gates_(Backbone(), "bam", "stages", start="identity")
    with torch.no_grad():
        set_openness_(backbone, 0.5)
    for mode in (True, False, True):
        backbone.train(mode)
    assert all(weight.requires_grad for weight in gates_of(backbone).values())
    gated = [m for n, m in backbone.named_modules() if "foveate" in n]
    assert all(module.training for module in gated)
    own = [(n, m) for n, m in backbone.named_modules() if "foveate" not in n]
    assert not any(m.training for n, m in own if isinstance(m, nn.BatchNorm2d))
    assert not any(m.training for n, m in own if n.startswith("layer1"))
    assert not any(w.requires_grad for n, m in own if n == "layer1.0" for w in m.parameters())
    sum(out.square().mean() for out in backbone(IMAGE)).backward()
    missing = [name for name, weight in gates_of(backbone).items() if weight.grad is None]
    assert missing == []
    assert backbone.layer1[0].conv1.weight.grad is None
    assert backbone.layer2[0].conv1.weight.grad is not None
    backbone.eval()
    assert not any(module.training for module in gated)


def test_gates_that_are_frozen_by_hand_stay_so():
    backbone = host_gates_(Backbone(), "se", "stages")
    for weight in gates_of(backbone).values():
        weight.requires_grad_(False)
    backbone.train()
    assert not any(weight.requires_grad for weight in gates_of(backbone).values())


def test_initialising_the_backbone_leaves_the_gates_as_their_paper_starts_them():
    backbone = host_gates_(Backbone(), "das")
    before = {name: weight.clone() for name, weight in gates_of(backbone).items()}
    backbone.init_weights()
    assert (backbone.layer2[0].conv1.weight == 1).all()
    assert all(torch.equal(weight, before[name]) for name, weight in gates_of(backbone).items())


def test_a_checkpoint_without_gates_spares_them_and_one_with_gates_fills_them():
    trained = host_gates_(Backbone(), "das", start="identity")
    with torch.no_grad():
        for weight in trained.parameters():
            weight.fill_(0.5)
    state = trained.state_dict()
    plain = {key: value for key, value in state.items() if "foveate" not in key}
    for checkpoint, gate in ((plain, 0.0), (state, 0.5)):
        backbone = host_gates_(Backbone(checkpoint=checkpoint), "das", start="identity")
        hooks = list(backbone._load_state_dict_pre_hooks)
        backbone.init_weights()
        assert (backbone.layer2[1].conv1.weight == 0.5).all()
        assert backbone.layer2[1].foveate.openness == gate
        assert list(backbone._load_state_dict_pre_hooks) == hooks


@pytest.mark.parametrize("travel", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_pickles_are_hosts_too(travel):
    backbone = host_gates_(Backbone(), "das", start="identity")
    set_openness_(backbone, 0.5)
    other = travel(backbone)
    assert type(other) is type(backbone)
    backbone.eval(), other.eval()
    assert all(map(torch.equal, other(IMAGE), backbone(IMAGE)))
    set_openness_(other, 0.0)
    assert backbone.layer1[1].foveate.openness == 0.5
    other.train()
    assert all(weight.requires_grad for weight in gates_of(other).values())


def test_a_network_that_cannot_initialise_itself_still_cannot():
    backbone = host_gates_(TinyResNet(), "se", "stages")
    before = {name: weight.clone() for name, weight in backbone.named_parameters()}
    backbone.init_weights()
    assert all(torch.equal(weight, before[name]) for name, weight in backbone.named_parameters())


@pytest.mark.parametrize(
    ("where", "stages", "found"),
    [
        ("stages", (False, True), ["layer2"]),
        (None, (True, False), ["layer1"]),
        ("blocks:first+post_norm:last", (False, True), ["layer2.0", "layer2.1.bn2"]),
        (["layer2.0"], None, ["layer2.0"]),
    ],
)
def test_stages_are_chosen_by_bools(where, stages, found):
    backbone = host_gates_(Backbone(), "das", where, stages=stages)
    assert list(foveate.surgery.inserted(backbone)) == found


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (ValueError, {"stages": (True,)}, r"one bool for each of layer1, layer2, .*got \(True,\)"),
        (ValueError, {"stages": (False, False)}, "one of them True"),
        (TypeError, {"stages": (1, 2)}, "True or False for each of stages; got 1"),
        (ValueError, {"stages": (True, True), "where": "stages@2"}, "in where, not both"),
        (ValueError, {"stages": (True, True), "where": ["layer1"]}, "in where, not both"),
        (ValueError, {"attention": "dass"}, "did you mean 'das'"),
        (ValueError, {"alhpa": 1}, "did you mean 'alpha'"),
        (ValueError, {"size": 96}, "FoveateBackbone expects size as a sequence of sides; got 96"),
        (ValueError, {"size": (96, 96)}, r"\(channels, height, width\); got \(96, 96\)"),
        (ValueError, {"size": (4, 96, 96)}, "a model that runs on the example"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_changed(error, arguments, message):
    backbone = Backbone()
    with pytest.raises(error, match=message):
        host_gates_(backbone, **arguments)
    assert type(backbone) is Backbone
    assert gates_of(backbone) == {}


def test_remove_gives_the_network_back():
    backbone = Backbone()
    before = copy.deepcopy(backbone.state_dict())
    host_gates_(backbone, "das")
    foveate.remove_(backbone)
    assert backbone.state_dict().keys() == before.keys()
    backbone.train()
    assert not backbone.layer1.training and backbone.layer2.training


def test_a_host_takes_a_second_attention_at_other_sites():
    backbone = host_gates_(host_gates_(Backbone(), "das"), "se", "post_norm", start="identity")
    assert len(foveate.surgery.inserted(backbone)) == 6
    assert type(backbone).__name__ == "GatedBackbone"
