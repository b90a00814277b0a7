"""``foveate shards``, as the user calls it."""

import shutil

import pytest

pytest.importorskip("typer")

from foveate.cli.shards import parse_size
from foveate.data import open_dataset


@pytest.fixture
def scenes(tmp_path, foveate):
    """A small data set on disk."""
    root = tmp_path / "scenes"
    words = ("--count", 12, "--val", 8, "--size", 24, "--classes", 4, "--quiet")
    assert foveate("scenes", root, *words)[0] == 0
    return root


def test_both_splits_are_written_and_can_be_opened(tmp_path, scenes, foveate):
    out = tmp_path / "out"
    code, shown, _ = foveate("shards", scenes, out, "--size", "20kB")
    assert code == 0
    assert "train: 12 images in 4 shards, 0.0 MB" in shown and "val: 8 images in 3 " in shown
    assert f"--data shards:{out}" in shown
    for split, count in (("train", 12), ("val", 8)):
        dataset = open_dataset(f"shards:{out}", split)
        assert len(dataset) == count and dataset.classes == open_dataset(str(scenes), split).classes
    assert len(open_dataset(f"shards:{out}", "train").blocks) > 1
    code, _, complaint = foveate("shards", scenes, out, "--split", "val", "--quiet")
    assert code == 1 and "--force" in complaint
    assert foveate("shards", scenes, out, "--split", "val", "--quiet", "--force")[0] == 0


def test_an_index_is_made_of_tars_that_lost_theirs(tmp_path, scenes, foveate):
    out = tmp_path / "out"
    foveate("shards", scenes, out, "--quiet")
    before = (out / "index.json").read_bytes()
    code, _, complaint = foveate("shards", "--index", out)
    assert code == 1 and "a folder without one" in complaint
    (out / "index.json").unlink()
    code, shown, _ = foveate("shards", "--index", out)
    assert code == 0 and "4 classes; train from it" in shown
    assert (out / "index.json").read_bytes() == before


@pytest.mark.filterwarnings("ignore:imagenet has")
def test_nothing_is_written_where_the_splits_do_not_fit_together(tmp_path, foveate):
    # Both are opened before hours are spent on the first.
    imagenet = tmp_path / "imagenet"
    for split, wnids in (("train", "12"), ("val", "123")):
        for wnid in wnids:
            folder = imagenet / split / f"n0000000{wnid}"
            folder.mkdir(parents=True)
            (folder / "1.JPEG").write_bytes(b"any")
    code, _, complaint = foveate("shards", f"imagenet:{imagenet}", tmp_path / "out")
    assert code == 1 and "the same classes in train and val; got 2 in train, 3 in" in complaint
    shutil.rmtree(imagenet / "val")
    code, _, complaint = foveate("shards", f"imagenet:{imagenet}", tmp_path / "out")
    assert code == 1 and "ILSVRC2012_img_val.tar" in complaint
    assert not (tmp_path / "out").exists()


def test_ctrl_c_says_what_was_not_written(tmp_path, scenes, foveate, monkeypatch):
    from foveate.data.folder import FolderDataset

    def stop(self, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(FolderDataset, "read_bytes", stop)
    code, _, complaint = foveate("shards", scenes, tmp_path / "out")
    assert code == 130 and "no train was written to" in complaint
    assert not (tmp_path / "out").exists()


def test_unreadable_images_are_listed(tmp_path, scenes, foveate):
    file = next((scenes / "val").rglob("*.png"))
    file.write_bytes(b"")
    code, shown, _ = foveate("shards", scenes, tmp_path / "out", "--split", "val", "--quiet")
    assert code == 0 and "left out as unreadable: 1" in shown
    assert f"{file}: empty file (0 bytes)" in shown


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "expects a data set and a folder to make, or --index FOLDER alone; got nothing"),
        (("scenes",), "got scenes"),
        (("scenes", "out", "--index", "x"), "got scenes out --index x"),
        (("--index", "x", "--split", "val"), "no --split"),
        (("scenes", "out", "--split", "test"), "a known split; got 'test'"),
        (("scenes", "out", "--size", "many"), "a size such as 100MB; got 'many'"),
        (("scenes", "out", "--size", "1kB"), "shard_bytes >= 10240; got 1000"),
        (("scens", "out"), "did you mean 'scenes'"),
    ],
)
def test_wrong_usage_is_told(foveate, words, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, complaint = foveate("shards", *words)
    assert code == 1 and text in complaint
    assert not list(tmp_path.iterdir())


def test_sizes_are_read():
    texts = {"20480": 20480, "1 kB": 1000, "2.5mb": 2_500_000, "1G": 10**9}
    assert {text: parse_size(text) for text in texts} == texts


def test_help_shows_an_example(foveate):
    code, shown, _ = foveate("shards", "--help")
    assert code == 0 and "foveate shards imagenet:data/imagenet shards/imagenet" in shown
