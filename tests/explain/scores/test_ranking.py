"""Rank accuracy, top-k and ROC area against enumeration and counted pairs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_scores import plain_auc, plain_top, same, scenes, some_scenes

from foveate.explain.scores import localization_auc, relevance_rank_accuracy, top_k_intersection

ALL = (relevance_rank_accuracy, top_k_intersection, localization_auc)


@settings(deadline=None, max_examples=200)
@given(scenes())
def test_rank_accuracy_is_the_mean_over_all_orders(scene):
    count = int(scene[1].sum())
    want = plain_top(scene[0][0], scene[1][0], count) if count else math.nan
    assert same(relevance_rank_accuracy(*scene).item(), want)


@settings(deadline=None, max_examples=200)
@given(scenes(), st.sampled_from([0.01, 0.05, 0.3, 0.5, 0.8, 1.0]))
def test_top_k_is_the_mean_over_all_orders(scene, k):
    count = max(1, round(k * scene[0].numel()))
    want = plain_top(scene[0][0], scene[1][0], count) if scene[1].any() else math.nan
    assert same(top_k_intersection(*scene, k=k).item(), want)


@settings(deadline=None, max_examples=200)
@given(scenes(largest=6))
def test_roc_area_is_the_share_of_won_pairs(scene):
    assert same(localization_auc(*scene).item(), plain_auc(scene[0][0], scene[1][0]))


def test_a_larger_image_agrees_too():
    maps, regions = some_scenes()
    for image in (0, 1, 2):
        one = maps[image : image + 1], regions[image : image + 1]
        assert same(localization_auc(*one).item(), plain_auc(one[0][0], one[1][0]))


def test_by_hand():
    heat = torch.tensor([[[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]]])
    region = torch.tensor([[[1, 0, 1, 1, 0, 0, 0, 0, 0, 0]]]).bool()
    assert relevance_rank_accuracy(heat, region).item() == pytest.approx(2 / 3)
    assert top_k_intersection(heat, region, k=0.1).item() == 1
    assert top_k_intersection(heat, region, k=0.2).item() == 0.5
    assert top_k_intersection(heat, region, k=1).item() == pytest.approx(0.3)
    assert localization_auc(heat, region).item() == pytest.approx(19 / 21)
    assert localization_auc(1 - heat, region).item() == pytest.approx(2 / 21)


@pytest.mark.parametrize("score", ALL)
def test_a_flat_map_scores_chance(score):
    _, regions = some_scenes()
    got = score(torch.full(regions.shape, 0.25), regions)
    want = regions.double().mean((1, 2))
    if score is localization_auc:
        want[:], want[4] = 0.5, math.nan
    want[3] = math.nan
    torch.testing.assert_close(got, want, equal_nan=True)


@pytest.mark.parametrize("score", ALL)
def test_only_the_order_matters(score):
    maps, regions = some_scenes()
    want = score(maps.double(), regions)
    assert torch.equal(score(maps.double() ** 3 * 7, regions)[:3], want[:3])


@pytest.mark.parametrize("score", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_dtype_scores_as_its_values_in_float64(score, dtype):
    maps, regions = some_scenes()
    maps = maps.to(dtype)
    torch.testing.assert_close(score(maps, regions), score(maps.double(), regions), equal_nan=True)


@pytest.mark.parametrize("score", ALL)
def test_batched_is_one_by_one_and_nan_stays_in_its_image(score):
    maps, regions = some_scenes()
    maps[0, 3, 3] = math.nan
    before = maps.clone()
    whole = score(maps, regions)
    single = torch.cat([score(m[None], r[None]) for m, r in zip(maps, regions, strict=True)])
    torch.testing.assert_close(whole, single, equal_nan=True)
    assert whole[[0, 3]].isnan().all() and not whole[[1, 2]].isnan().any()
    assert whole.dtype == torch.float64 and score(maps[:0], regions[:0]).shape == (0,)
    assert torch.equal(maps.nan_to_num(9), before.nan_to_num(9))


@pytest.mark.parametrize("k", [0, 1.5, math.nan, -1])
def test_a_wrong_share_is_refused(k):
    with pytest.raises(ValueError, match="top_k_intersection expects k in"):
        top_k_intersection(torch.rand(1, 2, 2), torch.ones(1, 2, 2).bool(), k=k)


@pytest.mark.parametrize("score", ALL)
def test_an_error_names_the_score(score):
    with pytest.raises(ValueError, match=f"{score.__name__} expects maps >= 0"):
        score(-torch.ones(1, 2, 2), torch.ones(1, 2, 2).bool())
