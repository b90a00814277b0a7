"""Class maps: of scenes, of folders of masks, and what is wrong with them."""

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from foveate.data import Unreadable, open_dataset
from foveate.data.images import UnreadableImageError
from foveate.data.scenes import SceneOptions
from foveate.data.scenes.writer import write_scenes
from foveate.segmentation import open_segmentation
from foveate.segmentation.data import IGNORED, MaskedImages, MaskFiles, read_mask


def write(folder, name, mask, image=None, mode="L"):
    """Write a pair; the image is as large as the mask unless told."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    shape = np.asarray(mask).shape if image is None else image
    Image.fromarray(np.full((*shape, 3), 90, np.uint8)).save(folder / "images" / f"{name}.jpg")
    made = Image.fromarray(np.asarray(mask, np.uint8))
    if mode == "P":
        made.putpalette([value for color in range(256) for value in (color, 0, 255 - color)])
    made.save(folder / "masks" / f"{name}.png")


@pytest.fixture
def folder(tmp_path):
    """Six pairs in train, two in val."""
    for split, count in (("train", 6), ("val", 2)):
        for turn in range(count):
            mask = np.zeros((8, 10)) + turn % 3
            mask[0, 0] = IGNORED
            write(tmp_path / split, f"{turn}", mask, mode="LP"[turn % 2])
    return tmp_path


def test_maps_of_scenes_are_their_masks_exactly():
    options = {"classes": 4, "cue": "color"}
    scenes = open_dataset("scenes", "val", size=48, limit=6, **options)
    maps = open_segmentation("scenes", "val", size=48, limit=6, **options)
    assert maps.classes == ("background", *scenes.classes)
    for index in range(6):
        note, sample = scenes.annotation(index), maps[index]
        want = note.masks[0] * (scenes[index].label + 1)
        assert torch.equal(sample.classes.long(), want.long()) and want.any()
        assert torch.equal(sample.image, scenes[index].image)
        marker = note.mask & ~note.masks[0]
        assert marker.any() and not sample.classes[marker].any()


def test_what_scenes_writes_is_read_back(tmp_path):
    options = SceneOptions(classes=4, cue="none")
    write_scenes(tmp_path / "s", count=8, val=4, size=32, options=options)
    maps = open_segmentation(str(tmp_path / "s"), "val")
    assert len(maps) == 4 and maps.classes[0] == "background"
    for index in range(4):
        assert maps[index].classes.any()
        assert maps[index].classes.max() < len(maps.classes)


def test_a_folder_without_masks_says_so(tmp_path):
    for split in ("train", "val"):
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / split / name / "1.png")
    dataset = MaskedImages(open_dataset(str(tmp_path), "train"))
    with pytest.raises(ValueError, match="a mask of its objects"):
        dataset[0]


@pytest.mark.parametrize("layout", ["{split}/{kind}", "{kind}/{split}"])
def test_splits_lie_either_way(folder, tmp_path, layout):
    home = tmp_path / "other"
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            place = home / layout.format(split=split, kind=kind)
            place.parent.mkdir(parents=True, exist_ok=True)
            (folder / split / kind).rename(place)
    assert [len(open_segmentation(str(home), s)) for s in ("train", "val")] == [6, 2]


def test_a_folder_without_splits_is_split_by_name(tmp_path):
    for turn in range(10):
        write(tmp_path, f"{turn}", np.full((8, 8), turn % 2))
    halves = [open_segmentation(str(tmp_path), split, seed=1) for split in ("train", "val")]
    names = [{one.name_of(k) for k in range(len(one))} for one in halves]
    assert [len(one) for one in names] == [8, 2] and names[0].isdisjoint(names[1])


def test_classes_come_from_the_file_or_from_the_masks(folder):
    assert open_segmentation(str(folder), "val").classes == ("background", "1", "2")
    (folder / "classes.txt").write_text("sky\nsea\nland\n")
    assert open_segmentation(str(folder), "train").classes == ("sky", "sea", "land")
    (folder / "classes.txt").write_text("sky\nsea\n")
    dataset = open_segmentation(str(folder), "train")
    with pytest.raises(ValueError, match=r"2\.png expects class numbers below 2"):
        [dataset[index] for index in range(6)]


def test_palettes_and_grey_are_numbers_and_255_is_ignored(folder):
    dataset = open_segmentation(str(folder), "train")
    for index in range(6):
        classes = dataset[index].classes
        assert classes[0, 0] == IGNORED and (classes[1:] == index % 3).all()


def test_unreadable_files_are_named_and_never_replaced(folder):
    (folder / "train/images/1.jpg").write_bytes(b"no image")
    (folder / "train/masks/3.png").write_bytes(b"")
    Image.new("RGB", (10, 8)).save(folder / "train/masks/4.png")
    dataset = open_segmentation(str(folder), "train")
    lost = {k: dataset[k] for k in range(6) if isinstance(dataset[k], Unreadable)}
    assert list(lost) == [1, 3, 4]
    assert lost[1].name.endswith("1.jpg") and "not an image" in lost[1].reason
    assert lost[3].name.endswith("3.png") and "empty" in lost[3].reason
    assert "RGB" in lost[4].reason


def test_sizes_that_differ_are_an_error_that_names_the_file(folder):
    write(folder / "train", "2", np.zeros((8, 10)), image=(10, 8))
    with pytest.raises(ValueError, match=r"masks.2\.png expects the size of"):
        open_segmentation(str(folder), "train")


def test_missing_masks_are_counted(folder):
    for name in ("0", "5"):
        (folder / "train/masks" / f"{name}.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"0\.png and 1 more"):
        open_segmentation(str(folder), "train")


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        ("nowhere", FileNotFoundError, "nowhere"),
        (3, TypeError, "a string"),
    ],
)
def test_bad_sources_are_one_error(source, error, text):
    with pytest.raises(error, match=text):
        open_segmentation(source, "train")


def test_options_are_of_scenes_alone(folder):
    with pytest.raises(ValueError, match="no option"):
        open_segmentation(str(folder), "train", classes=4)
    (folder / "val").rename(folder / "test")
    with pytest.raises(FileNotFoundError, match="without val"):
        MaskFiles(folder, "val")


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=200), cut=st.integers(0, 60), flip=st.integers(0, 60))
def test_broken_masks_are_refused_in_words(tmp_path_factory, content, cut, flip):
    """Random bytes, and a true mask cut short with a byte changed."""
    folder = tmp_path_factory.mktemp("masks")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "true.png")
    true = (folder / "true.png").read_bytes()
    damaged = bytearray(true[: len(true) - cut])
    damaged[flip % len(damaged)] ^= 0x55
    for bytes_ in (content, bytes(damaged)):
        (folder / "one.png").write_bytes(bytes_)
        with contextlib.suppress(UnreadableImageError):
            mask = read_mask(folder / "one.png")
            assert mask.ndim == 2 and mask.dtype == torch.uint8


def test_one_image_cannot_be_split(tmp_path):
    write(tmp_path, "a", np.zeros((4, 4)))
    with pytest.raises(ValueError, match="two images to split"):
        open_segmentation(str(tmp_path), "train")


def test_a_blank_line_among_the_names_is_refused(folder):
    (folder / "classes.txt").write_text("sky\n\nsea\n")
    with pytest.raises(ValueError, match="a line each"):
        open_segmentation(str(folder), "train")
    (folder / "classes.txt").write_text("sky\nland\nsea\n\n")
    assert open_segmentation(str(folder), "train").classes == ("sky", "land", "sea")
