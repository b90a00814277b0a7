"""Each file that broke a reader, or would have cost minutes or all memory, one by one."""

import gzip
import io
import json
import os
import struct
import tarfile
import time
import zlib

import archive_readers as archives
import numpy as np
import pytest
import scipy.io
import torch
from harness import little_memory
from PIL import Image

from foveate.core.reading import NotRegularError, lies_in, parse_xml, read_file, read_json
from foveate.data import Unreadable, open_dataset, open_images
from foveate.data import archives as data_archives
from foveate.data.archives import read_idx
from foveate.data.coco import read_annotations
from foveate.data.coco_masks import fill_polygon
from foveate.data.files import FolderStore, StoreDataset, inside
from foveate.data.images import UnreadableImageError, read_image
from foveate.data.matlab import read_mat
from foveate.data.shards.index import ShardIndex
from foveate.data.shards.scan import find_shards, index_tars
from foveate.data.tars import scan_tar, tar_index
from foveate.detection.data import open_detection, open_voc
from foveate.detection.data.headers import read_header
from foveate.training import load_recipe, parse_recipe, parse_study
from foveate.training.checkpoints import AtomicCheckpointIO
from foveate.training.toml import parse_value

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


@pytest.fixture(autouse=True)
def _bounded():
    begun = time.process_time()
    with little_memory():
        yield
    assert time.process_time() - begun < 20


def test_postscript_named_png_starts_no_program(tmp_path, monkeypatch):
    """Pillow would hand it to Ghostscript."""
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program"))
    (tmp_path / "a.png").write_bytes(POSTSCRIPT)
    with pytest.raises(UnreadableImageError, match="not an image"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["1" * 300, "a/" * 3000 + "a.png", "\ud800.png"])
def test_a_name_that_no_file_can_have_is_no_image(name, tmp_path):
    images = StoreDataset(FolderStore(tmp_path), [name], [0], ["one"])
    assert images[0].reason == "a name that no file can have" and images.key_of(0) == name


def test_a_name_that_is_no_utf_8_is_read(tmp_path):
    name = os.fsdecode(b"a\xe9.png")
    Image.new("RGB", (4, 3)).save(tmp_path / "one.png")
    (tmp_path / "one.png").rename(tmp_path / name)
    images = StoreDataset(FolderStore(tmp_path), [name], [0], ["one"])
    assert images[0].image.shape == (3, 3, 4)


def test_a_link_to_an_endless_device_is_no_image(tmp_path):
    (tmp_path / "a.png").symlink_to("/dev/zero")
    images = open_images(f"loose:{tmp_path}")
    assert images[0].reason == "no regular file"
    assert read_header(tmp_path / "a.png") is None
    with pytest.raises(NotRegularError, match="a regular file; got a device or a pipe"):
        read_file(tmp_path / "a.png", 9)


def test_a_pipe_does_not_hang(tmp_path):
    import os

    os.mkfifo(tmp_path / "a.png")
    assert isinstance(open_images(f"loose:{tmp_path}")[0], Unreadable)


def test_a_file_beyond_its_limit_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", 5) == b"12345"
    with pytest.raises(ValueError, match="at most 4 bytes; got 5 bytes"):
        read_file(tmp_path / "a", 4)


@pytest.mark.parametrize("name", ["/dev/zero", "../a.png", "b/../../a.png", "a\0.png"])
def test_annotations_name_files_of_their_folder_alone(tmp_path, name):
    home = tmp_path / "home"
    home.mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    Image.new("RGB", (9, 9)).save(home / "b.png")
    with pytest.raises(FileNotFoundError, match="the name of a file in"):
        inside(home, name)
    with pytest.raises(FileNotFoundError):
        FolderStore(home).read(name)
    images = [
        {"id": n, "file_name": f, "height": 9, "width": 9} for n, f in ((1, name), (2, "b.png"))
    ]
    (home / "a.json").write_text(
        json.dumps({"images": images, "annotations": [], "categories": [{"id": 1, "name": "a"}]})
    )
    assert isinstance(open_images(f"coco:{home / 'a.json'}:{home}")[0], Unreadable)
    boxes = open_detection(f"coco:{home / 'a.json'}:{home}", "val")
    assert boxes.problems
    assert all(
        isinstance(boxes.read(i), Unreadable) == (boxes.name_of(i) != "b.png")
        for i in range(len(boxes))
    )


def test_a_mask_of_a_few_bytes_does_not_fill_the_memory(tmp_path):
    side = 10**6
    mask = {"size": [side, side], "counts": [side * side]}
    note = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "segmentation": mask}
    image = {"id": 1, "file_name": "a.png", "height": side, "width": side}
    tree = {"images": [image], "annotations": [note], "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "a.json").write_text(json.dumps(tree))
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="a mask of 1000000 x 1000000 pixels"):
        read_annotations(tmp_path / "a.json", ("a",))
    assert open_images(f"coco:{tmp_path / 'a.json'}:{tmp_path}").annotation(0) is None


def test_a_polygon_of_many_corners_is_filled_in_little_memory():
    turns = np.linspace(0, 2 * np.pi, 200000, endpoint=False)
    corners = np.stack([np.cos(turns), np.sin(turns)], 1) * 5000 + 10000
    mask = fill_polygon(corners.reshape(-1).tolist(), 20000, 64)
    assert mask.shape == (20000, 64)
    wide = fill_polygon((corners / 200).reshape(-1).tolist(), 100, 100)
    assert wide.sum().item() == pytest.approx(np.pi * 25**2, rel=0.01)


def test_entities_are_never_expanded(tmp_path):
    from annotation_readers import LAUGHS, OUTSIDE

    for bomb in (LAUGHS, OUTSIDE):
        with pytest.raises(ValueError, match="document type declaration"):
            parse_xml(bomb)
        (tmp_path / "a.xml").write_bytes(bomb)
        with pytest.raises(ValueError, match=r"document type declaration"):
            open_voc(tmp_path, None)


def test_an_unknown_encoding_is_a_damaged_annotation():
    from foveate.data.voc import read_boxes

    with pytest.raises(ValueError, match="damaged annotation: unknown encoding"):
        read_boxes(b'<?xml version="1.0" encoding="x-y"?><a/>')


def test_sizes_whose_product_wraps_around_are_no_idx_file(tmp_path):
    (tmp_path / "a").write_bytes(archives.ZEROS)
    with pytest.raises(ValueError, match="an idx file of bytes"):
        read_idx(tmp_path / "a")


def test_a_gzip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(data_archives, "_MOST", 1 << 16)
    head = struct.pack(">HBB1I", 0, 8, 1, 1 << 20)
    (tmp_path / "a.gz").write_bytes(gzip.compress(head + bytes(1 << 20)))
    with pytest.raises(ValueError, match="more than 65536 bytes in it"):
        read_idx(tmp_path / "a.gz")


def test_a_matlab_bomb_is_refused():
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"a": np.zeros(1 << 22)}, do_compression=True)
    assert len(buffer.getvalue()) < 1 << 18
    with pytest.raises(ValueError, match="more than 16777216 bytes in it"):
        read_mat(buffer.getvalue())


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_elements_of_no_kind_do_not_reach_scipy(packed, order):
    """It looked their kind up beyond the end of a table, which ended the process."""
    buffer = io.BytesIO()
    made = np.zeros(3, [("name", object), ("number", object)])
    scipy.io.savemat(buffer, {"all": made, "one": np.arange(4.0)}, do_compression=False)
    content = bytearray(buffer.getvalue())
    if order == "<":
        assert set(read_mat(bytes(content))) >= {"all", "one"}
    else:
        content[126:128] = b"MI"  # All its numbers are now of the other order, and make no sense.
    where = content.rindex(b"\x09\0\0\0\x20")
    content[where : where + 2] = b"\x09\x09"
    if packed:
        parts = zlib.compress(bytes(content[128:]))
        content[128:] = struct.pack(f"{order}II", 15, len(parts)) + parts
    with pytest.raises(ValueError, match="damaged element"):
        read_mat(bytes(content))


@pytest.mark.parametrize("kind", ["char", "struct", "many"])
def test_sides_that_stand_for_more_than_is_there_do_not_reach_scipy(kind):
    """It made room for all of them, gigabytes by a file of 200 bytes."""
    buffer = io.BytesIO()
    one = {"char": "ab", "struct": np.zeros((2, 3), [("name", object)])}.get(kind, np.zeros((2, 3)))
    given = {f"x{number}": one for number in range(5 if kind == "many" else 1)}
    scipy.io.savemat(buffer, given, do_compression=False)
    content = buffer.getvalue()
    sides = struct.pack("<II", 5, 8) + struct.pack("<ii", *np.atleast_2d(one).shape)
    if kind == "char":
        sides = struct.pack("<IIii", 5, 8, 1, 2)
    assert sides in content and len(read_mat(content)) >= 4
    side = 2000 if kind == "many" else 5000
    wrong = content.replace(sides, struct.pack("<IIii", 5, 8, side, side))
    with pytest.raises(ValueError, match="matrices of more than"):
        read_mat(wrong)


def test_a_packed_part_without_its_end_does_not_reach_scipy():
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"one": np.arange(99.0)}, do_compression=True)
    content = bytearray(buffer.getvalue())
    content[132:136] = struct.pack("<I", struct.unpack("<I", content[132:136])[0] - 2)
    with pytest.raises(ValueError, match="cut off"):
        read_mat(bytes(content))


def test_links_in_archives_are_not_followed_round(tmp_path):
    """A link that leads to itself made tarfile call itself until Python gave up."""
    (tmp_path / "lists.tar").write_bytes(archives.LOOP)
    (tmp_path / "images.tar").write_bytes(archives.DOGS)
    with pytest.raises(ValueError, match="no file of at most"):
        open_dataset(f"stanford-dogs:{tmp_path}", "val")
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(archives.ROUND)
    with pytest.raises(ValueError, match=r"a damaged cifar-100-python\.tar\.gz"):
        open_dataset(f"cifar100:{tmp_path}", "val")


@pytest.mark.parametrize("make", [archives._negative, archives._long_names])
def test_tar_headers_that_lead_back_end(tmp_path, make):
    (tmp_path / "a.tar").write_bytes(make())
    with pytest.raises(ValueError, match="a whole tar archive"):
        scan_tar(tmp_path / "a.tar")


def test_a_name_that_is_no_utf8_is_told(tmp_path):
    header = tarfile.TarInfo("a")
    content = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    content[0] = 0xFF
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    (tmp_path / "a.tar").write_bytes(bytes(content) + bytes(1024))
    with pytest.raises(ValueError, match="names in UTF-8"):
        scan_tar(tmp_path / "a.tar")


def test_a_kept_index_of_other_places_is_made_again(tmp_path):
    file = tmp_path / "a.tar"
    file.write_bytes(archives.SOUND)
    whole = tar_index(file)
    kept = tmp_path / "a.tar.index.npz"
    with np.load(kept) as arrays:
        tree = dict(arrays)
    for name, value in (("offsets", tree["offsets"] - 10**6), ("sizes", tree["sizes"] + 10**9)):
        with kept.open("wb") as handle:
            np.savez(handle, **{**tree, name: value})
        assert tar_index(file).offsets.tolist() == whole.offsets.tolist()
        assert tar_index(file).sizes.tolist() == whole.sizes.tolist()


@pytest.mark.parametrize("number", [b"99999999999", b"9" * 5000])
def test_a_class_number_does_not_make_a_list_of_that_length(tmp_path, number):
    files = {"a.png": b"", "a.cls": number}
    (tmp_path / "val-0.tar").write_bytes(archives._tar(files))
    assert index_tars(tmp_path, find_shards(tmp_path)).classes == (number.decode(),)


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"name": "a\0b"}, {"bytes": 2**70}, {"labels": [[0]]}, {"labels": [0, 0]}],
)
def test_an_index_of_shards_that_cannot_be_is_refused(change):
    shard = {"name": "a.tar", "bytes": 9, "sha256": "0" * 64, "files": ["a.png"]}
    shard |= {"labels": [0], "offsets": [0], "sizes": [1]} | change
    tree = {"format": "foveate-shards-1", "classes": ["a"], "splits": {"val": [shard]}}
    with pytest.raises(ValueError, match="it expects an index of format"):
        ShardIndex.parse(json.dumps(tree).encode(), "it")


@pytest.mark.parametrize("text", ["a" + ".a" * 50000 + " = 1", "a = " + "[" * 50000])
def test_toml_that_takes_minutes_or_the_stack_is_refused(tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ValueError, match=r"a\.toml expects valid TOML"):
        load_recipe(tmp_path / "a.toml")
    assert parse_value("[" * 50000) == "[" * 50000
    assert parse_value("a" + ".a" * 50000).startswith("a.a")


def test_json_that_takes_the_stack_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100000)
    with pytest.raises(ValueError, match=r"a\.json expects valid JSON; got RecursionError"):
        read_json(tmp_path / "a.json")


def test_a_checkpoint_that_would_run_something_runs_nothing(tmp_path, monkeypatch):
    from folder_readers import EVIL

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ckpt").write_bytes(EVIL)
    with pytest.raises(ValueError, match="tensors and plain values only"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "a.ckpt")
    assert not (tmp_path / "executed").exists()
    torch.load(tmp_path / "a.ckpt", weights_only=False)
    assert (tmp_path / "executed").exists(), "the file is harmless, so nothing was shown"


@pytest.mark.parametrize("seeds", [2**31, 2**63, [10**400], [2**32]])
def test_seeds_beyond_reason_are_refused(seeds):
    with pytest.raises(ValueError, match=r"seeds"):
        parse_study({"seeds": seeds})


def test_a_task_that_is_no_text_is_refused():
    with pytest.raises(ValueError, match=r"task expects one of"):
        parse_recipe({"task": []})


@pytest.mark.parametrize("number", ["nan", "-inf"])
def test_options_are_finite_as_settings_are(number, tmp_path):
    """Written back they were null, which TOML has not."""
    (tmp_path / "a.toml").write_text(f"[data]\noptions = {{a = [{{b = {number}}}]}}\n")
    with pytest.raises(ValueError, match=r"data.options.*finite"):
        load_recipe(tmp_path / "a.toml")


@pytest.mark.parametrize("name", ["x" * 3000, "\ud800", "a\0b", "../a.png"])
def test_a_name_that_no_file_can_have_lies_nowhere(name, tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "in").mkdir()
    assert lies_in(tmp_path, "in/../a.png") and not lies_in(tmp_path / "in", name)
