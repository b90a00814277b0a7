"""IoU against a loop over pixels, its chance against every placing of the salient pixels."""

import itertools
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_scores import plain_iou, same, scenes, some_scenes

from foveate.explain.scores import iou
from foveate.explain.scores.overlap import iou_chance


@settings(deadline=None, max_examples=150)
@given(scenes(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_it_is_the_loop_over_pixels(scene, threshold):
    want = plain_iou(scene[0][0], scene[1][0], threshold)
    assert same(iou(*scene, threshold=threshold).item(), want)


@pytest.mark.parametrize(("level", "want"), [(0.0, 0.0), (0.5, None), (1.0, None)])
def test_a_flat_map_scores_chance(level, want):
    maps, regions = some_scenes()
    flat = torch.full_like(maps, level)
    got = iou(flat, regions)
    torch.testing.assert_close(got, iou_chance(flat, regions), equal_nan=True)
    area = regions[0].double().mean().item()
    assert got[0].item() == pytest.approx(area if want is None else want)


def exact_chance(pixels, region, salient):
    """Mean IoU over every set of ``salient`` pixels."""
    inside = set(range(region))
    sets = [set(chosen) for chosen in itertools.combinations(range(pixels), salient)]
    return sum(Fraction(len(s & inside), len(s | inside)) for s in sets) / len(sets)


@pytest.mark.parametrize(("region", "salient"), [(3, 4), (6, 6), (1, 9), (8, 3)])
def test_chance_is_the_mean_over_all_places_but_for_one_pixel(region, salient):
    pixels = 12
    heat, mask = torch.zeros(1, 3, 4), torch.zeros(1, 3, 4, dtype=torch.bool)
    heat.view(-1)[:salient] = 1
    mask.view(-1)[:region] = True
    exact = float(exact_chance(pixels, region, salient))
    assert 0 < exact - iou_chance(heat, mask).item() < 1 / pixels / 4


def test_chance_is_near_the_mean_of_shuffled_maps():
    heat = torch.rand(1, 40, 40)
    region = torch.zeros(1, 40, 40, dtype=torch.bool)
    region[0, 5:25, 10:30] = True
    order = torch.stack([torch.randperm(1600) for _ in range(400)])
    shuffled = heat.flatten()[order].view(400, 40, 40)
    mean = iou(shuffled, region.expand(400, -1, -1), threshold=0.7).mean()
    assert iou_chance(heat, region, threshold=0.7).item() == pytest.approx(mean.item(), rel=0.01)


def test_batched_is_one_by_one_and_nan_stays_in_its_image():
    maps, regions = some_scenes()
    maps[1, 0, 0] = math.nan
    for score in (iou, iou_chance):
        whole = score(maps, regions)
        single = torch.cat([score(m[None], r[None]) for m, r in zip(maps, regions, strict=True)])
        torch.testing.assert_close(whole, single, equal_nan=True)
        assert whole.isnan().tolist() == [False, True, False, True, False]


def test_wrong_arguments_are_refused():
    region = torch.ones(1, 2, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"iou expects threshold in \[0, 1\]; got 2"):
        iou(torch.rand(1, 2, 2), region, threshold=2)
    with pytest.raises(ValueError, match=r"iou expects maps in \[0, 1\]"):
        iou(torch.rand(1, 2, 2) + 1, region)
