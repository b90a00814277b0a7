"""Images with COCO annotations: labels, masks, boxes, and files that are not as they should be."""

import json
import pickle

import pytest
import torch
from PIL import Image

from foveate.data import Sample, Unreadable, open_images
from foveate.data.coco import encode_mask


def polygon(x1, y1, x2, y2):
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def entry(number, image, category, box, **more):
    x1, y1, x2, y2 = box
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "segmentation": polygon(*box),
    } | more


@pytest.fixture
def write(tmp_path):
    """Write images of 20x12 pixels and a COCO file; returns the file."""

    def make(annotations, names=("a.png",), sizes=None, layout="val2017"):
        images = []
        for number, name in enumerate(names):
            file = tmp_path / layout / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 12), (number, 9, 9)).save(file)
            height, width = (sizes or {}).get(name, (12, 20))
            shape = {"height": height, "width": width}
            images.append({"id": 100 + number, "file_name": name, **shape})
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 17, "name": "cat"}, {"id": 3, "name": "car"}],
        }
        file = tmp_path / "annotations" / "instances_val2017.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))
        return file

    return make


def test_the_largest_object_names_the_image(write):
    crowd = entry(
        9, 100, 3, (0, 0, 20, 12), iscrowd=1, segmentation=encode_mask(torch.ones(12, 20) > 0)
    )
    file = write(
        [
            entry(1, 100, 3, (0, 0, 4, 4)),
            entry(2, 100, 17, (5, 1, 15, 7)),
            entry(3, 100, 17, (16, 8, 20, 12)),
            crowd,
        ]
    )
    data = open_images(f"coco:{file}")
    assert data.classes == ("car", "cat") and list(data.labels) == [1] and len(data) == 1
    assert isinstance(data[0], Sample) and data[0].image.shape == (3, 12, 20)
    note = data.annotation(0)
    assert note.labels.tolist() == [0, 1, 1]
    assert note.boxes.tolist() == [[0, 0, 4, 4], [5, 1, 15, 7], [16, 8, 20, 12]]
    assert note.masks.flatten(1).sum(1).tolist() == [16, 60, 16]
    assert note.mask.equal(note.masks[1] | note.masks[2])
    assert data.name_of(0).endswith("val2017/a.png") and data.key_of(0) == "a.png"
    copy = pickle.loads(pickle.dumps(data))
    assert torch.equal(copy.annotation(0).mask, note.mask)


def test_every_form_of_segmentation_is_read(write):
    mask = torch.zeros(12, 20, dtype=torch.bool)
    mask[3:7, 2:9] = True
    forms = [encode_mask(mask), {"size": [12, 20], "counts": packed(mask)}, polygon(2, 3, 9, 7)]
    for form in [*forms, [], None]:
        file = write([entry(1, 100, 3, (2, 3, 9, 7), segmentation=form)])
        assert torch.equal(open_images(f"coco:{file}").annotation(0).mask, mask)
    bare = entry(1, 100, 3, (2, 3, 9, 7))
    del bare["segmentation"], bare["area"]
    assert torch.equal(open_images(f"coco:{write([bare])}").annotation(0).mask, mask)


def packed(mask):
    """Write run lengths as COCO's text, for the numbers of small masks."""
    text, runs = "", encode_mask(mask)["counts"]
    for place, run in enumerate(runs):
        value = run - (runs[place - 2] if place > 2 else 0)
        while True:
            code, value = value & 31, value >> 5
            more = value != (-1 if code & 16 else 0)
            text += chr(code + (32 if more else 0) + 48)
            if not more:
                break
    return text


def test_images_without_objects_and_missing_files(write):
    names = ("a.png", "b.png", "c.png")
    file = write([entry(1, 100, 3, (0, 0, 4, 4)), entry(2, 102, 3, (0, 0, 4, 4))], names)
    (file.parent.parent / "val2017/c.png").unlink()
    data = open_images(f"coco:{file}")
    assert list(data.labels) == [0, -1, 0]
    empty = data.annotation(1)
    assert empty.boxes.shape == (0, 4) and empty.masks.shape == (0, 12, 20) and not empty.mask.any()
    assert data[2] == Unreadable(2, data.name_of(2), "no such file")
    assert data.annotation(2) is None
    (file.parent.parent / "val2017/a.png").write_bytes(b"no image")
    assert isinstance(data[0], Unreadable) and data.annotation(0) is None
    with pytest.raises(IndexError):
        data.annotation(3)


def test_damaged_entries_leave_the_image_without_annotation(write):
    for wrong in (
        {"segmentation": [[1, 2]]},
        {"segmentation": "x"},
        {"segmentation": {"size": [5, 5], "counts": [25]}},
        {"bbox": [1, 2]},
    ):
        file = write([entry(1, 100, 3, (0, 0, 4, 4)) | wrong])
        data = open_images(f"coco:{file}")
        assert isinstance(data[0], Sample) and data.annotation(0) is None


def test_annotations_of_another_size_are_not_used(write):
    file = write([entry(1, 100, 3, (0, 0, 4, 4))], sizes={"a.png": (24, 40)})
    assert open_images(f"coco:{file}").annotation(0) is None


@pytest.mark.parametrize(("turn", "box"), [(6, (5, 1, 9, 3)), (8, (3, 17, 7, 19)), (3, None)])
def test_photos_on_their_side_are_annotated_either_way(write, turn, box):
    """A file of 20x12 that is shown 12x20 may have been annotated as stored or as shown."""
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = write([entry(1, 100, 3, (1, 3, 3, 7))])
    photo = stored.parent.parent / "val2017/a.png"
    Image.new("RGB", (20, 12)).save(photo, exif=exif)
    data = open_images(f"coco:{stored}")
    note = data.annotation(0)
    assert note.mask.shape == data[0].image.shape[1:]
    if box is None:
        assert note.boxes.tolist() == [[1, 3, 3, 7]], "a half turn cannot be told: taken as shown"
        return
    assert note.boxes.int().tolist() == [list(box)]
    x1, y1, x2, y2 = box
    assert note.mask[y1:y2, x1:x2].all() and int(note.mask.sum()) == 8
    shown = write([entry(1, 100, 3, (1, 3, 3, 7))], sizes={"a.png": (20, 12)})
    Image.new("RGB", (20, 12)).save(photo, exif=exif)
    assert open_images(f"coco:{shown}").annotation(0).boxes.tolist() == [[1, 3, 3, 7]]


@pytest.mark.parametrize("layout", ["val2017", "annotations", "annotations/val2017", "elsewhere"])
def test_images_are_found_where_coco_puts_them(write, tmp_path, layout, monkeypatch):
    file = write([entry(1, 100, 3, (0, 0, 4, 4))], names=("x/a.png",), layout=layout)
    if layout == "elsewhere":
        with pytest.raises(
            ValueError, match=r"expects x/a.png in .*; got no such file; name their"
        ):
            open_images(f"coco:{file}")
        assert isinstance(open_images(f"coco:{file}:{tmp_path / layout}")[0], Sample)
    else:
        assert isinstance(open_images(f"coco:{file}")[0], Sample)
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_images(f"coco:annotations/{file.name}:{layout}")[0], Sample)


def test_what_is_no_coco_file_is_refused(write, tmp_path):
    with pytest.raises(ValueError, match=r"with a file that exists; got 'nowhere.json'"):
        open_images("coco:nowhere.json")
    with pytest.raises(ValueError, match="with a file that exists"):
        open_images("coco:")
    for content in ("{", "[]", '{"images": []}', '{"categories": 3}'):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(ValueError, match=r"x.json expects COCO annotations of objects; got "):
            open_images(f"coco:{tmp_path / 'x.json'}")
    file = write([entry(1, 7, 3, (0, 0, 4, 4))])
    with pytest.raises(ValueError, match="COCO annotations of objects; got KeyError: 7"):
        open_images(f"coco:{file}")
    with pytest.raises(ValueError, match="at least one image; got 0"):
        open_images(f"coco:{write([], names=())}")
    with pytest.raises(ValueError, match="a folder of the images that exists"):
        open_images(f"coco:{write([])}:{tmp_path / 'none'}")
    with pytest.raises(ValueError, match="expects no options; got 'crop'"):
        open_images(f"coco:{write([])}", crop="box")


def test_a_limit_keeps_the_shares(write):
    names = [f"{k}.png" for k in range(12)]
    annotations = [entry(k, 100 + k, 3 if k < 8 else 17, (0, 0, 4, 4)) for k in range(12)]
    some = open_images(f"coco:{write(annotations, names)}", limit=6, seed=1)
    assert sorted(some.labels) == [0, 0, 0, 0, 1, 1]
    assert some.annotation(0).labels.tolist() == [some.labels[0]]
