"""sfd against a loop over pixels, its bounds, and the grid of its choices."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_scores import plain_sfd, same, scenes, some_scenes

from foveate.explain.scores import sfd, sfd_grid

HEAT = torch.tensor([[[1.0, 0.0], [1.0, 0.2]]])
REGION = torch.tensor([[[True, True], [False, False]]])
choices = st.tuples(
    st.sampled_from([2.0, math.e, 10.0]),
    st.sampled_from([0.0, 0.25, 1.0]),
    st.sampled_from([0.0, 0.25, 0.5, 0.625, 1.0]),
)


@pytest.mark.parametrize(("shift", "want"), [(0.0, 11 / 21), (1.0, 9 / 18)])
def test_four_pixels_by_hand(shift, want):
    found = sfd(HEAT, REGION, shift=shift)
    assert found.score.item() == pytest.approx(want, rel=1e-14)
    assert found.chance.item() == pytest.approx(2 / 3, rel=1e-15)
    assert found.area.item() == 0.5
    assert found.outside.item() == 0.25
    assert found.score.dtype == torch.float64 and found.score.shape == (1,)


@settings(deadline=None, max_examples=150)
@given(scenes(), choices)
def test_it_is_the_loop_over_pixels(scene, choice):
    base, shift, threshold = choice
    found = sfd(*scene, base=base, shift=shift, threshold=threshold)
    got = (found.score, found.chance, found.area, found.outside)
    want = plain_sfd(scene[0][0], scene[1][0], base, shift, threshold)
    assert all(same(a.item(), b) for a, b in zip(got, want, strict=True)), (got, want)


@settings(deadline=None, max_examples=150)
@given(scenes(), choices)
def test_it_stays_between_its_bounds(scene, choice):
    base, shift, threshold = choice
    found = sfd(*scene, base=base, shift=shift, threshold=threshold)
    score, rho = found.score.item(), found.chance.item()
    if math.isnan(score):
        return
    assert 0 <= score <= 1
    assert found.outside.item() > 0 or score == 1
    if shift == 0:
        least = rho / (rho + base * (1 - rho))
        most = rho * base / (rho * base + base**threshold * (1 - rho))
        assert least - 1e-12 <= score <= most + 1e-12


def test_the_bounds_are_reached():
    region = torch.tensor([[[True, False, False]]])
    worst = sfd(torch.tensor([[[0.0, 1.0, 1.0]]]), region)
    assert worst.score.item() == pytest.approx(1 / 21)
    assert sfd(torch.tensor([[[0.0, 1.0, 1.0]]]), region, shift=1).score.item() == 0
    best = sfd(torch.tensor([[[1.0, 0.5, 0.5]]], dtype=torch.float64), region)
    assert best.score.item() == pytest.approx(10 / (10 + 2 * math.sqrt(10)))


@pytest.mark.parametrize("level", [0.5, 0.75, 1.0])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_a_flat_map_scores_chance(level, shift):
    _, regions = some_scenes()
    found = sfd(torch.full(regions.shape, level), regions, shift=shift)
    torch.testing.assert_close(found.score, found.chance, equal_nan=True)
    torch.testing.assert_close(found.chance, found.area, equal_nan=True)
    assert 0 < found.score[0] < 1


def test_a_cold_map_scores_one_and_with_a_shift_of_one_nothing():
    _, regions = some_scenes()
    cold = torch.zeros(regions.shape)
    assert sfd(cold, regions).score[0] == 1
    found = sfd(cold, regions, shift=1)
    assert found.score.isnan().all() and found.chance.isnan().all() and found.outside.isnan().all()
    assert not found.area[0].isnan()


def test_hardly_warm_pixels_keep_their_ratio_beside_a_shift_of_one():
    heat = torch.tensor([[[3e-18, 1e-18]]], dtype=torch.float64)
    score = sfd(heat, torch.tensor([[[True, False]]]), shift=1, threshold=0).score
    assert score.item() == pytest.approx(0.75)


def test_a_fixed_salient_set_takes_the_place_of_the_threshold():
    maps, regions = some_scenes()
    union = (maps >= 0.5) | (maps.flip(2) >= 0.5)
    for threshold in (0.1, 0.9):
        found = sfd(maps, regions, threshold=threshold, salient=union)
        weight = 10.0 ** maps.double()
        want = (weight * regions).sum((1, 2)) / (weight * (regions | union)).sum((1, 2))
        torch.testing.assert_close(found.score[:3], want[:3])
        share = (union & ~regions).double().mean((1, 2))
        torch.testing.assert_close(found.outside[:3], share[:3])
    own = sfd(maps, regions, salient=maps >= 0.5)
    torch.testing.assert_close(own.score, sfd(maps, regions).score, equal_nan=True)


def test_the_threshold_is_compared_in_the_dtype_of_the_maps():
    region = torch.tensor([[[True, False]]])
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        heat = torch.full((1, 1, 2), 0.7, dtype=dtype)
        assert sfd(heat, region, threshold=0.7).outside.item() == 0.5


def test_batched_is_one_by_one_and_nothing_is_changed():
    maps, regions = some_scenes()
    before = maps.clone(), regions.clone()
    whole = sfd(maps, regions)
    for name in ("score", "chance", "area", "outside"):
        for image, want in enumerate(getattr(whole, name)):
            one = sfd(maps[image : image + 1], regions[image : image + 1])
            torch.testing.assert_close(getattr(one, name)[0], want, equal_nan=True)
    assert torch.equal(maps, before[0]) and torch.equal(regions, before[1])
    assert sfd(maps[:0], regions[:0]).score.shape == (0,)


def test_nan_in_a_map_is_undefined_for_that_image_only():
    maps, regions = some_scenes()
    want = sfd(maps, regions).score
    maps[0, 0, 0] = math.nan
    found = sfd(maps, regions)
    assert found.score[0].isnan() and found.chance[0].isnan() and found.outside[0].isnan()
    assert torch.equal(found.score[1:3], want[1:3])


def test_the_grid_holds_what_sfd_gives():
    maps, regions = some_scenes()
    grid = sfd_grid(
        maps, regions, bases=(2, math.e), shifts=(0, 1), thresholds=(0.3, 0.7), chance=True
    )
    assert len(grid) == 16
    for shown, base in (("2", 2), ("e", math.e)):
        for shift in (0, 1):
            for threshold in (0.3, 0.7):
                key = f"sfd base={shown} shift={shift} threshold={threshold}"
                want = sfd(maps, regions, base=base, shift=shift, threshold=threshold)
                torch.testing.assert_close(grid[key], want.score, equal_nan=True)
                torch.testing.assert_close(grid[f"{key}:chance"], want.chance, equal_nan=True)


def test_the_grid_cuts_a_large_batch_and_takes_an_empty_one(monkeypatch):
    from foveate.explain.scores import arguments

    maps, regions = some_scenes()
    whole = sfd_grid(maps, regions)
    assert len(whole) == 18
    monkeypatch.setattr(arguments, "PIECE_PIXELS", 2 * 9 * 11 + 1)
    for key, value in sfd_grid(maps, regions).items():
        torch.testing.assert_close(value, whole[key], equal_nan=True, msg=key)
    assert all(value.shape == (0,) for value in sfd_grid(maps[:0], regions[:0]).values())


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"base": 1.0}, ValueError, "sfd expects base > 1; got 1.0"),
        ({"base": math.inf}, ValueError, "finite base >= 1; got inf"),
        ({"base": "e"}, TypeError, r"a number base; got 'e' \(str\)"),
        ({"shift": 1.5}, ValueError, r"shift in \[0, 1\]; got 1.5"),
        ({"threshold": -0.1}, ValueError, r"threshold in \[0, 1\]; got -0.1"),
        ({"threshold": math.nan}, ValueError, "threshold in"),
        ({"threshold": True}, TypeError, "a number threshold"),
        ({"salient": HEAT}, TypeError, "salient of dtype bool; got torch.float32"),
        ({"salient": REGION[:, :1]}, ValueError, "salient in the shape"),
    ],
)
def test_a_wrong_choice_says_which(options, error, words):
    with pytest.raises(error, match=words):
        sfd(HEAT, REGION, **options)


@pytest.mark.parametrize(
    ("maps", "regions", "error", "words"),
    [
        (HEAT[0], REGION, ValueError, r"maps of shape \(N, H, W\), H, W >= 1; got \(2, 2\)"),
        (HEAT[:, :, :0], REGION[:, :, :0], ValueError, "H, W >= 1"),
        (HEAT, REGION[:, :1], ValueError, r"the maps \(1, 2, 2\); got \(1, 1, 2\)"),
        (HEAT, REGION.float(), TypeError, "regions of dtype bool; got torch.float32; compare"),
        (HEAT.long(), REGION, TypeError, "maps of a floating dtype; got torch.int64"),
        (HEAT.tolist(), REGION, TypeError, "a tensor of maps; got list"),
        (HEAT, None, TypeError, "a tensor of regions; got NoneType"),
        (HEAT * 2, REGION, ValueError, r"maps in \[0, 1\]; got values from 0 to 2"),
        (HEAT - 1, REGION, ValueError, "got values from -1 to 0"),
        (HEAT / 0, REGION, ValueError, "got values from 0 to inf"),
        (HEAT, REGION.to("meta"), ValueError, "on the device of the maps, cpu; got meta"),
    ],
)
def test_wrong_maps_and_regions_are_named(maps, regions, error, words):
    with pytest.raises(error, match=words):
        sfd(maps, regions)
    with pytest.raises(error, match="sfd_grid expects"):
        sfd_grid(maps, regions)
