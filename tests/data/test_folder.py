"""Folders by class: what is read, in which order, split how, and refused why."""

import pytest
import torch
from PIL import Image

from foveate.data import Sample, Unreadable, find_unreadable, open_dataset
from foveate.data.folder import natural_key


def test_a_folder_with_train_and_val_is_read_as_it_is(make_folder, tmp_path):
    make_folder({"cat": 3, "dog": 2}, tmp_path / "d" / "train")
    make_folder({"cat": 1, "dog": 2}, tmp_path / "d" / "val")
    (tmp_path / "d" / "other").mkdir()
    train, val = (open_dataset(str(tmp_path / "d"), split) for split in ("train", "val"))
    assert train.classes == val.classes == ("cat", "dog")
    assert tuple(train.labels) == (0, 0, 0, 1, 1) and tuple(val.labels) == (0, 1, 1)
    item = train[4]
    assert (item.label, item.index) == (1, 4)
    assert item.name == str(tmp_path / "d" / "train" / "dog" / "img1.png")
    assert item.image.shape == (3, 5, 7) and item.image.dtype == torch.uint8
    assert item.image.flatten(1).unique(dim=1).T.tolist() == [[1, 101, 200]]
    assert train.annotation(0) is None


def test_classes_and_files_are_sorted_as_people_count(make_folder):
    root = make_folder({"c10": 12, "c9": 12, "B": 2})
    dataset = open_dataset(str(root), "train")
    assert dataset.classes == ("B", "c9", "c10")
    numbers = [int(path.stem[3:]) for path in dataset.paths if path.parent.name == "c10"]
    assert numbers == sorted(numbers) and len(numbers) == 10


def test_natural_order_tells_every_two_names_apart():
    names = ["a1", "a01", "A1", "a10", "a2", "1", "01", "a", "a²"]
    assert len({natural_key(name) for name in names}) == len(names)
    assert sorted(names, key=natural_key)[-4:] == ["a1", "a2", "a10", "a²"]


def test_hidden_and_other_files_are_ignored_and_kinds_of_images_are_not(make_folder):
    root = make_folder({"cat": 2, "dog": 2})
    picture = Image.new("RGB", (4, 4), (9, 8, 7))
    for name in ("a.JPG", "b.jpeg", "c.bmp", "d.webp", "e.tif", "f.TIFF", "deep/g.png"):
        (root / "cat" / name).parent.mkdir(exist_ok=True)
        picture.save(root / "cat" / name)
    picture.save(root / "cat" / ".hidden.png")
    (root / ".cache").mkdir()
    picture.save(root / ".cache" / "x.png")
    (root / "dog" / "linked").symlink_to(root / "cat" / "deep")
    (root / "cat" / "notes.txt").write_text("no image")
    both = [open_dataset(str(root), split) for split in ("train", "val")]
    assert sorted(p.name for d in both for p in d.paths if p.parent.name == "linked") == ["g.png"]
    names = sorted(path.name for d in both for path in d.paths if "dog" not in path.parts)
    assert names == sorted(
        ["a.JPG", "b.jpeg", "c.bmp", "d.webp", "e.tif", "f.TIFF", "g.png", "img0.png", "img1.png"]
    )
    assert both[0].classes == ("cat", "dog")


def test_the_split_of_a_plain_folder_is_disjoint_complete_stratified_and_seeded(make_folder):
    root = make_folder({"cat": 20, "dog": 10, "emu": 2})
    train, val = (open_dataset(str(root), split, seed=3) for split in ("train", "val"))
    assert not set(train.paths) & set(val.paths)
    assert len(train) + len(val) == 32
    assert [list(val.labels).count(label) for label in range(3)] == [4, 2, 1]
    assert open_dataset(str(root), "val", seed=3).paths == val.paths
    assert open_dataset(str(root), "val", seed=4).paths != val.paths


def test_a_new_file_hardly_moves_the_split(make_folder):
    root = make_folder({"cat": 40, "dog": 40})
    before = set(open_dataset(str(root), "val").paths)
    Image.new("RGB", (4, 4)).save(root / "cat" / "new.png")
    after = set(open_dataset(str(root), "val").paths)
    assert len(before ^ after) <= 2


def test_what_cannot_be_read_is_named_and_never_replaced(make_folder, tmp_path):
    root = tmp_path / "d"
    make_folder({"cat": 4, "dog": 4}, root / "train")
    make_folder({"cat": 1, "dog": 1}, root / "val")
    (root / "train" / "cat" / "img1.png").write_bytes(b"")
    (root / "train" / "dog" / "img0.png").write_bytes(b"no image at all")
    dataset = open_dataset(str(root), "train")
    (root / "train" / "dog" / "img3.png").unlink()
    assert len(dataset) == 8
    bad = {1: "empty file (0 bytes)", 4: "not an image", 7: "no such file"}
    for index in range(8):
        item = dataset[index]
        if index in bad:
            assert item == Unreadable(index, str(dataset.paths[index]), bad[index])
        else:
            assert isinstance(item, Sample) and item.image[0, 0, 0] == index % 4
    seen = []
    found = find_unreadable(dataset, progress=lambda done, total: seen.append((done, total)))
    assert [item.index for item in found] == [1, 4, 7]
    assert seen == [(done, 8) for done in range(1, 9)]


def refused(source, text, split="train"):
    with pytest.raises(ValueError, match=text) as caught:
        open_dataset(str(source), split)
    assert "open_dataset expects" in str(caught.value)


def test_folders_that_are_no_data_set_are_refused(make_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "images .* by class; got none in .*empty; lay it out")
    make_folder({"cat": 3}, tmp_path / "one")
    refused(tmp_path / "one", "at least two classes; got only 'cat' in")
    refused(tmp_path / "one" / "cat", "with 3 images and no class folder")
    refused(tmp_path / "one" / "cat" / "img0.png", "this is a file: name its folder")
    make_folder({"cat": 3, "dog": 1}, tmp_path / "few")
    refused(tmp_path / "few", "at least 2 images in each class; got 1 in .*dog")
    make_folder({"cat": 3, "dog": 0}, tmp_path / "none")
    refused(tmp_path / "none", "at least 2 images in each class; got 0 in .*dog")


def test_a_missing_or_different_val_is_refused(make_folder, tmp_path):
    make_folder({"cat": 2, "dog": 2}, tmp_path / "a" / "train")
    refused(tmp_path / "a", r"both train and val in the folder; got train; add .*val", "val")
    make_folder({"cat": 2, "emu": 2}, tmp_path / "a" / "val")
    refused(tmp_path / "a", r"the same classes in train and val of .*; got 'dog' in train alone")
    make_folder({"cat": 2, "dog": 2}, tmp_path / "b" / "train")
    make_folder({"cat": 2, "dog": 0}, tmp_path / "b" / "val")
    refused(tmp_path / "b", "at least 1 image in each class; got 0 in .*dog")
    (tmp_path / "b" / "val" / "cat" / "img0.png").unlink()
    (tmp_path / "b" / "val" / "cat" / "img1.png").unlink()
    refused(tmp_path / "b", "got none in .*val")
