"""Large images as crops: no pixel in both splits, every box where its pixels are."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from foveate.detection.data import open_detection, tile, tile_crowns
from foveate.detection.data.table import as_objects
from foveate.detection.data.tiles import Window, cut, cut_in_two, windows


@pytest.fixture
def large(tmp_path):
    """Two images whose pixels tell their place, with boxes, opened."""
    shapes = {
        "big.png": (50, 90),
        "small.png": (20, 24),
        "tiny.png": (12, 14),
        "last.png": (20, 20),
    }
    (tmp_path / "in" / "annotations").mkdir(parents=True)
    images, annotations = [], []
    for number, (name, (height, width)) in enumerate(shapes.items(), start=1):
        ys, xs = np.mgrid[:height, :width]
        pixels = np.stack([ys, xs, np.full_like(ys, number)], axis=2).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / name)
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for y, x in [(1, 1), (height // 2, width // 3), (height - 9, width - 9)]:
            one = {"id": len(annotations), "image_id": number, "category_id": 1}
            annotations.append(one | {"bbox": [x, y, 8, 6], "area": 40})
    content = {"images": images, "annotations": annotations}
    content["categories"] = [{"id": 1, "name": "thing"}]
    (tmp_path / "in" / "annotations" / "val.json").write_text(json.dumps(content))
    return open_detection(str(tmp_path / "in"), "val")


def test_no_pixel_is_in_both_splits_and_all_are_in_one(large, tmp_path):
    written = tile(large, tmp_path / "out", side=16, seed=1)
    seen = {"train": set(), "val": set()}
    for split, places in seen.items():
        dataset = open_detection(str(tmp_path / "out"), split)
        assert not dataset.problems and len(dataset) == written.images[split]
        for sample in (dataset[place] for place in range(len(dataset))):
            height, width = sample.image.shape[1:]
            assert height <= 16 and width <= 16
            places.update(map(tuple, sample.image.flatten(1).T.tolist()))
    assert not seen["train"] & seen["val"]
    assert len(seen["train"] | seen["val"]) == 50 * 90 + 20 * 24 + 12 * 14 + 20 * 20
    assert 0.15 < len(seen["val"]) / (50 * 90) < 0.6


def test_boxes_are_where_their_pixels_are(large, tmp_path):
    written = tile(large, tmp_path / "out", side=16, keep=0.5)
    whole = {large.name_of(i): large[i].boxes for i in range(len(large))}
    singles = 0
    for split in ("train", "val"):
        dataset = open_detection(str(tmp_path / "out"), split)
        entries = json.loads((tmp_path / "out" / "annotations" / f"{split}.json").read_text())
        for place, entry in enumerate(entries["images"]):
            sample = dataset[place]
            top, left = entry["corner"]
            assert sample.image[:2, 0, 0].tolist() == [top, left]
            singles += int((~sample.crowd).sum())
            for box, crowd, area in zip(sample.boxes, sample.crowd, sample.areas, strict=True):
                x1, y1, x2, y2 = (box + box.new_tensor([left, top, left, top])).tolist()
                homes = [
                    [a, b, c, d] for a, b, c, d in whole[entry["source"]].tolist()
                    if a <= x1 and b <= y1 and c >= x2 and d >= y2
                ]  # fmt: skip
                share = (x2 - x1) * (y2 - y1) / 48
                assert homes and bool(crowd) == (share < 0.5)
                assert area.item() == pytest.approx(40 * share)
    assert singles == sum(written.objects.values()) and singles >= 12


def test_what_is_left_of_a_box_is_a_crowd():
    objects = as_objects([((10, 10, 10, 10), 80.0, 0, False), ((0, 0, 30, 30), 900.0, 1, True)])
    shown = cut(objects, Window(0, 0, 12, 13), keep=0.3)
    assert shown["bbox"].tolist() == [[10, 10, 3, 2], [0, 0, 13, 12]]
    assert shown["crowd"].tolist() == [True, True]
    assert shown["area"].tolist() == pytest.approx([80 * 0.06, 156])
    shown = cut(objects, Window(10, 5, 40, 17), keep=0.7)
    assert shown["bbox"].tolist() == [[5, 0, 7, 10], [0, 0, 12, 20]]
    assert shown["crowd"].tolist() == [False, True]
    assert len(cut(objects[:1], Window(20, 0, 40, 40), keep=0.3)) == 0


def test_crops_cover_their_part_evenly():
    found = [(w.top, w.left, w.bottom, w.right) for w in windows(Window(5, 0, 15, 25), 10, 0.2)]
    assert found == [(5, 0, 15, 10), (5, 8, 15, 18), (5, 15, 15, 25)]
    assert list(windows(Window(0, 0, 4, 6), 10, 0.2)) == [Window(0, 0, 4, 6)]
    none = [w.left for w in windows(Window(0, 0, 10, 30), 10, 0.0)]
    assert none == [0, 10, 20]


def test_an_image_is_cut_across_its_longer_side():
    assert cut_in_two((50, 90), 16, 0.25, low=False) == {
        "train": Window(0, 0, 50, 74),
        "val": Window(0, 74, 50, 90),
    }
    assert cut_in_two((90, 50), 16, 0.4, low=True) == {
        "val": Window(0, 0, 32, 50),
        "train": Window(32, 0, 90, 50),
    }
    assert cut_in_two((31, 31), 16, 0.4, low=True) is None


def test_it_is_whole_or_not_there(large, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "no space left")

    monkeypatch.setattr("foveate.detection.data.writing.write_json", fail)
    with pytest.raises(OSError, match="no space"):
        tile(large, tmp_path / "out", side=16)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    monkeypatch.undo()
    (tmp_path / "in" / "big.png").write_bytes(b"no image")
    written = tile(large, tmp_path / "out", side=16)
    assert [one.name for one in written.unreadable] == ["big.png"]
    with pytest.raises(ValueError, match="a new or empty folder"):
        tile(large, tmp_path / "out", side=16)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"overlap": 1.0}, r"overlap in \[0, 1\)"),
        ({"keep": 0}, "keep"),
        ({"val": 0.6}, "val"),
        ({"side": 0}, "side"),
    ],
)
def test_options_are_checked(large, tmp_path, options, said):
    with pytest.raises(ValueError, match=said):
        tile(large, tmp_path / "out", **options)


def test_nothing_for_a_split_is_said(large, tmp_path):
    for name in ("big.png", "small.png", "tiny.png"):
        shutil.copy(tmp_path / "in" / "annotations" / "val.json", tmp_path / "in" / name)
    with pytest.raises(ValueError, match="readable images in every split; got none in"):
        tile(large, tmp_path / "out", side=100)
    assert not (tmp_path / "out").exists()


def test_crowns_are_trees_whatever_they_are_called(tmp_path):
    box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
    (tmp_path / "data").mkdir()
    for stem, name in (("a", "Tree"), ("b", "Dead")):
        Image.new("RGB", (20, 12)).save(tmp_path / "data" / f"{stem}.png")
        text = f"<annotation><object><name>{name}</name>{box}</object></annotation>"
        (tmp_path / "data" / f"{stem}.xml").write_text(text)
    written = tile_crowns(tmp_path / "data", tmp_path / "out")
    assert written.images == written.objects == {"train": 1, "val": 1}
    val = open_detection(str(tmp_path / "out"), "val")
    assert val.classes == ("tree",) and val[0].boxes.tolist() == [[1, 2, 9, 8]]
