"""Stanford Dogs in small, with its lists and boxes, unpacked and packed."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from foveate.data import Unreadable, open_dataset
from foveate.data.voc import read_boxes

scipy_io = pytest.importorskip("scipy.io")

BREEDS = ("n02085620-Chihuahua", "n02089078-black-and-tan_coonhound", "n02113712-miniature_poodle")
# Height and width of each image, and its boxes as xmin ymin xmax ymax.
DOGS = {
    0: ((20, 30), [(3, 4, 13, 16)]),
    1: ((20, 30), [(2, 1, 10, 9), (8, 5, 28, 20)]),
    2: ((10, 12), [(0, 0, 12, 10)]),
}


def note(size, boxes, scale=(1, 1)):
    down, across = scale
    shown = "".join(
        "<object><name>x</name><bndbox>"
        + "".join(
            f"<{k}>{v * (across if k[0] == 'x' else down)}</{k}>"
            for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        + "</bndbox></object>"
        for box in boxes
    )
    height, width = size[0] * down, size[1] * across
    return (
        f"<annotation><size><width>{width}</width><height>{height}</height></size>"
        f"{shown}</annotation>"
    ).encode()


@pytest.fixture
def dogs(tmp_path, tar_of):
    """Write the data set: three images a breed, the last of them for the tests."""

    def write_list(file, names, labels):
        cells = np.empty((len(names), 1), dtype=object)
        cells[:, 0] = names
        values = np.array(labels, dtype=np.uint8).reshape(-1, 1)
        scipy_io.savemat(file, {"file_list": cells, "labels": values})

    def make(packed, notes=None):
        root = tmp_path / ("packed" if packed else "plain")
        rng = np.random.default_rng(0)
        for breed in BREEDS:
            (root / "Images" / breed).mkdir(parents=True)
            (root / "Annotation" / breed).mkdir(parents=True)
            for number, (size, boxes) in DOGS.items():
                stem = f"{breed}/{breed[:9]}_{number}"
                pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
                # A lossless file under a JPEG's name: crops can be compared exactly.
                Image.fromarray(pixels).save(root / "Images" / f"{stem}.jpg", "png")
                (root / "Annotation" / stem).write_bytes(note(size, boxes))
        for name, content in (notes or {}).items():
            (root / "Annotation" / name).write_bytes(content)
        names = {k: [f"{breed}/{breed[:9]}_{k}.jpg" for breed in BREEDS] for k in DOGS}
        write_list(root / "train_list.mat", names[0] + names[1], [1, 2, 3, 1, 2, 3])
        write_list(root / "test_list.mat", names[2], [1, 2, 3])
        if packed:
            for folder, archive in (("Images", "images.tar"), ("Annotation", "annotation.tar")):
                files = {
                    path.relative_to(root).as_posix(): path.read_bytes()
                    for path in (root / folder).rglob("*")
                    if path.is_file()
                }
                tar_of(files, root / archive)
                for path in sorted((root / folder).rglob("*"), reverse=True):
                    path.rmdir() if path.is_dir() else path.unlink()
                (root / folder).rmdir()
            lists = {f"{part}_list.mat": b"" for part in ("train", "test")}
            for name in lists:
                lists[name] = (root / name).read_bytes()
                (root / name).unlink()
            tar_of(lists, root / "lists.tar")
        return root

    return make


@pytest.mark.parametrize("packed", [False, True])
def test_its_own_lists_decide_what_is_train_and_val(dogs, packed):
    root = dogs(packed)
    train, val = (open_dataset(f"stanford-dogs:{root}", split) for split in ("train", "val"))
    assert train.classes == val.classes
    assert train.classes == ("Chihuahua", "black-and-tan coonhound", "miniature poodle")
    assert list(train.labels) == [0, 1, 2, 0, 1, 2] and list(val.labels) == [0, 1, 2]
    assert val[1].name.endswith("n02089078-black-and-tan_coonhound/n02089078_2.jpg")
    assert train[3].image.shape == (3, 20, 30) and train[3].label == 0
    content, suffix = train.original(3)
    assert suffix == ".jpg" and content.startswith(b"\x89PNG")


def test_packed_and_unpacked_are_the_same(dogs):
    plain, packed = (open_dataset(f"stanford-dogs:{dogs(kind)}", "train") for kind in (0, 1))
    for k in range(6):
        assert torch.equal(plain[k].image, packed[k].image)
        assert torch.equal(plain.annotation(k).boxes, packed.annotation(k).boxes)


def test_annotations_are_boxes_in_pixels_of_the_image(dogs):
    found = open_dataset(f"stanford-dogs:{dogs(False)}", "train").annotation(4)
    assert found.boxes.tolist() == [[2, 1, 10, 9], [8, 5, 28, 20]]
    assert found.labels.tolist() == [1, 1] and found.cue is None
    want = torch.zeros(2, 20, 30, dtype=torch.bool)
    want[0, 1:9, 2:10] = True
    want[1, 5:20, 8:28] = True
    assert torch.equal(found.masks, want) and torch.equal(found.mask, want.any(0))


@pytest.mark.parametrize(
    ("options", "first", "second"),
    [
        ({}, (3, 4, 13, 16), (2, 1, 28, 20)),
        ({"margin": 0.1}, (2, 2, 14, 18), (0, 0, 30, 20)),
        ({"margin": 1.0}, (0, 0, 23, 20), (0, 0, 30, 20)),
    ],
)
def test_a_crop_is_the_box_around_all_dogs(dogs, options, first, second):
    root = dogs(False)
    whole = open_dataset(f"stanford-dogs:{root}", "train")
    cut = open_dataset(f"stanford-dogs:{root}", "train", crop="box", **options)
    for k, (x1, y1, x2, y2) in ((0, first), (3, second)):
        assert torch.equal(cut[k].image, whole[k].image[:, y1:y2, x1:x2])
        moved = whole.annotation(k).boxes - torch.tensor([x1, y1, x1, y1])
        assert torch.equal(cut.annotation(k).boxes, moved)
        assert torch.equal(cut.annotation(k).mask, whole.annotation(k).mask[y1:y2, x1:x2])
        assert cut.original(k) is None


def test_boxes_of_an_image_of_another_size_are_scaled(dogs):
    stem = "n02085620-Chihuahua/n02085620_0"
    root = dogs(False, {stem: note(*DOGS[0], scale=(2, 3))})
    found = open_dataset(f"stanford-dogs:{root}", "train").annotation(0)
    assert found.boxes.tolist() == [[3, 4, 13, 16]]
    (root / "Annotation" / stem).write_bytes(note((0, 0), [(3, 4, 33, 22)]))
    found = open_dataset(f"stanford-dogs:{root}", "train").annotation(0)
    assert found.boxes.tolist() == [[3, 4, 30, 20]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<annotation><size>", "damaged annotation: no element found"),
        (b"", "damaged annotation: no element found"),
        (b"<annotation/>", "annotation without a box"),
        (note((20, 30), [(5, 5, 5, 9)]), "damaged annotation: box 5 5 5 9"),
        (note((20, 30), [(40, 5, 50, 9)]), "a box outside the image of 30x20"),
        (note((20, 30), [("x", 5, 50, 9)]), "damaged annotation: could not convert"),
        (None, "no annotation"),
    ],
)
def test_a_damaged_annotation_makes_a_crop_unreadable_and_leaves_the_image_whole(
    dogs, content, reason
):
    root = dogs(False)
    file = root / "Annotation" / "n02085620-Chihuahua" / "n02085620_0"
    file.unlink() if content is None else file.write_bytes(content)
    whole = open_dataset(f"stanford-dogs:{root}", "train")
    assert whole[0].image.shape == (3, 20, 30) and whole.annotation(0) is None
    cut = open_dataset(f"stanford-dogs:{root}", "train", crop="box")
    assert isinstance(cut[0], Unreadable) and reason in cut[0].reason
    assert cut[0].name == whole[0].name and cut.annotation(0) is None
    assert cut[1].image.shape == (3, 12, 10)


def test_missing_parts_say_what_to_fetch(dogs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    want = (
        r"train_list.mat or lists.tar in data/stanford-dogs; got no such folder; fetch images.tar"
    )
    with pytest.raises(ValueError, match=want):
        open_dataset("stanford-dogs", "train")
    root = dogs(True)
    (root / "annotation.tar").unlink()
    assert open_dataset(f"stanford-dogs:{root}", "train").annotation(0) is None
    with pytest.raises(ValueError, match=r"the folder Annotation or annotation.tar .* images.tar"):
        open_dataset(f"stanford-dogs:{root}", "train", crop="box")
    (root / "images.tar").unlink()
    with pytest.raises(ValueError, match=r"the folder Images or images.tar in .*, lists.tar; f"):
        open_dataset(f"stanford-dogs:{root}", "train")


def test_broken_lists_are_named(dogs, tar_of):
    root = dogs(False)
    for content in (b"", b"text", (root / "test_list.mat").read_bytes()[:150]):
        (root / "test_list.mat").write_bytes(content)
        with pytest.raises(ValueError, match=r"test_list.mat expects a list of files and labels"):
            open_dataset(f"stanford-dogs:{root}", "train")
    (root / "test_list.mat").unlink()
    tar_of({"other.mat": b""}, root / "lists.tar")
    with pytest.raises(ValueError, match=r"lists.tar/test_list.mat expects .*no test_list.mat in"):
        open_dataset(f"stanford-dogs:{root}", "train")


def test_wrong_options_are_refused(dogs):
    source = f"stanford-dogs:{dogs(False)}"
    with pytest.raises(ValueError, match="a known crop; got 'boxes'; did you mean 'box'"):
        open_dataset(source, "train", crop="boxes")
    with pytest.raises(ValueError, match="crop = 'box' for a margin; got 'none'"):
        open_dataset(source, "train", margin=0.1)
    with pytest.raises(ValueError, match=r"margin in \(0, 1\]; got -0.1"):
        open_dataset(source, "train", crop="box", margin=-0.1)
    with pytest.raises(ValueError, match="a known option; got 'crops'; did you mean 'crop'"):
        open_dataset(source, "train", crops="box")


def test_without_scipy_the_lists_say_which_extra(dogs, monkeypatch):
    root = dogs(False)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r"needs the package scipy.*foveate\[archives\]"):
        open_dataset(f"stanford-dogs:{root}", "val")


def test_a_box_keeps_fractions():
    found = read_boxes(note((20, 30), [(0.5, 1, 2.25, 3)]))
    assert (found.size, found.boxes) == ((20, 30), ((0.5, 1.0, 2.25, 3.0),))
