"""Boxes lie where they belong, in the color of their class."""

import io

import pytest
import torch
from PIL import Image

from foveate.detection.drawing import COLORS, draw_boxes, draw_sheet

BOX = torch.tensor([[10.0, 12.0, 40.0, 44.0]])
LABEL = torch.tensor([1])


def opened(png):
    return Image.open(io.BytesIO(png)).convert("RGB")


def rgb(color):
    return tuple(int(color[place : place + 2], 16) for place in (1, 3, 5))


def test_a_small_image_is_enlarged_and_its_boxes_with_it():
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    picture = opened(draw_boxes(image, BOX, LABEL, torch.tensor([0.5]), classes=("a", "b")))
    assert picture.size == (320, 320)
    color = rgb(COLORS[1])
    for x, y in ((10, 30), (40, 30), (25, 44)):  # Left, right and bottom edge; the tag is on top.
        near = [picture.getpixel((x * 5 + a, y * 5 + b)) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        assert color in near
    assert picture.getpixel((125, 140)) == (0, 0, 0)


def test_annotated_boxes_are_dashed():
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    whole, dashed = (
        opened(draw_boxes(image, BOX, LABEL, scores, classes=("a", "b")))
        for scores in (torch.tensor([0.5]), None)
    )

    def shown(picture):
        line = [picture.getpixel((200, y)) for y in range(70, 210)]
        return sum(pixel == rgb(COLORS[1]) for pixel in line)

    assert 0 < shown(dashed) < 0.8 * shown(whole)


def test_a_large_image_is_shrunk_and_an_empty_one_is_drawn():
    image = torch.full((3, 500, 2000), 80, dtype=torch.uint8)
    none = (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    assert opened(draw_boxes(image, *none, classes=("a",))).size == (1333, 333)


@pytest.mark.parametrize("scores", [None, torch.tensor([0.5])])
def test_a_box_from_afar_is_drawn_as_far_as_the_image_goes(scores):
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    box = torch.tensor([[-1e20, 20.0, 1e20, 40.0]])
    picture = opened(draw_boxes(image, box, LABEL, scores, classes=("a", "b")))
    line = [picture.getpixel((x, 200)) for x in range(320)]
    assert line.count(rgb(COLORS[1])) > 100


def test_a_sheet_has_a_panel_for_each(tmp_path):
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    panels = [(f"net {n}", BOX, LABEL, torch.tensor([0.5])) for n in range(5)]
    sheet = opened(draw_sheet(image, panels, classes=("a", "b")))
    assert sheet.size[0] == 3 * 328 - 8 and sheet.size[1] > 640
    with pytest.raises(ValueError, match="at least one panel"):
        draw_sheet(image, [], classes=("a",))


def test_no_line_goes_through_a_tag():
    """The second box runs through the place of the first one's tag, and is drawn after it."""
    image = torch.zeros(3, 400, 400, dtype=torch.uint8)
    boxes = torch.tensor([[100.0, 100.0, 300, 300], [90, 92, 310, 310]])
    args = (torch.tensor([0, 1]), torch.tensor([0.9, 0.8]))
    tagged = opened(draw_boxes(image, boxes, *args, classes=("first", "second")))
    alone = opened(draw_boxes(image, boxes[:1], args[0][:1], args[1][:1], classes=("first", "")))
    tag = (101, 84, 135, 99)
    assert tagged.crop(tag).tobytes() == alone.crop(tag).tobytes()


def test_a_long_title_ends_with_its_panel():
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    short, long = (
        opened(draw_sheet(image, [(t, BOX, LABEL, None)] * 2, classes=("a", "b")))
        for t in ("", "long " * 30)
    )
    gap = (320, 0, 332, 20)  # Between the panels, and before the second title.
    assert long.crop(gap).tobytes() == short.crop(gap).tobytes()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"boxes": torch.full((1, 4), float("nan"))}, "finite"),
        ({"boxes": torch.tensor([[0.0, 0, float("inf"), 9]])}, "finite"),
        ({"boxes": torch.zeros(1, 5)}, r"boxes \(M, 4\)"),
        ({"labels": torch.tensor([2])}, r"labels in 0\.\.1.*2"),
        ({"labels": torch.tensor([-1])}, r"labels in 0\.\.1.*-1"),
    ],
)
def test_boxes_and_labels_that_cannot_be_drawn_are_named(change, text):
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    for scores in (None, torch.tensor([0.5])):
        args = {"boxes": BOX, "labels": LABEL, "scores": scores, **change}
        with pytest.raises(ValueError, match=text):
            draw_boxes(image, **args, classes=("a", "b"))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="uint8"):
        draw_boxes(torch.zeros(3, 8, 8), BOX, LABEL, classes=("a", "b"))
    with pytest.raises(ValueError, match="as many boxes"):
        draw_boxes(torch.zeros(3, 8, 8, dtype=torch.uint8), BOX, LABEL[:0], classes=("a", "b"))
