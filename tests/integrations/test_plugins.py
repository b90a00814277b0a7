"""Attentions as plug-in layers, built by name as a framework does; no framework is needed."""

import pickle

import pytest
import torch
from torch import nn

import foveate
from foveate.integrations.plugins import PLUGINS, register_plugins
from support import assert_same


class Registry(dict):
    """What mmengine's does when a module registers itself."""

    def register_module(self, name, force, module):
        if name in self and not force:
            raise KeyError(name)
        self[name] = module


def test_every_attention_is_registered_and_again_without_complaint():
    registry = Registry()
    names = register_plugins(registry)
    assert register_plugins(registry) == names
    known = [*foveate.list_attentions(), *foveate.list_attentions("ablation")]
    assert names == list(registry) == [f"foveate_{name}" for name in known]
    # The prefix keeps them apart from the framework's own and from inserted gates.
    assert all(plugin.__name__ == plugin._abbr_ == name for name, plugin in registry.items())


@pytest.mark.parametrize("name", PLUGINS)
def test_every_plugin_is_its_attention(name):
    x = torch.rand(2, 16, 9, 8)
    torch.manual_seed(3)
    plugin = PLUGINS[name](in_channels=16).eval()
    torch.manual_seed(3)
    attention = foveate.create_attention(name.removeprefix("foveate_"), 16).eval()
    assert torch.equal(plugin(x), attention(x))


def test_identity_start_is_the_input_to_the_bit_and_learns():
    x = torch.randn(2, 8, 9, 7)
    plugin = PLUGINS["foveate_das"](in_channels=8, start="identity", alpha=0.5)
    assert torch.equal(plugin(x), x)
    plugin(x).square().sum().backward()
    assert plugin.openness.grad.abs() > 0
    with torch.no_grad():
        plugin.openness.fill_(1.0)
    assert_same(plugin(x), plugin.attention(x))


def test_the_host_may_initialise_by_class_and_the_plugin_starts_as_its_paper_says():
    plugin = PLUGINS["foveate_das"](in_channels=8, start="identity")
    zeros = {name for name, w in plugin.named_parameters() if not w.any()}
    assert len(zeros) > 1  # the openness, and offsets that start at zero
    for layer in plugin.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    for weight in plugin.parameters():
        nn.init.ones_(weight)
    plugin.init_weights()
    assert {name for name, w in plugin.named_parameters() if not w.any()} == zeros


def test_plugins_travel_in_pickles():
    plugin = PLUGINS["foveate_se"](in_channels=32).eval()
    x = torch.rand(1, 32, 4, 4)
    assert torch.equal(pickle.loads(pickle.dumps(plugin))(x), plugin(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": "zero"}, "foveate_das expects a known start; got 'zero'"),
        ({"alhpa": 0.1}, "das expects a known option; got 'alhpa'; did you mean 'alpha'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        PLUGINS["foveate_das"](in_channels=8, **arguments)
