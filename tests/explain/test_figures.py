"""Pictures that stay small and keep the colors that matter."""

import io

import numpy as np
import pytest
import torch

from foveate.explain import figures
from foveate.explain.sampling import SitePoints

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


def pixels_of(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_small_markers_keep_their_color_among_many_shades():
    figure = figures.new_figure(3.0, 3.0, dpi=100)
    ax = figure.add_axes((0, 0, 1, 1))
    shades = np.random.default_rng(0).normal(0.4, 0.1, (60, 60, 1)) + np.array([0.0, 0.1, 0.12])
    ax.imshow(np.clip(shades, 0, 1))
    for number, (color, marker) in enumerate(figures.STAGES):
        ax.scatter([10 * number + 10], [30], s=60, c=color, marker=marker)
    exact, small = figures.png_bytes(figure, None), figures.png_bytes(figure)
    assert len(small) < len(exact) / 2
    exact, small = pixels_of(exact), pixels_of(small)
    for color, _ in figures.STAGES:
        wanted = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)])
        marked = (exact == wanted).all(-1)
        assert marked.sum() > 20
        assert np.abs(small[marked] - wanted).max() <= 16


def drawn(draw):
    figure = figures.new_figure(2.0, 2.0, dpi=50)
    ax = figure.add_axes((0, 0, 1, 1))
    result = draw(ax)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(float), result


def test_heat_glows_where_the_map_is_hot():
    image = torch.full((3, 10, 10), 120, dtype=torch.uint8)
    heat = torch.zeros(10, 10)
    heat[:5, :5] = 1.0
    pixels, _ = drawn(lambda ax: figures.draw_heat(ax, image, heat))
    hot, cold = pixels[10:40, 10:40].mean((0, 1)), pixels[60:90, 60:90].mean((0, 1))
    assert hot[0] - cold[0] > 80 and np.ptp(cold) < 15


def test_points_outside_the_image_are_counted_not_drawn():
    image = torch.full((3, 10, 10), 120, dtype=torch.uint8)
    inside, outside = [[5.0, 5.0]] * 7, [[-3.0, 5.0], [5.0, 40.0]]
    points = torch.tensor([inside + outside])
    site = SitePoints("s", (5, 5), torch.tensor([[2.0, 2.0]]), points, points, torch.ones(1, 5, 5))
    pixels, lost = drawn(lambda ax: figures.draw_points(ax, image, [site], 0))
    assert lost == 2
    plain, _ = drawn(lambda ax: figures.draw_image(ax, image, dim=0.45))
    changed = np.abs(pixels - plain).max(-1) > 30
    assert changed[48:62, 48:62].any(), "the point at (5, 5) is missing"
    assert changed[18:32, 18:32].any(), "the cross at (2, 2) is missing"
    assert not changed[70:, :].any()


def test_wrong_images_are_named():
    with pytest.raises(ValueError, match="uint8"):
        drawn(lambda ax: figures.draw_image(ax, torch.rand(3, 4, 4)))
    image = torch.zeros(3, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match="image's size"):
        drawn(lambda ax: figures.draw_heat(ax, image, torch.rand(5, 4)))
