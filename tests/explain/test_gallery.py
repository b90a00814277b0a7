"""The folder of pictures: what is drawn, of which images, and what is said without captum."""

import json
import sys

import numpy as np
import pytest
import torch

import foveate
from foveate.data import Annotation, Sample, Unreadable
from foveate.explain import figures, write_gallery
from foveate.explain.sampling import SitePoints

Image = pytest.importorskip("PIL.Image")


class Data:
    """Six images of two classes; the first cannot be read; a known object."""

    classes = ("plus", "minus")

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index == 0:
            return Unreadable(0, "broken.png", "empty file")
        generator = torch.Generator().manual_seed(index)
        image = torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8, generator=generator)
        return Sample(image, int(index > 4), index, f"image-{index}")

    def annotation(self, index):
        boxes = torch.tensor([[4.0, 10.0, 12.0, 20.0]])
        mask = torch.zeros(32, 32, dtype=torch.bool)
        return Annotation(boxes, torch.zeros(1), mask, mask[None])


def prepare(image):
    return image, image.float() / 255


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    options = {"num_classes": 2, "stem": "small", "width": 0.25}
    return {
        name: foveate.create_model("resnet10t", name, **options).eval() for name in ("none", "das")
    }


def test_every_image_has_its_pictures(models, tmp_path):
    pytest.importorskip("captum")
    path = write_gallery(models, Data(), tmp_path / "explain", prepare, count=3, seed=5)
    index = json.loads(path.read_text())
    assert index["seed"] == 5 and index["notes"] == []
    # Classes in turn, never the unreadable one.
    assert [image["class"] for image in index["images"]] == ["plus", "minus", "plus"]
    assert [image["name"] for image in index["images"]] == ["image-1", "image-5", "image-2"]
    for image in index["images"]:
        kinds = [(panel["kind"], panel["variant"]) for panel in image["panels"]]
        assert kinds == [
            ("image", ""), ("grad-cam", "none"), ("grad-cam", "das"), ("gate", "das"),
            ("points", "das"),
        ]  # fmt: skip
        for panel in image["panels"]:
            pixels = np.asarray(Image.open(path.parent / panel["file"]).convert("RGB"))
            assert pixels.std() > 10, f"{panel['file']} is blank"
            assert panel["alt"] and panel["caption"]
    assert not list(path.parent.glob(".*"))


def test_without_captum_the_rest_is_drawn_and_the_gap_is_said(models, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    index = json.loads(write_gallery(models, Data(), tmp_path, prepare, count=1).read_text())
    kinds = {panel["kind"] for panel in index["images"][0]["panels"]}
    assert kinds == {"image", "gate", "points"}
    assert len(index["notes"]) == 1
    assert "Grad-CAM is left out" in index["notes"][0] and "[explain]" in index["notes"][0]


def test_wrong_counts_and_empty_data_are_named(models, tmp_path):
    with pytest.raises(ValueError, match="count >= 1"):
        write_gallery(models, Data(), tmp_path, prepare, count=0)
    broken = Data()
    broken.__class__ = type("Broken", (Data,), {"__len__": lambda self: 1})
    with pytest.raises(ValueError, match="readable image"):
        write_gallery(models, broken, tmp_path, prepare, count=1)


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
