"""Images of no class, and how ``open_images`` tells what it was given."""

import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image

from foveate.data import Sample, Unreadable, collate, open_images
from foveate.data.folder import FolderDataset
from foveate.data.loose import LooseImages


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    for name in ("b2.png", "b10.jpg", "sub/a.png", "sub/deep/ü 猫.png", ".hidden.png", "x.txt"):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name == "x.txt":
            file.write_text("no image")
        else:
            Image.new("RGB", (7, 5), (len(name), 0, 0)).save(file)
    return root


def test_a_folder_is_read_to_the_bottom(photos):
    data = open_images(photos)
    assert isinstance(data, LooseImages) and data.classes == () and list(data.labels) == [-1] * 4
    names = [data.key_of(index) for index in range(4)]
    assert names == ["b2.png", "b10.jpg", "sub/a.png", "sub/deep/ü 猫.png"]
    assert isinstance(data[3], Sample) and data[3].label == -1 and data.annotation(3) is None
    assert data.name_of(0) == str(photos / "b2.png")
    assert pickle.loads(pickle.dumps(data))[1].name == data[1].name
    assert collate([data[index] for index in range(4)]).labels.tolist() == [-1] * 4
    some = open_images(photos, limit=2, seed=4)
    assert len(some) == 2 and list(some.labels) == [-1, -1]
    with pytest.raises(IndexError):
        data[4]


def test_one_file_is_one_image(photos):
    data = open_images(str(photos / "sub/deep/ü 猫.png"))
    assert len(data) == 1 and data[0].image.shape == (3, 5, 7) and data.key_of(0) == "ü 猫.png"


def test_unreadable_images_are_items(photos):
    (photos / "sub/a.png").write_bytes(b"")
    (photos / "b2.png").write_bytes(b"no image")
    (photos / "b10.jpg").unlink()
    (photos / "b10.jpg").symlink_to("nowhere")
    items = [open_images(photos)[index] for index in range(4)]
    reasons = [item.reason for item in items if isinstance(item, Unreadable)]
    assert reasons == ["not an image", "no such file", "empty file (0 bytes)"]


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "I;16", "1", "CMYK"])
def test_images_of_every_kind_are_upright_and_of_three_channels(tmp_path, mode):
    exif = Image.Exif()
    exif[0x0112] = 6
    file = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new(mode, (7, 5)).save(file, exif=exif)
    image = open_images(file)[0].image
    assert image.shape == (3, 7, 5) and image.dtype == torch.uint8


def test_huge_images_are_unreadable(tmp_path, monkeypatch):
    Image.new("1", (400, 300)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    item = open_images(tmp_path)[0]
    assert isinstance(item, Unreadable) and item.reason.startswith("too large")


def test_folders_by_class_stay_folders_by_class(make_folder):
    root = make_folder({"cat": 5, "dog": 5})
    data = open_images(root)
    assert isinstance(data, FolderDataset) and data.classes == ("cat", "dog") and len(data) == 2
    assert len(open_images(root, split="train")) == 8
    assert len(open_images(f"loose:{root}")) == 10
    Image.new("RGB", (4, 4)).save(root / "cover.png")
    assert isinstance(open_images(root), LooseImages), "images beside the folders: no classes"


def test_a_split_of_its_own_is_kept(make_folder, tmp_path):
    for split in ("train", "val"):
        make_folder({"cat": 2, "dog": 3}, tmp_path / "set" / split)
    data = open_images(tmp_path / "set")
    assert data.classes == ("cat", "dog") and len(data) == 5


def test_one_class_folder_or_an_empty_one_beside_it_is_loose(make_folder):
    root = make_folder({"holiday": 3})
    (root / "empty").mkdir()
    assert isinstance(open_images(root), LooseImages) and len(open_images(root)) == 3


def test_words_win_over_folders(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    photos.rename("scenes")
    assert open_images("scenes", size=32, limit=16).classes
    assert isinstance(open_images("./scenes"), LooseImages)
    assert isinstance(open_images("loose:scenes"), LooseImages)


def test_nothing_to_open_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"open_images expects images \(bmp, .*got none in "):
        open_images(tmp_path)
    with pytest.raises(ValueError, match="a file or a folder that exists; got 'nope'"):
        open_images("loose:nope")
    with pytest.raises(ValueError, match=r"open_dataset expects .*an existing folder; got 'nope'"):
        open_images("nope")
    (tmp_path / "instances.json").write_text("{}")
    with pytest.raises(ValueError, match=r"an image file \(.*; write coco:.*instances.json"):
        open_images(tmp_path / "instances.json")
    with pytest.raises(TypeError, match="a string source; got int"):
        open_images(3)
    with pytest.raises(ValueError, match="a known split; got 'test'"):
        open_images("scenes", split="test")
    with pytest.raises(ValueError, match="limit >= 1; got 0"):
        open_images("scenes", limit=0)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="expects no options; got 'classes'"):
        open_images(Path(tmp_path), classes=3)
