"""The pointing game against a loop over pixels."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_scores import plain_pointing, same, scenes

from foveate.explain.scores import pointing_game
from foveate.explain.scores.pointing import near, pointing_chance

tolerances = st.sampled_from([0, 0.5, 1, math.sqrt(2), 2, 2.5, 3, 100])


@settings(deadline=None, max_examples=200)
@given(scenes(largest=6), tolerances)
def test_it_is_the_loop_over_pixels(scene, tolerance):
    got = pointing_game(*scene, tolerance=tolerance).item()
    assert same(got, plain_pointing(scene[0][0], scene[1][0], tolerance))


@settings(deadline=None, max_examples=50)
@given(scenes(largest=6), tolerances)
def test_a_flat_map_scores_chance(scene, tolerance):
    flat = torch.full_like(scene[0], 0.5)
    want = pointing_chance(scene[1], tolerance=tolerance).item()
    assert same(pointing_game(flat, scene[1], tolerance=tolerance).item(), want)
    assert same(want, plain_pointing(flat[0], scene[1][0], tolerance))


def test_a_disc_grows_around_one_pixel():
    region = torch.zeros(1, 7, 9, dtype=torch.bool)
    region[0, 3, 4] = True
    rows = ["".join("#" if cell else "." for cell in row) for row in near(region, 2)[0].tolist()]
    assert rows == [
        ".........",
        "....#....",
        "...###...",
        "..#####..",
        "...###...",
        "....#....",
        ".........",
    ]
    assert near(region, 0) is region


@pytest.mark.parametrize("tolerance", [1, 3, 4.3, 7, 15, 1000])
def test_regions_grow_by_the_euclidean_distance_between_centers(tolerance):
    region = torch.zeros(2, 9, 21, dtype=torch.bool)
    region[0, 2, 4] = region[0, 8, 17] = region[1, 5, 0] = True
    for image in range(2):
        objects = region[image].nonzero().tolist()
        want = [
            [
                any((y - v) ** 2 + (x - u) ** 2 <= tolerance**2 for v, u in objects)
                for x in range(21)
            ]
            for y in range(9)
        ]
        assert near(region, tolerance)[image].tolist() == want


def test_ties_count_as_their_share_on_the_region():
    heat = torch.tensor([[[1.0, 1.0, 1.0, 0.5]]])
    region = torch.tensor([[[True, False, False, True]]])
    assert pointing_game(heat, region).item() == pytest.approx(1 / 3)


def test_batched_is_one_by_one_and_nan_stays_in_its_image():
    maps, regions = torch.rand(4, 6, 5), torch.rand(4, 6, 5) < 0.4
    maps[1, 2, 2], regions[2] = math.nan, False
    for tolerance in (0, 1.5):
        whole = pointing_game(maps, regions, tolerance=tolerance)
        single = [pointing_game(maps[i : i + 1], regions[i : i + 1], tolerance=tolerance)
                  for i in range(4)]  # fmt: skip
        torch.testing.assert_close(whole, torch.cat(single), equal_nan=True)
        assert whole.isnan().tolist() == [False, True, True, False]


@pytest.mark.parametrize("tolerance", [-1, math.inf, math.nan])
def test_a_wrong_tolerance_is_refused(tolerance):
    with pytest.raises(ValueError, match="pointing_game expects finite tolerance >= 0; got"):
        pointing_game(torch.rand(1, 2, 2), torch.ones(1, 2, 2).bool(), tolerance=tolerance)


def test_a_negative_map_is_refused():
    with pytest.raises(ValueError, match="pointing_game expects maps >= 0; got values from -1"):
        pointing_game(-torch.ones(1, 2, 2), torch.ones(1, 2, 2).bool())
