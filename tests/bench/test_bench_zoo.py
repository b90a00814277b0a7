"""The kept costs of every attention: whole, exact, and measured as they say."""

import json

import pytest

from foveate.attention import list_attentions
from foveate.bench import zoo


def test_the_kept_costs_are_whole():
    kept = zoo.read_zoo()
    assert list(kept.costs) == ["none", *list_attentions()]
    assert kept.costs["none"].params == 25_557_032
    assert all(cost.forward and cost.step for cost in kept.costs.values())


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("none", "se", "dcn", "gsop")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in ("none", *list_attentions())
    ],
)
def test_the_kept_costs_are_what_is_counted_now(name):
    kept, now = zoo.read_zoo().costs[name], zoo.count_cost(name)
    assert (kept.params, kept.macs) == (now.params, now.macs)


def test_they_are_measured_in_groups_beside_the_plain_network(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "FILE", tmp_path / "zoo.json")
    monkeypatch.setattr(zoo, "NETWORK", "resnet10t")
    monkeypatch.setattr(zoo, "SIDE", 64)
    monkeypatch.setattr(zoo, "list_attentions", lambda: ["eca", "se", "simam"])
    monkeypatch.setattr(zoo, "GROUP", 2)
    told = []
    zoo.measure_zoo(told.append, threads=1, repeats=5)
    assert told == ["eca, se", "simam"]
    kept = zoo.read_zoo()
    assert list(kept.costs) == ["none", "eca", "se", "simam"]
    assert all(0.2 < cost.forward < 20 and 0.2 < cost.step < 20 for cost in kept.costs.values())
    assert json.loads(zoo.FILE.read_text())["conditions"]["rounds"] == {"forward": 5, "step": 5}
    assert "1 thread," in zoo.plain_words()
