"""Generated pairs: what is at x in the left view is at x - disparity in the right one."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
import torch

from foveate.data.scenes.layers import VISIBLE, disparity_of, paint_view
from foveate.data.scenes.stereo import StereoOptions, StereoScenes

SCENES = StereoScenes("train", size=40, width=64, options=StereoOptions(max_disparity=10, pieces=5))


def digest(scenes, index):
    pair = scenes[index]
    parts = (pair.left, pair.right, pair.disparity, pair.occluded)
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()


def pure(layers, y, x, right):
    """Where a view shows one layer alone: no soft edge is at the position."""
    found = np.ones(np.broadcast_shapes(y.shape, x.shape), bool)
    y, x = np.broadcast_arrays(y, x)
    for layer in layers[1:]:
        cover = np.zeros(y.shape)
        there = layer.from_right(y, x) if right else x
        near = layer.is_near(y, there)
        cover[near] = layer.cover(y[near], there[near])
        found &= (cover <= 0) | (cover >= 1)
    return found


def test_pairs_are_functions_of_seed_split_and_index_alone():
    some = [digest(SCENES, index) for index in (3, 0)]
    again = StereoScenes("train", size=40, width=64, count=7, options=SCENES.options)
    assert [digest(again, index) for index in (3, 0)] == some
    others = [StereoScenes("val", size=40, width=64), StereoScenes("train", size=40, seed=1)]
    assert len({*some, *(digest(one, 3) for one in others)}) == 4


@pytest.mark.parametrize("index", range(4))
def test_the_right_view_shows_the_same_one_disparity_to_the_left(index):
    """Exact at sub-pixel positions, for slanted layers too; flipped or shifted it is not."""
    layers, (y, x) = SCENES.plan(index), SCENES.centers
    disparity, hidden = disparity_of(layers, y, x, SCENES.width)
    left = paint_view(layers, y, x, right=False)

    def error(there):
        seen = ~hidden & pure(layers, y, x, False) & pure(layers, y, there, True)
        assert seen.mean() > 0.3
        return np.abs(paint_view(layers, y, there, right=True) - left)[:, seen].max()

    assert error(x - disparity) < 1e-9
    assert error(x + disparity) > 0.05
    assert error(x - disparity + 1) > 0.05


def test_warping_the_right_image_gives_the_left_one():
    """With whole disparities and nothing slanted, pixel for pixel."""
    layers, (y, x) = SCENES.plan(1), SCENES.centers
    from dataclasses import replace

    flat = [replace(one, disparity=float(round(one.disparity)), slant=(0.0, 0.0)) for one in layers]
    disparity, hidden = disparity_of(flat, y, x, SCENES.width)
    left, right = (paint_view(flat, y, x, right=view) for view in (False, True))
    columns = np.clip((x - disparity - 0.5).astype(int), 0, SCENES.width - 1)
    there = np.take_along_axis(right, np.broadcast_to(columns, right.shape), axis=2)
    seen = ~hidden & pure(flat, y, x, False) & pure(flat, y, columns + 0.5, True)
    assert seen.mean() > 0.4
    np.testing.assert_allclose(there[:, seen], left[:, seen], atol=1e-9)


def test_the_written_pixels_warp_onto_each_other():
    pair = SCENES[2]
    place = torch.arange(64) - pair.disparity
    low = place.floor().clamp(0, 62).long()
    share = (place - low).clamp(0, 1)
    right = pair.right.float()
    there = [right.gather(2, (low + step).expand_as(right)) for step in (0, 1)]
    warped = there[0] * (1 - share) + there[1] * share
    gap = (warped - pair.left).abs().mean(0)[~pair.occluded]
    wrong = (right - pair.left).abs().mean(0)[~pair.occluded]
    assert gap.median() < 3 < 3 * gap.median() < wrong.median() + 6
    assert gap.mean() < 0.5 * wrong.mean()


@pytest.mark.parametrize("index", range(3))
def test_a_pixel_is_hidden_if_the_right_view_shows_something_else_there(index):
    """Against a search from the near to the far layer at every place of the right view."""
    layers, (y, x) = SCENES.plan(index), SCENES.centers
    disparity, hidden = disparity_of(layers, y, x, SCENES.width)

    def shown(row, column, right):
        for place in reversed(range(len(layers))):
            layer = layers[place]
            point = np.array([row]), np.array([column])
            there = layer.from_right(*point) if right else point[1]
            if layer.is_near(point[0], there)[0] and layer.cover(point[0], there)[0] >= VISIBLE:
                return place
        raise AssertionError

    rows = range(0, SCENES.size, 5)
    for i in rows:
        for j in range(SCENES.width):
            here = shown(i + 0.5, j + 0.5, False)
            there = j + 0.5 - disparity[i, j]
            inside = 0.5 <= there <= SCENES.width - 0.5
            assert hidden[i, j] == (not inside or shown(i + 0.5, there, True) != here)


def test_no_layer_cuts_another_and_none_reaches_the_largest_disparity():
    for slant in (0.0, 1.0):
        scenes = StereoScenes("val", size=48, options=StereoOptions(slant=slant, pieces=6))
        for index in range(10):
            layers, (y, x) = scenes.plan(index), scenes.centers
            planes = []
            for layer in layers:
                near = layer.is_near(*np.broadcast_arrays(y, x))
                planes.append(layer.disparity_at(y, x)[near])
            assert planes[0].min() >= -1e-9
            for far, close in pairwise(planes):
                if len(close) and len(far):
                    assert far.max() <= close.min() + 1e-9
            assert max(plane.max(initial=0) for plane in planes) < 16


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"slant": 2.0}, "slant in"),
        ({"max_disparity": 0.0}, "max_disparity in"),
        ({"pieces": -1}, "pieces >= 0"),
        ({"texture": "rough"}, "a number texture"),
    ],
)
def test_options_out_of_range_are_refused(change, text):
    with pytest.raises((ValueError, TypeError), match=text):
        StereoOptions(**change)


@pytest.mark.parametrize(("size", "width", "pieces"), [(64, 64, 1), (64, 24, 3)])
def test_no_surface_is_steep_enough_to_be_mirrored(size, width, pieces):
    options = StereoOptions(max_disparity=192, pieces=pieces, slant=1)
    scenes = StereoScenes("val", size=size, width=width, count=20, options=options)
    assert all(abs(one.slant[0]) < 1 for index in range(20) for one in scenes.plan(index))
