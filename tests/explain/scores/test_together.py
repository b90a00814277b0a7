"""All scores at once: equal to each alone, invariant where they must be, chance beside each."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_scores import scenes, some_scenes

import foveate.explain.scores as package
from foveate.explain.scores import MAP_SCORES, SCORES, ScoreSettings, arguments, score_maps, sfd
from foveate.explain.scores.overlap import iou_chance
from foveate.explain.scores.pointing import pointing_chance

OTHER = ScoreSettings(base=2.0, shift=1.0, threshold=0.3, k=0.2, iou_threshold=0.6, tolerance=2)


@pytest.mark.parametrize("chosen", [None, OTHER])
def test_each_is_what_its_function_gives(chosen):
    maps, regions = some_scenes()
    raw = maps * 5 + 1
    got = (
        score_maps(maps, raw, regions) if chosen is None else score_maps(maps, raw, regions, chosen)
    )
    use = chosen or ScoreSettings()
    options = {
        "pointing_game": {"tolerance": use.tolerance},
        "top_k_intersection": {"k": use.k},
        "iou": {"threshold": use.iou_threshold},
    }
    for name in MAP_SCORES[1:]:
        values = raw if name == "relevance_mass_accuracy" else maps
        want = getattr(package, name)(values, regions, **options.get(name, {}))
        torch.testing.assert_close(got[name], want, equal_nan=True, msg=name)
    found = sfd(maps, regions, base=use.base, shift=use.shift, threshold=use.threshold)
    for key, want in (
        ("sfd", found.score),
        ("sfd:chance", found.chance),
        ("sfd:outside", found.outside),
        ("area", found.area),
        ("iou:chance", iou_chance(maps, regions, threshold=use.iou_threshold)),
        ("pointing_game:chance", pointing_chance(regions, tolerance=use.tolerance)),
    ):
        torch.testing.assert_close(got[key], want, equal_nan=True, msg=key)


def test_the_keys_are_the_table_and_their_chance():
    maps, regions = some_scenes()
    got = score_maps(maps, maps, regions)
    keys = {*MAP_SCORES, *(f"{name}:chance" for name in MAP_SCORES), "area", "sfd:outside"}
    assert set(got) == keys
    assert all(value.shape == (5,) and value.dtype == torch.float64 for value in got.values())
    assert set(SCORES) == {*MAP_SCORES, "deletion", "insertion"}
    assert [spec.name for spec in SCORES.values()] == list(SCORES)
    assert [name for name, spec in SCORES.items() if not spec.higher_is_better] == ["deletion"]
    for spec in SCORES.values():
        assert (spec.low, spec.high) == (0, 1) and spec.title and spec.chance and spec.source


@settings(deadline=None, max_examples=100)
@given(scenes(largest=5), st.randoms(use_true_random=False))
def test_a_shuffle_of_the_pixels_changes_no_score(scene, random):
    order = list(range(scene[0].numel()))
    random.shuffle(order)
    maps, regions = (value.flatten()[order].view(value.shape) for value in scene)
    before, after = score_maps(scene[0], *scene), score_maps(maps, maps, regions)
    for key, want in before.items():
        torch.testing.assert_close(after[key], want, rtol=1e-12, atol=1e-14, equal_nan=True)


@settings(deadline=None, max_examples=100)
@given(scenes(largest=4), st.sampled_from([0.25, 0.5, 1.0]))
def test_a_flat_map_scores_its_chance_and_each_stays_in_its_range(scene, level):
    flat = torch.full_like(scene[0], level)
    for maps in (flat, scene[0]):
        found = score_maps(maps, maps * 3, scene[1])
        for name in MAP_SCORES:
            score, chance = found[name], found[f"{name}:chance"]
            assert torch.equal(score.isnan(), chance.isnan())
            if not score.isnan():
                assert SCORES[name].low <= score.item() <= SCORES[name].high
                assert maps is not flat or score.item() == pytest.approx(chance.item(), abs=1e-12)


def test_float32_and_float64_agree():
    maps, regions = some_scenes()
    single, double = (score_maps(m, m, regions) for m in (maps, maps.double()))
    for key, want in double.items():
        torch.testing.assert_close(single[key], want, rtol=1e-12, atol=0, equal_nan=True, msg=key)


def test_a_map_on_the_object_beats_chance_and_one_beside_it_does_not():
    heat = torch.zeros(2, 16, 16)
    region = torch.zeros(2, 16, 16, dtype=torch.bool)
    region[:, 2:8, 2:8] = True
    heat[0, 3:7, 3:7], heat[0, 12, 12], heat[1, 10:14, 9:13] = 1, 0.6, 1
    found = score_maps(heat, heat, region)
    for name in MAP_SCORES:
        assert found[name][0] > found[f"{name}:chance"][0], name
        assert found[name][1] < found[f"{name}:chance"][1], name


def test_an_empty_region_and_a_nan_are_undefined_throughout():
    maps, regions = some_scenes()
    found = score_maps(maps, maps, regions)
    assert all(value[3].isnan() for value in found.values())
    maps[0, 0, 0] = math.nan
    broken = score_maps(maps, maps, regions)
    for key, value in broken.items():
        assert value[0].isnan() != (key == "area"), key
        torch.testing.assert_close(value[1:], found[key][1:], equal_nan=True)


def test_a_large_batch_is_cut_and_an_empty_one_taken(monkeypatch):
    maps, regions = some_scenes()
    whole = score_maps(maps, maps * 2, regions)
    monkeypatch.setattr(arguments, "PIECE_PIXELS", 1)
    for key, value in score_maps(maps, maps * 2, regions).items():
        torch.testing.assert_close(value, whole[key], equal_nan=True, msg=key)
    empty = score_maps(maps[:0], maps[:0], regions[:0])
    assert set(empty) == set(whole) and all(value.shape == (0,) for value in empty.values())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"base": 0.5}, ValueError),
        ({"shift": -1}, ValueError),
        ({"threshold": 1.1}, ValueError),
        ({"k": 0}, ValueError),
        ({"iou_threshold": "half"}, TypeError),
        ({"tolerance": -1}, ValueError),
    ],
)
def test_settings_are_checked(options, error):
    with pytest.raises(error, match=f"ScoreSettings expects .*{next(iter(options))}"):
        ScoreSettings(**options)


def test_wrong_maps_are_named():
    maps, regions = some_scenes()
    with pytest.raises(ValueError, match="score_maps expects raw maps in the shape"):
        score_maps(maps, maps[:, :4], regions)
    with pytest.raises(ValueError, match=r"score_maps expects maps in \[0, 1\]"):
        score_maps(maps * 9, maps, regions)
    with pytest.raises(ValueError, match="score_maps expects maps >= 0"):
        score_maps(maps, -maps, regions)
    with pytest.raises(TypeError, match="score_maps expects a tensor of maps; got list"):
        score_maps(maps, maps.tolist(), regions)


MEASURE = """
import resource, torch
from foveate.explain.scores import score_maps
torch.set_num_threads(1)
maps, regions = torch.zeros(512, 224, 224), torch.zeros(512, 224, 224, dtype=torch.bool)
maps[:, 50:90, 40:80], regions[:, 60:120, 30:100] = 0.75, True
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
score_maps(maps, maps, regions)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is that of Linux")
def test_memory_does_not_grow_with_the_batch():
    run = [sys.executable, "-c", MEASURE]
    grown = int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    assert grown < 150_000, f"{grown} KiB for 512 maps of 100 MB"
