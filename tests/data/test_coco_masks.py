"""COCO's forms of a mask, against text that COCO's own tools wrote and masks drawn by hand."""

import numpy as np
import pytest
import torch

from foveate.data.coco import encode_mask
from foveate.data.coco_masks import decode_segmentation, expand_runs, fill_boxes, fill_polygon
from foveate.data.coco_turns import turn_boxes, turn_masks

# What pycocotools 2.0.11 made of these masks.
SPOTS = torch.tensor(
    [
        [1, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 1, 0],
        [0, 0, 1, 0, 1, 1, 0],
        [0, 0, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    dtype=torch.bool,
)
SPOTS_TEXT = "01:2HNO012004"
FRAME_TEXT = (
    "[6S150000000000000000000000000000TO5;KE5;KE5;KE5;KE5;KE5;KE5;KE5;KE5;KE5;K"
    "a00000000000000000000000000000U6"
)


def frame():
    mask = torch.zeros(40, 50, dtype=torch.bool)
    mask[3:38, 5:45] = True
    mask[10:20, 20:30] = False
    return mask


@pytest.mark.parametrize(
    ("mask", "text"), [(SPOTS, SPOTS_TEXT), (frame(), FRAME_TEXT)], ids=["spots", "frame"]
)
def test_run_lengths_as_text_are_those_of_the_official_tools(mask, text):
    runs = encode_mask(mask)
    assert expand_runs(text) == runs["counts"]
    packed = {"size": list(mask.shape), "counts": text}
    assert torch.equal(decode_segmentation(packed, *mask.shape), mask)
    assert torch.equal(decode_segmentation(runs, *mask.shape), mask)


@pytest.mark.parametrize(
    ("packed", "text"),
    [
        ({"size": [5, 7], "counts": "01:2HNO01200"}, "sum to 5\\*7; got"),
        ({"size": [5, 7], "counts": "01:2HNO01200S"}, "end inside a number"),
        ({"size": [5, 7], "counts": "01 2"}, "letter ' '"),
        ({"size": [7, 5], "counts": SPOTS_TEXT}, "image of 5x7"),
        ({"size": [5, 7]}, "run lengths"),
        ({"size": [5, 7], "counts": [40, -5]}, "below 0"),
        ("text", "none of an image of 5x7"),
        ([[1, 1, 2]], "a polygon of 3 numbers"),
        ([[1, 1, 2, 2, 3, float("nan")]], "a polygon of 6 numbers"),
        ([[1, 1, 2, 2, 3, 3, 4]], "a polygon of 7 numbers"),
    ],
)
def test_damaged_masks_are_refused(packed, text):
    with pytest.raises(ValueError, match=text):
        decode_segmentation(packed, 5, 7)


def test_polygons_hold_the_pixels_whose_centers_they_hold():
    rectangle = fill_polygon([1, 1, 4, 1, 4, 3, 1, 3], 5, 6)
    want = torch.zeros(5, 6, dtype=torch.bool)
    want[1:3, 1:4] = True
    assert torch.equal(rectangle, want)
    assert torch.equal(fill_polygon([1, 3, 4, 3, 4, 1, 1, 1], 5, 6), want), "the other way round"
    assert fill_polygon([-9, -9, 99, -9, 99, 99, -9, 99], 5, 6).all()
    assert not fill_polygon([7, 0, 9, 0, 9, 5, 7, 5], 5, 6).any()
    triangle = fill_polygon([0, 0, 4, 0, 0, 4], 4, 4)
    rows, columns = torch.meshgrid(torch.arange(4) + 0.5, torch.arange(4) + 0.5, indexing="ij")
    assert torch.equal(triangle & (rows + columns != 4), rows + columns < 4)


def test_polygons_agree_with_a_test_of_each_pixel():
    rng = np.random.default_rng(0)
    for _ in range(20):
        corners = rng.uniform(-5, 35, size=(rng.integers(3, 9), 2))
        mask = fill_polygon(corners.reshape(-1).tolist(), 24, 30)
        for y, x in rng.integers(0, (24, 30), size=(40, 2)):
            # Winding by even and odd: a ray to the right of the center crosses the outline.
            inside = False
            for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
                if (y1 > y + 0.5) != (y2 > y + 0.5):
                    inside ^= x + 0.5 < x1 + (y + 0.5 - y1) * (x2 - x1) / (y2 - y1)
            assert bool(mask[y, x]) == bool(inside)


def test_several_polygons_are_one_mask():
    parts = [[0, 0, 2, 0, 2, 2, 0, 2], [1, 1, 3, 1, 3, 3, 1, 3]]
    mask = decode_segmentation(parts, 4, 4)
    assert int(mask.sum()) == 7 and mask[1, 1]


def test_boxes_are_filled_half_open():
    masks = fill_boxes(torch.tensor([[1.0, 0, 3, 2], [2, 2, 2, 9], [-4, -4, 1, 1]]), 4, 5)
    assert masks.shape == (3, 4, 5) and masks.flatten(1).sum(1).tolist() == [4, 0, 1]
    assert masks[0, :2, 1:3].all() and fill_boxes(torch.zeros(0, 4), 4, 5).shape == (0, 4, 5)


@pytest.mark.parametrize("turn", range(1, 9))
def test_masks_and_boxes_turn_as_pillow_turns_photos(turn, tmp_path):
    from PIL import Image

    from foveate.data.images import read_image

    mask = torch.zeros(12, 20, dtype=torch.bool)
    mask[2:5, 3:12] = True
    mask[2:9, 3:5] = True
    exif = Image.Exif()
    exif[0x0112] = turn
    file = tmp_path / "photo.png"
    Image.fromarray(mask.numpy().astype(np.uint8) * 255).save(file, exif=exif)
    upright = read_image(file)[0] > 127
    turned = turn_masks(mask[None], turn)[0]
    assert torch.equal(turned, upright)
    box = turn_boxes(torch.tensor([[3.0, 2.0, 12.0, 9.0]]), (12, 20), turn)
    rows, columns = torch.nonzero(upright, as_tuple=True)
    tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert box[0].int().tolist() == [int(edge) for edge in tight]
