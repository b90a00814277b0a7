"""Pascal VOC's XML: pixels counted from 1, lists of splits, what is broken, conversion."""

import pytest
import torch
from PIL import Image

from foveate.detection.data import convert_voc, open_detection, open_voc

OBJECT = (
    "<object><name>{name}</name><difficult>{hard}</difficult><bndbox><xmin>{x1}</xmin>"
    "<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
)
SIZE = "<size><width>20</width><height>12</height><depth>3</depth></size>"


def thing(x1, y1, x2, y2, name="dog", hard=0):
    return OBJECT.format(name=name, hard=hard, x1=x1, y1=y1, x2=x2, y2=y2)


@pytest.fixture
def write_voc(tmp_path):
    """Write images of 20x12 pixels with XML files, from objects by stem; returns the folder."""

    def write(objects, lists=(), folders=("Annotations", "JPEGImages"), suffix=".jpg"):
        root = tmp_path / "voc"
        xml, images = root / folders[0], root / folders[1]
        for folder in (xml, images, root / "ImageSets" / "Main"):
            folder.mkdir(parents=True, exist_ok=True)
        for number, (stem, things) in enumerate(objects.items()):
            head = f"<annotation><filename>{stem}{suffix}</filename>{SIZE}"
            (xml / f"{stem}.xml").write_text(head + "".join(things) + "</annotation>")
            Image.new("RGB", (20, 12), (9 * number, 80, 160)).save(images / f"{stem}{suffix}")
        for name, stems in dict(lists).items():
            file = root / "ImageSets" / "Main" / f"{name}.txt"
            file.write_text("".join(f"{stem}\n" for stem in stems))
        return root

    return write


def test_the_first_pixel_is_1_and_the_last_is_in_the_box(write_voc):
    objects = {"a": [thing(1, 1, 20, 12), thing(3, 2, 3, 5, "cat", hard=1)]}
    root = write_voc(objects, {"val": ["a"]})
    dataset = open_detection(f"voc:{root}", "val")
    sample = dataset[0]
    assert sample.boxes.tolist() == [[0, 0, 20, 12], [2, 1, 3, 5]]
    assert dataset.classes == ("cat", "dog") and sample.labels.tolist() == [1, 0]
    assert sample.crowd.tolist() == [False, True] and sample.areas.tolist() == [240, 4]
    assert not dataset.problems and dataset.name_of(0) == "a.jpg"
    edges = open_detection(f"voc:{root}", "val", origin=0)
    assert edges[0].boxes.tolist() == [[1, 1, 20, 12]]
    assert edges.problems.as_dict()["no area"]["count"] == 1


def test_lists_choose_and_classes_are_those_of_all(write_voc):
    objects = {"a": [thing(1, 1, 4, 4)], "b c": [thing(1, 1, 4, 4, "cat")], "d": []}
    root = write_voc(objects, {"train": ["b c", "d"], "val": ["a  -1", "", "gone"]})
    train, val = (open_detection(f"voc:{root}", split) for split in ("train", "val"))
    assert [train.name_of(place) for place in range(2)] == ["b c.jpg", "d.jpg"]
    assert train.problems.as_dict() == {"empty": {"count": 1, "names": ["d.jpg"]}}
    assert len(val) == 1 and val.problems.as_dict()["no annotation"]["names"] == ["gone"]
    assert train.classes == val.classes == ("cat", "dog")
    assert (train.image_id_of(0), val.image_id_of(0)) == (2, 1)


def test_without_lists_the_split_is_seeded_and_whole(write_voc):
    root = write_voc({f"i{n}": [thing(1, 1, 4, 4)] for n in range(10)})

    def names(split, seed=0):
        dataset = open_detection(f"voc:{root}", split, seed=seed)
        return [dataset.name_of(place) for place in range(len(dataset))]

    assert len(names("val")) == 2 and sorted(names("train") + names("val")) == sorted(
        f"i{n}.jpg" for n in range(10)
    )
    assert len({tuple(names("val", seed)) for seed in range(4)}) > 1
    assert len(open_voc(root, None)) == 10
    assert len(open_detection(f"voc:{root}", "train", limit=3)) == 3


def test_what_is_broken_is_counted(write_voc):
    root = write_voc(
        {
            "bad": [thing("x", 1, 4, 4), thing(9, 1, 4, 4), thing(1, 1, 4, 4, name="")],
            "gone": [thing(2, 2, 30, 9), "<object><name>dog</name></object>"],
            "xml": [],
        },
        {"val": ["bad", "gone", "xml", "odd"]},
    )
    (root / "Annotations" / "xml.xml").write_text("<annotation><object>")
    odd = '<?xml version="1.0" encoding="unheard-of"?><annotation/>'
    (root / "Annotations" / "odd.xml").write_text(odd)
    (root / "JPEGImages" / "gone.jpg").unlink()
    counts = {
        kind: one["count"]
        for kind, one in open_detection(f"voc:{root}", "val").problems.as_dict().items()
    }
    assert counts == {
        "missing image": 1,
        "outside": 1,
        "no area": 1,
        "malformed box": 2,
        "no annotation": 2,
        "malformed": 1,
        "empty": 1,
    }


@pytest.mark.parametrize("folders", [("Annotations", "images"), (".", "."), ("annotations", ".")])
def test_images_may_lie_elsewhere_and_be_of_any_kind(write_voc, folders):
    root = write_voc({"a": [thing(1, 1, 4, 4)]}, {"val": ["a"]}, folders, ".png")
    text = (xml := root / folders[0] / "a.xml").read_text()
    xml.write_text(text.replace("a.png", "C:/elsewhere/b.bmp"))
    dataset = open_detection(f"voc:{root}", "val")
    assert dataset.name_of(0) == "a.png" and dataset[0].image.shape == (3, 12, 20)


def test_what_is_no_voc_folder_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Annotations/\*\.xml"):
        open_detection(f"voc:{tmp_path}", "val")
    with pytest.raises(ValueError, match="no option but check_images and origin; got offset"):
        open_detection(f"voc:{tmp_path}", "val", offset=3)


def test_conversion_keeps_every_box(write_voc, tmp_path):
    objects = {f"i{n}": [thing(1 + n, 1, 6 + n, 9), thing(2, 2, 5, 5, "cat", 1)] for n in range(5)}
    root = write_voc(objects)
    written = convert_voc(root, tmp_path / "out")
    assert written.images == {"train": 4, "val": 1} and written.objects == {"train": 4, "val": 1}
    for split in ("train", "val"):
        made, read = (
            open_detection(f"voc:{root}", split),
            open_detection(str(written.folder), split),
        )
        assert made.classes == read.classes and not read.problems
        assert len(made) == len(read)
        for place in range(len(made)):
            for name in ("image", "boxes", "labels", "crowd", "areas"):
                assert torch.equal(getattr(made[place], name), getattr(read[place], name))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "voc"]


def test_conversion_leaves_out_images_that_no_file_can_be(write_voc, tmp_path):
    root = write_voc({f"i{n}": [thing(1, 1, 4, 4)] for n in range(10)})
    (root / "JPEGImages" / "i3.jpg").unlink()
    text = (xml := root / "Annotations" / "i3.xml").read_text()
    xml.write_text(text.replace("i3.jpg", 400 * "x"))
    assert sum(convert_voc(root, tmp_path / "out").images.values()) == 9


def test_a_conversion_that_fails_leaves_nothing(write_voc, tmp_path):
    root = write_voc({"a": [thing(1, 1, 4, 4)]}, {"train": ["a"], "val": ["a"]})
    with pytest.raises(ValueError, match=r"every image in one split; got a\.jpg in both"):
        convert_voc(root, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["voc"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ValueError, match="a new or empty folder"):
        convert_voc(root, tmp_path / "full")
