"""Class maps in color: what each pixel of a picture shows."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from foveate.segmentation.data import IGNORED
from foveate.segmentation.drawing import draw_maps_sheet, mask_png, overlay, palette

NAMES = ("background", *"abcdefghij")


def test_colors_of_classes_differ_and_the_background_is_black():
    table = palette(NAMES)
    used = [tuple(row) for row in table[: len(NAMES)].tolist()]
    assert used[0] == (0, 0, 0) and len(set(used)) == len(NAMES)
    assert tuple(table[IGNORED].tolist()) == (128, 128, 128)
    assert tuple(palette(("sky", "sea"))[0].tolist()) != (0, 0, 0)


def test_an_overlay_colors_objects_and_leaves_the_background():
    image = torch.full((3, 4, 4), 100, dtype=torch.uint8)
    classes = torch.zeros(4, 4, dtype=torch.uint8)
    classes[1, 2] = 3
    shown = overlay(image, classes, NAMES)
    want = (0.4 * 100 + 0.6 * palette(NAMES)[3].float()).round().to(torch.uint8)
    assert torch.equal(shown[:, 1, 2], want)
    shown[:, 1, 2] = 100
    assert torch.equal(shown, image)
    with pytest.raises(ValueError, match="one size"):
        overlay(image, classes[:3], NAMES)


def test_a_mask_keeps_its_numbers_and_shows_their_colors():
    classes = torch.tensor([[0, 3], [IGNORED, 10]], dtype=torch.uint8)
    picture = Image.open(io.BytesIO(mask_png(classes, NAMES)))
    assert picture.mode == "P" and np.asarray(picture).tolist() == classes.tolist()
    assert picture.convert("RGB").getpixel((1, 0)) == tuple(palette(NAMES)[3].tolist())


def test_a_sheet_has_a_panel_per_map_and_a_legend():
    image = torch.full((3, 32, 32), 100, dtype=torch.uint8)
    classes = torch.full((32, 32), 2, dtype=torch.uint8)
    one = Image.open(io.BytesIO(draw_maps_sheet(image, [("found", classes)], NAMES)))
    two = Image.open(io.BytesIO(draw_maps_sheet(image, [("x", classes), ("y", classes)], NAMES)))
    bare = Image.open(io.BytesIO(draw_maps_sheet(image, [("found", classes * 0)], NAMES)))
    assert one.width == 2 * 320 + 8 and two.width == 3 * 320 + 16
    assert one.height > bare.height, "the legend names the class that is there"
    color = tuple(palette(NAMES)[2].tolist())
    below = np.asarray(one)[bare.height :]
    assert (below == color).all(axis=2).sum() > 50
