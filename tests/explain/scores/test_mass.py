"""Energy pointing game and relevance mass against sums of fractions."""

import math

import pytest
import torch
from hypothesis import given, settings
from plain_scores import plain_share, same, scenes, some_scenes

from foveate.explain.scores import energy_pointing_game, relevance_mass_accuracy

BOTH = (energy_pointing_game, relevance_mass_accuracy)


@settings(deadline=None, max_examples=150)
@given(scenes())
def test_they_are_the_sum_over_pixels(scene):
    want = plain_share(scene[0][0], scene[1][0])
    for score in BOTH:
        assert same(score(*scene).item(), want)
    assert same(relevance_mass_accuracy(scene[0] * 1024, scene[1]).item(), want)


def test_four_pixels_by_hand():
    heat = torch.tensor([[[1.0, 0.0, 1.0, 0.0]]])
    assert energy_pointing_game(heat, torch.tensor([[[True, True, False, False]]])).item() == 0.5


@pytest.mark.parametrize("score", BOTH)
def test_a_flat_map_scores_the_area_and_a_zero_map_nothing(score):
    maps, regions = some_scenes()
    area = regions.double().mean((1, 2))
    area[3] = math.nan
    torch.testing.assert_close(score(torch.full_like(maps, 0.3), regions), area, equal_nan=True)
    assert score(torch.zeros_like(maps), regions).isnan().all()


@pytest.mark.parametrize("score", BOTH)
def test_batched_is_one_by_one_and_nan_stays_in_its_image(score):
    maps, regions = some_scenes()
    maps[1, 0, 0] = math.nan
    whole = score(maps, regions)
    single = torch.cat([score(m[None], r[None]) for m, r in zip(maps, regions, strict=True)])
    torch.testing.assert_close(whole, single, equal_nan=True)
    assert whole.isnan().tolist() == [False, True, False, True, False]


def test_small_values_beside_large_ones_are_not_lost():
    # In float32 the sum of these stays at 2 ** 24.
    heat = torch.ones(1, 1, 65)
    heat[0, 0, 0] = 2.0**24
    region = torch.ones(1, 1, 65, dtype=torch.bool)
    region[0, 0, 0] = False
    assert relevance_mass_accuracy(heat, region).item() == pytest.approx(64 / (2**24 + 64), 1e-12)


def test_what_is_no_map_is_refused():
    region = torch.ones(1, 2, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"energy_pointing_game expects maps in \[0, 1\]; got"):
        energy_pointing_game(torch.full((1, 2, 2), 3.0), region)
    assert relevance_mass_accuracy(torch.full((1, 2, 2), 3.0), region).item() == 1
    with pytest.raises(ValueError, match="relevance_mass_accuracy expects maps >= 0"):
        relevance_mass_accuracy(torch.full((1, 2, 2), -3.0), region)
    with pytest.raises(ValueError, match="relevance_mass_accuracy expects finite maps"):
        relevance_mass_accuracy(torch.full((1, 2, 2), math.inf), region)
    broken = torch.tensor([[[math.nan, math.inf], [0.0, 1.0]]])
    with pytest.raises(ValueError, match="relevance_mass_accuracy expects finite maps"):
        relevance_mass_accuracy(broken, region)
    with pytest.raises(ValueError, match="relevance_mass_accuracy expects maps >= 0"):
        relevance_mass_accuracy(-broken, region)
