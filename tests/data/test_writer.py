"""Data sets on disk: whole or not at all, and read back exactly."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from foveate.data import SceneOptions, Scenes, open_dataset
from foveate.data.coco import decode_mask, encode_mask, mask_box
from foveate.data.scenes.writer import write_scenes

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(mask=MASKS)
def test_a_mask_survives_its_run_lengths(mask):
    runs = encode_mask(torch.from_numpy(mask))
    assert runs["size"] == list(mask.shape) and sum(runs["counts"]) == mask.size
    assert all(count > 0 for count in runs["counts"][1:])
    assert torch.equal(decode_mask(runs), torch.from_numpy(mask))


def test_runs_go_down_the_columns_zeros_first():
    mask = torch.tensor([[True, False, False], [True, False, True]])
    assert encode_mask(mask) == {"size": [2, 3], "counts": [0, 2, 3, 1]}


@pytest.mark.parametrize("counts", [[1, 2], "04", [5]])
def test_runs_that_do_not_fill_the_mask_are_refused(counts):
    with pytest.raises(ValueError, match=r"decode_mask expects uncompressed run lengths"):
        decode_mask({"size": [2, 2], "counts": counts})


@given(mask=MASKS)
def test_a_box_is_tight(mask):
    x1, y1, x2, y2 = (int(edge) for edge in mask_box(torch.from_numpy(mask)))
    ys, xs = np.nonzero(mask)
    want = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(xs) else (0, 0, 0, 0)
    assert (x1, y1, x2, y2) == want


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "out"
    seen = []
    made = write_scenes(
        folder, count=24, val=8, size=48, seed=3, progress=lambda *step: seen.append(step)
    )
    assert seen == [(done, 32) for done in range(1, 33)]
    return folder, made


def test_what_was_written_reads_back_bit_for_bit(written):
    folder, made = written
    assert made.images == {"train": 24, "val": 8} and made.unreadable == []
    assert sorted(path.name for path in folder.iterdir()) == ["annotations", "train", "val"]
    for split in ("train", "val"):
        scenes = Scenes(split, size=48, seed=3, count=made.images[split])
        read = open_dataset(str(folder), split)
        assert sorted(read.classes) == sorted(made.classes) == sorted(scenes.classes)
        for index in range(len(read)):
            item, note = read[index], read.annotation(index)
            source = int(read.paths[index].stem)
            assert read.classes[item.label] == scenes.classes[scenes.labels[source]]
            assert torch.equal(item.image, scenes[source].image)
            want = scenes.annotation(source)
            assert torch.equal(note.mask, want.mask) and torch.equal(note.masks, want.masks)
            assert torch.equal(note.boxes, want.boxes) and torch.equal(note.cue, want.cue)
            assert note.far == want.far and note.labels.tolist() == [item.label]


def test_the_annotations_are_coco(written):
    folder, _ = written
    for split, count in (("train", 24), ("val", 8)):
        coco = json.loads((folder / "annotations" / f"{split}.json").read_text())
        assert len(coco["images"]) == len(coco["annotations"]) == count
        ids = {entry["id"]: entry for entry in coco["images"]}
        names = {entry["id"]: entry["name"] for entry in coco["categories"]}
        assert min(names) == 1 and len({entry["id"] for entry in coco["annotations"]}) == count
        for entry in coco["annotations"]:
            image = ids[entry["image_id"]]
            assert image["file_name"].split("/")[:2] == [split, names[entry["category_id"]]]
            with Image.open(folder / image["file_name"]) as picture:
                assert picture.size == (image["width"], image["height"]) == (48, 48)
            mask = decode_mask(entry["segmentation"])
            x, y, width, height = entry["bbox"]
            assert [x, y, x + width, y + height] == mask_box(mask).tolist()
            assert entry["area"] == mask.sum() and entry["iscrowd"] == 0
        assert coco["info"]["seed"] == 3 and coco["info"]["options"]["far_fraction"] == 0.5


def test_a_stranger_to_the_annotations_is_an_error_that_names_the_file(written, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(written[0], folder)
    (folder / "annotations" / "val.json").write_text("{}")
    with pytest.raises(ValueError, match=r"val.json expects COCO annotations"):
        open_dataset(str(folder), "val").annotation(0)
    assert open_dataset(str(folder), "train").annotation(0) is not None


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    def stop(done, total):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "out", count=16, val=8, size=24, progress=stop)
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "mine", count=16, val=8, size=24, progress=stop)
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_full_folder_is_kept_unless_forced_and_an_interrupt_then_keeps_the_old(tmp_path):
    out = tmp_path / "out"
    write_scenes(out, count=8, val=8, size=24)
    (out / "mine.txt").write_text("keep")
    old = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"an empty folder; got .*annotations, mine.txt, train"):
        write_scenes(out, count=8, val=8, size=24)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scenes(out, count=8, val=8, size=24, seed=1, force=True, progress=stop)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == old
    write_scenes(out, count=16, val=8, size=24, seed=1, force=True)
    assert len(open_dataset(str(out), "train")) == 16
    assert (out / "mine.txt").read_text() == "keep"
    assert sorted(path.name for path in out.iterdir()) == [
        "annotations",
        "mine.txt",
        "train",
        "val",
    ]


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    real, calls = Image.Image.save, []

    def save(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 5:
            raise OSError(28, "No space left on device")
        real(self, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(OSError, match="No space left"):
        write_scenes(tmp_path / "out", count=8, val=8, size=24)
    assert list(tmp_path.iterdir()) == []


def test_broken_material_is_left_out_and_named(tmp_path, make_cutouts):
    root = make_cutouts({"cat": 1, "dog": 1, "emu": 1})
    (root / "dog" / "0.png").write_bytes(b"")
    options = SceneOptions(objects=root)
    made = write_scenes(tmp_path / "out", count=9, val=3, size=32, options=options)
    assert made.images == {"train": 6, "val": 2} and len(made.unreadable) == 4
    assert {item.name for item in made.unreadable} == {str(root / "dog" / "0.png")}
    coco = json.loads((tmp_path / "out" / "annotations" / "train.json").read_text())
    assert len(coco["images"]) == len(coco["annotations"]) == 6
    assert str(tmp_path) not in json.dumps(coco)


def test_material_that_is_broken_throughout_is_an_error(tmp_path, make_cutouts):
    root = make_cutouts({"cat": 1, "dog": 1})
    for file in root.rglob("*.png"):
        file.write_bytes(b"x")
    with pytest.raises(ValueError, match=r"readable cut-outs and backgrounds; got .*not an image"):
        write_scenes(tmp_path / "out", count=4, val=2, options=SceneOptions(objects=root))
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder_to_write_to(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ValueError, match=r"a folder to write to; got .*this is a file"):
        write_scenes(tmp_path / "out")
