"""Boxes and masks: COCO's JSON in its three readers, detections, run lengths, Pascal VOC's XML."""

import json

import numpy as np
import torch
from harness import reader
from hypothesis import strategies as st
from image_readers import SOUND, _encoded
from mutations import changed, chosen, damaged, json_files
from PIL import Image

from foveate.data.coco import read_annotations
from foveate.data.coco_images import open_coco
from foveate.data.coco_masks import decode_segmentation
from foveate.data.voc import read_boxes
from foveate.detection.data import open_detection, open_voc
from foveate.detection.metrics.checking import checked_detections
from foveate.detection.metrics.results import read_detections
from foveate.segmentation.data import open_segmentation

CUE = {"bbox": [0, 0, 2, 2], "segmentation": {"size": [12, 9], "counts": [108]}, "far": True}
COCO = {
    "info": {"year": 2026},
    "images": [
        {"id": 1, "file_name": "a.png", "height": 12, "width": 9, "cue": CUE},
        {"id": 2, "file_name": "b/c.png", "height": 12, "width": 9},
    ],
    "annotations": [
        {
            **{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12},
            **{"iscrowd": 0, "segmentation": {"size": [12, 9], "counts": [14, 4, 90]}},
        },
        {
            **{"id": 2, "image_id": 2, "category_id": 5, "bbox": [0.5, 0.25, 5, 4.5], "area": 3.5},
            **{"iscrowd": 1, "segmentation": {"size": [12, 9], "counts": [0, 3, 105]}},
        },
    ],
    "categories": [{"id": 3, "name": "cat"}, {"id": 5, "name": "dog"}],
}
FORMS = [
    [[0, 0, 4, 0, 4, 4, 0, 4], [5.5, 5.5, 7, 5.5, 6, 8]],
    {"size": [12, 9], "counts": [14, 4, 90]},
    {"size": [12, 9], "counts": "`0l24O0"},
]
POLYGONS = {
    **COCO,
    "annotations": [
        {**one, "segmentation": form}
        for one, form in zip(COCO["annotations"] * 2, [*FORMS, []], strict=False)
    ],
}


def _json(tree):
    return json.dumps(tree).encode()


def _write(content, folder):
    """Put annotations and their two images into a folder."""
    (folder / "b").mkdir()
    for name in ("a.png", "b/c.png"):
        Image.new("RGB", (9, 12)).save(folder / name)
    file = folder / "notes.json"
    file.write_bytes(content)
    return file


@reader(
    "masks of folders",
    "annotations/SPLIT.json beside images by class",
    _json(COCO),
    json_files(COCO),
)
def read_masks(content, folder):
    file = folder / "val.json"
    file.write_bytes(content)
    for one in read_annotations(file, ("cat", "dog")).values():
        assert one.masks.dim() == 3 and one.boxes.shape == (len(one.masks), 4)


@reader(
    "COCO masks", "coco:FILE, for explain", _json(POLYGONS), json_files(COCO) | json_files(POLYGONS)
)
def read_coco_masks(content, folder):
    dataset = open_coco(f"{_write(content, folder)}:{folder}")
    for index in range(len(dataset)):
        dataset[index]
        dataset.annotation(index)


@reader("COCO boxes", "coco:FILE, for detect", _json(COCO), json_files(COCO) | json_files(POLYGONS))
def read_coco_boxes(content, folder):
    dataset = open_detection(f"coco:{_write(content, folder)}:{folder}", "val")
    for index in range(len(dataset)):
        dataset[index]
    json.dumps(dataset.truth())


DETECTIONS = [
    {"image_id": 1, "category_id": 3, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5},
    {"image_id": 2, "category_id": 5, "bbox": [0.0, 0.0, 1.0, 1.0], "score": 1},
]


@reader("detections", "COCO's format of results", _json(DETECTIONS), json_files(DETECTIONS))
def read_found(content, folder):
    file = folder / "found.json"
    file.write_bytes(content)
    checked_detections(COCO, read_detections(file))


@reader(
    "segmentations",
    "polygons, run lengths, run lengths as text",
    {"it": FORMS[0]},
    st.sampled_from(FORMS).flatmap(lambda form: changed({"it": form})),
)
def read_segmentation(tree, folder):
    form = tree.get("it") if isinstance(tree, dict) else tree
    try:
        mask = decode_segmentation(form, 12, 9)
    except (KeyError, TypeError, ValueError):
        return  # An entry of a file, whose reader leaves it out.
    assert mask.shape == (12, 9) and mask.dtype == torch.bool


VOC = b"""<annotation><filename>a.png</filename><size><width>9</width><height>12</height></size>
<object><name>cat</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>2</ymin>
<xmax>5</xmax><ymax>7.5</ymax></bndbox></object><object><name>dog</name><bndbox><xmin>2</xmin>
<ymin>2</ymin><xmax>9</xmax><ymax>12</ymax></bndbox></object></annotation>"""
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "lol">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 12) for n in range(9))
    + b"]><annotation><object><name>&j;</name></object></annotation>"
)
OUTSIDE = (
    b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<annotation><object><name>&x;</name></object></annotation>"
)
STRANGE = [
    *(LAUGHS, OUTSIDE, b"", b"<a/>", b"<a>" * 20000, b'<?xml version="1.0" encoding="x-y"?><a/>'),
    VOC.decode().encode("utf-16"),
]
XML = damaged(VOC, text=True) | chosen(*STRANGE)


@reader("boxes of one image", "Pascal VOC's XML, of Stanford Dogs and ImageNet", VOC, XML)
def read_one(content, folder):
    try:
        found = read_boxes(content)
    except ValueError:
        return  # Its text is the reason; who reads images adds the name.
    assert all(x1 < x2 and y1 < y2 for x1, y1, x2, y2 in found.boxes)


@reader(
    "VOC folders",
    "voc:FOLDER, Pascal VOC's XML and lists",
    (VOC, b"a\nb 1\nc -1\n"),
    st.tuples(XML, st.just(b"a\nb 1\nc -1\n") | damaged(b"a\nb 1\nc -1\n", text=True)),
)
def read_voc(contents, folder):
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for stem in "abc":
        Image.new("RGB", (9, 12)).save(folder / "JPEGImages" / f"{stem}.png")
        (folder / "Annotations" / f"{stem}.xml").write_bytes(
            VOC.replace(b"a.png", b"%s.png" % stem.encode())
        )
    (folder / "Annotations" / "a.xml").write_bytes(contents[0])
    (folder / "ImageSets/Main/val.txt").write_bytes(contents[1])
    dataset = open_voc(folder, "val")
    for index in range(len(dataset)):
        dataset[index]


MASK = _encoded(Image.fromarray(np.arange(108, dtype=np.uint8).reshape(12, 9) % 3), "png")
LINES = b"background\ncat\ndog\n"


@reader(
    "folders of masks",
    "images, masks of class numbers, classes.txt",
    (MASK, LINES),
    st.tuples(damaged(MASK), st.just(LINES)) | st.tuples(st.just(MASK), damaged(LINES, text=True)),
)
def read_map_folder(contents, folder):
    for split in ("train", "val"):
        for kind, content in (("images", SOUND[0]), ("masks", contents[0])):
            home = folder / split / kind
            home.mkdir(parents=True)
            (home / "a.png").write_bytes(content)
    (folder / "classes.txt").write_bytes(contents[1])
    dataset = open_segmentation(str(folder), "val")
    for index in range(len(dataset)):
        dataset[index]


RECORD = {"network": "das", "check": {"absolute": 1e-6, "shapes": [[1, 3, 9, 9]]}}


@reader("records of exported files", "NAME.json", _json(RECORD), json_files(RECORD))
def read_exported(content, folder):
    from foveate.export.record import read_record, record_path

    record_path(folder / "a.onnx").write_bytes(content)
    assert isinstance(read_record(folder / "a.onnx"), dict)
