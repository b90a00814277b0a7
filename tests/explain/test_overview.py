"""The picture of one image: what stands in which row and column."""

import io

import numpy as np
import pytest
import torch

from foveate.explain import figures
from foveate.explain.overview import draw_overview, place_of
from foveate.explain.sampling import SiteField, regular_grid
from foveate.explain.viewer import CamMap, ViewedGate, ViewedImage, ViewedNetwork

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")

SHOWN = torch.full((3, 16, 16), 90, dtype=torch.uint8)
PLACES = torch.tensor([[3.5, 3.5], [11.5, 11.5]])


def cam(side, hot):
    heat = torch.zeros(16, 16)
    heat[hot] = 1.0
    return CamMap("stage4", side, heat, False)


def plain():
    return ViewedNetwork("none", "cat", 0.5, True, "cat", (cam("", (0, 0)),), ())


def gated():
    grid = torch.zeros(1, 9, 2, 4, 4)
    points = (regular_grid(grid) * 4 + 1.5)[None]
    field = SiteField("layer4", (4, 4), (16, 16), points, points[0], torch.rand(1, 4, 4))
    receptive = torch.zeros(2, 16, 16)
    receptive[0, :4], receptive[1, 12:] = 1.0, 1.0
    gate = ViewedGate("layer4", torch.rand(4, 4), torch.rand(4, 4), field, receptive)
    cams = (cam("before", slice(0, 8)), cam("after", slice(8, 16)))
    return ViewedNetwork("das", "dog", 0.25, False, "dog", cams, (gate,), PLACES)


def drawn(image):
    figure = draw_overview(image)
    pixels = Image.open(io.BytesIO(figures.png_bytes(figure, None))).convert("RGB")
    return figure, np.asarray(pixels).astype(float)


def cell(figure, pixels, number):
    """The pixels of one axes."""
    box = figure.axes[number].get_position()
    height, width = pixels.shape[:2]
    rows = slice(round((1 - box.y1) * height), round((1 - box.y0) * height))
    return pixels[rows, round(box.x0 * width) : round(box.x1 * width)]


def test_rows_are_networks_and_columns_what_the_last_gate_does():
    region = torch.zeros(16, 16, dtype=torch.bool)
    region[10:14, 10:14] = True
    figure, pixels = drawn(ViewedImage("a", SHOWN, (plain(), gated()), region=region))
    assert len(figure.axes) == 12
    words = " ".join(text.get_text() for text in figure.texts)
    assert "none" in words and "says dog\n25%\n(wrong)" in words
    before, after, field = (cell(figure, pixels, number) for number in (7, 8, 11))
    half = len(before) // 2
    warmth = [half_of.mean((0, 1)) for half_of in (before[:half], before[half:])]
    assert warmth[0][0] > warmth[1][0] + 30
    warmth = [half_of.mean((0, 1)) for half_of in (after[:half], after[half:])]
    assert warmth[1][0] > warmth[0][0] + 30
    # The place nearest to the region is the second, whose field is the lowest quarter.
    assert field[-len(field) // 4 :].mean() > field[: len(field) // 4].mean() + 30
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["layer4 (4x4)"]


def test_networks_without_gates_need_two_columns():
    figure, pixels = drawn(ViewedImage("a", SHOWN, (plain(),)))
    assert len(figure.axes) == 2 and not figure.legends
    assert cell(figure, pixels, 1).std() > 1


def test_the_place_is_measured_and_near_the_object():
    region = torch.zeros(16, 16, dtype=torch.bool)
    region[12:, 12:] = True
    assert place_of(ViewedImage("a", SHOWN, (gated(),)), plain()).tolist() == [7.5, 7.5]
    assert place_of(ViewedImage("a", SHOWN, (), region=region), plain()).tolist() == [13.5, 13.5]
    assert place_of(ViewedImage("a", SHOWN, (), region=region), gated()).tolist() == [11.5, 11.5]
