"""COCO files of boxes: what is sound is read exactly, what is not is counted and named."""

import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from foveate.data import Unreadable
from foveate.data.images import read_image
from foveate.detection.data import BoxTable, open_detection, problem_lines, read_coco
from foveate.detection.data.coco import check_coco, load_coco


def found(table, kind):
    return table.problems.as_dict().get(kind, {"count": 0, "names": []})


def test_a_sound_file_is_read_as_it_is(write_coco, annotation, tmp_path):
    write_coco(
        [
            annotation(1, [1.5, 2, 3, 4.25], area=6.5),
            annotation(2, [0, 0, 20, 12], iscrowd=1, category_id=7, area=100),
        ]
    )
    dataset = open_detection(str(tmp_path), "val")
    assert dataset.classes == ("cat", "dog") and dataset.category_ids == (2, 7)
    sample = dataset[-1]
    assert sample.image.shape == (3, 12, 20) and sample.image.dtype == torch.uint8
    assert sample.boxes.dtype == torch.float32
    assert sample.boxes.tolist() == [[1.5, 2, 4.5, 6.25], [0, 0, 20, 12]]
    assert sample.labels.dtype == torch.int64 and sample.labels.tolist() == [0, 1]
    assert sample.crowd.tolist() == [False, True] and sample.areas.tolist() == [6.5, 100]
    assert (sample.index, sample.image_id, sample.name) == (0, 5, "a.png")
    assert (dataset.image_id_of(0), dataset.name_of(0), dataset.size_of(0)) == (
        5,
        "a.png",
        (12, 20),
    )
    assert dataset.truth() == {
        "images": [{"id": 5, "file_name": "a.png", "height": 12, "width": 20}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 2, "bbox": [1.5, 2.0, 3.0, 4.25]}
            | {"area": 6.5, "iscrowd": 0},
            {"id": 2, "image_id": 5, "category_id": 7, "bbox": [0.0, 0.0, 20.0, 12.0]}
            | {"area": 100.0, "iscrowd": 1},
        ],
        "categories": [{"id": 2, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    assert not dataset.problems and dataset.problems.count("crowd") == 1
    with pytest.raises(IndexError):
        dataset[1]


def test_everything_wrong_is_found_in_one_pass(write_coco, annotation):
    shape = {"height": 12, "width": 20}
    file = write_coco(
        [
            annotation(1, [2, 2, 4, 4]),
            annotation(1, [3, 3, 4, 4]),
            annotation(3, [-2, -1, 5, 5]),
            annotation(4, [30, 2, 4, 4]),
            annotation(5, [2, 2, 0, 4]),
            annotation(6, [2, 2, 4, -4]),
            annotation(7, [2, 2, float("nan"), 4]),
            annotation(8, [2, 2, 4]),
            annotation(9, "here"),
            annotation(10, [2, 2, 4, 4], category_id=99),
            annotation(11, [2, 2, 4, 4], image_id=99),
            annotation(12, [2, 2, 4, 4], image_id=None),
            annotation(None, [1, 1, 4, 4]),
            "nothing",
        ],
        images=[
            {"id": 5, "file_name": "a.png"} | shape,
            {"id": 5, "file_name": "b.png"} | shape,
            {"id": 6, "file_name": "c.png"} | shape,
            {"id": 8, "file_name": "large.png", "height": 50, "width": 20},
            {"id": 9, "file_name": "a.png"} | shape,
            {"id": "x", "file_name": "d.png"},
            {"id": 10},
        ],
        categories=[
            {"id": 2, "name": "cat"},
            {"id": 2, "name": "dog"},
            {"id": 3, "name": "cat"},
            {"name": "bird"},
        ],
        files=["a.png", "large.png"],
    )
    table = read_coco(file, file.parent.parent)
    assert {kind: one["count"] for kind, one in table.problems.as_dict().items()} == {
        "missing image": 1,
        "size": 1,
        "outside": 1,
        "far outside": 1,
        "no area": 2,
        "malformed box": 3,
        "unknown category": 1,
        "unknown image": 2,
        "repeated image": 1,
        "repeated file": 1,
        "repeated category": 2,
        "repeated annotation": 1,
        "no id": 1,
        "malformed": 4,
        "empty": 3,
    }
    assert found(table, "missing image")["names"] == ["c.png"]
    assert found(table, "size")["names"] == ["large.png (20x12, not 20x50)"]
    assert found(table, "outside")["names"] == ["annotation 3 of a.png"]
    assert found(table, "unknown category")["names"] == ["annotation 10 of a.png (99)"]
    assert [image.number for image in table.images] == [5, 6, 8, 9]
    assert table.images[2].size == (12, 20)
    boxes = table.objects_of(0)["bbox"].tolist()
    assert boxes == [[2, 2, 4, 4], [3, 3, 4, 4], [0, 0, 3, 4], [1, 1, 4, 4]]
    assert table.problems and len(problem_lines(table.problems.as_dict())) == 15
    assert "2 boxes without area; left out: annotation 5 of a.png" in str(table.problems)


def test_names_beyond_the_first_are_counted(write_coco, annotation):
    table = read_coco(write_coco([annotation(n, [0, 0, 0, 0]) for n in range(8)]))
    assert found(table, "no area")["count"] == 8 and len(found(table, "no area")["names"]) == 5
    assert str(table.problems).splitlines()[1].endswith("and 3 more")


def test_images_without_objects_count(write_coco, tmp_path):
    write_coco([])
    dataset = open_detection(str(tmp_path), "val")
    assert not dataset.problems and dataset.problems.count("empty") == 1
    sample = dataset[0]
    assert sample.boxes.shape == (0, 4) and sample.labels.shape == (0,)
    assert len(dataset.truth()["images"]) == 1 and dataset.truth()["annotations"] == []


def test_a_broken_image_is_no_other(write_coco, annotation, tmp_path):
    shape = {"height": 12, "width": 20}
    images = [{"id": n, "file_name": f"{n}.png"} | shape for n in (5, 6, 7)]
    write_coco([annotation(1, [2, 2, 4, 4], image_id=6)], images, files=["5.png", "6.png"])
    whole = (tmp_path / "6.png").read_bytes()
    (tmp_path / "6.png").write_bytes(whole[:60])
    dataset = open_detection(str(tmp_path), "val")
    assert not isinstance(dataset[0], Unreadable)
    assert isinstance(dataset[1], Unreadable) and dataset[1].index == 1
    assert (dataset[2].name, dataset[2].reason) == ("7.png", "no such file")
    assert len(dataset) == 3 and len(dataset.truth([1])["annotations"]) == 1


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
@pytest.mark.parametrize("lying", [True, False])
def test_boxes_turn_with_a_photo_that_lies(tmp_path, annotation, write_coco, orientation, lying):
    # A white rectangle that the box surrounds, whichever way the photo is turned.
    pixels = np.zeros((12, 20, 3), np.uint8)
    pixels[3:7, 2:12] = 255
    photo, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = orientation
    turned = orientation >= 5
    size, box = ((12, 20), [2, 3, 10, 4]) if lying else ((20, 12), None)
    if not lying or orientation in (2, 3):
        # Annotated as it is shown: the box is where the upright pixels are.
        photo.save(tmp_path / "seen.png", exif=exif)
        seen = torch.nonzero(read_image(tmp_path / "seen.png")[0])
        (y1, x1), (y2, x2) = seen.min(0).values.tolist(), seen.max(0).values.tolist()
        box = [x1, y1, x2 - x1 + 1, y2 - y1 + 1]
        size = (20, 12) if turned else (12, 20)
    image = {"id": 5, "file_name": "p.png", "height": size[0], "width": size[1]}
    write_coco([annotation(1, box)], [image], files=[])
    photo.save(tmp_path / "p.png", exif=exif)
    dataset = open_detection(str(tmp_path), "val")
    sample = dataset[0]
    x1, y1, x2, y2 = sample.boxes[0].int().tolist()
    inside = sample.image[0, y1:y2, x1:x2]
    assert inside.numel() == 40 and bool((inside == 255).all())
    assert dataset.size_of(0) == tuple(sample.image.shape[1:]) and not dataset.problems


def test_images_need_not_be_looked_at(write_coco, tmp_path):
    write_coco([], [{"id": 1, "file_name": "a.png", "height": 50, "width": 20}], files=["a.png"])
    dataset = open_detection(str(tmp_path), "val", check_images=False)
    assert dataset.size_of(0) == (50, 20) and not dataset.problems
    assert open_detection(str(tmp_path), "val").size_of(0) == (12, 20)


def test_a_box_that_the_file_could_not_cut_is_cut_to_the_image(write_coco, annotation, tmp_path):
    image = {"id": 5, "file_name": "a.png"}
    write_coco([annotation(1, [10, 2, 90, 4]), annotation(2, [40, 2, 4, 4])], [image])
    sample = open_detection(str(tmp_path), "val", check_images=False)[0]
    assert sample.boxes.tolist() == [[10, 2, 20, 6]] and len(sample.areas) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1, 2", "JSONDecodeError"),
        ("[]", "a list"),
        ("3", "a int"),
        ("{}", "no list of images, annotations, categories"),
        ('{"images": [], "annotations": [], "categories": 3}', "no list of categories"),
        ('{"images": [], "annotations": [], "categories": []}', "0 images and 0 categories"),
        ('{"images": [{}], "annotations": [], "categories": []}', "1 entries without"),
        ("[" * 5000, "RecursionError"),
        (b"\xff\xfe\xfa", "UnicodeDecodeError"),
    ],
)
def test_what_is_no_coco_file_is_refused(tmp_path, content, said):
    file = tmp_path / "odd.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=said):
        read_coco(file)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="expects a COCO file; got"):
        read_coco(tmp_path / "none.json")


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4),
    st.sampled_from([1, 2, 3, -1, 10**400, 2**63, "a.png", "a\0b", "\ud800", 1e300, float("nan")]),
)  # fmt: skip
ANY = st.recursive(
    PLAIN, lambda t: st.lists(t, max_size=4) | st.dictionaries(st.text(max_size=3), t, max_size=3)
)


def entries(*keys):
    some = st.dictionaries(st.sampled_from(keys), ANY | st.lists(PLAIN, min_size=4, max_size=4))
    return st.lists(some | ANY, max_size=6)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    entries("id", "file_name", "height", "width"),
    entries("id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore"),
    entries("id", "name"),
)
def test_no_content_breaks_it(images, annotations, categories):
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 9, "width": 9}, *images],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "a"}, *categories],
    }
    table = check_coco(content, "it")
    assert isinstance(table, BoxTable)
    str(table.problems).encode()
    width, height = table.objects["bbox"].T[2:]
    assert np.isfinite(table.objects["bbox"]).all() and (width > 0).all() and (height > 0).all()
    assert (table.objects["area"] > 0).all()
    assert len(table.ends) == len(table.images) + 1 and table.ends[-1] == len(table.objects)
    first = table.objects_of(0)["bbox"]
    assert (first[:, :2] >= 0).all() and (first[:, :2] + first[:, 2:] <= 9).all()


@settings(max_examples=40, deadline=None)
@given(ANY)
def test_no_json_breaks_reading(tmp_path_factory, tree):
    file = tmp_path_factory.mktemp("any") / "a.json"
    try:
        file.write_text(json.dumps(tree))
    except ValueError:  # Numbers with more digits than Python writes.
        return
    with pytest.raises(ValueError, match="expects COCO annotations"):
        load_coco(file)
