"""The one word that names a data set, its limits, and batches."""

import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from foveate.data import Sample, Unreadable, collate, open_dataset, parse_source


def test_sources_are_taken_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenes").mkdir()
    assert parse_source("scenes") == ("scenes", None)
    kind, folder = parse_source("./scenes")
    assert (kind, Path(folder).resolve()) == ("folder", tmp_path / "scenes")
    assert parse_source("cifar100:a/b:c") == ("cifar100", "a/b:c")
    assert parse_source("fashion-mnist") == ("fashion-mnist", "data")
    assert parse_source("imagenet") == ("imagenet", "data/imagenet")
    assert parse_source("stanford-dogs") == ("stanford-dogs", "data/stanford-dogs")
    assert parse_source("shards:s3://bucket/a:b") == ("shards", "s3://bucket/a:b")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("scene", "got 'scene'; did you mean 'scenes'"),
        ("fashionmnist", "did you mean 'fashion-mnist'"),
        ("cifar10:x", "did you mean 'cifar100'"),
        ("image-net", "did you mean 'imagenet'"),
        ("stanford_dogs:x", "did you mean 'stanford-dogs'"),
        ("shards", "shards:FOLDER_OR_URL or an existing folder; got 'shards'"),
        ("scenes:x", r"scenes, cifar100.* or an existing folder; got 'scenes:x'"),
        ("fashion-mnist:", "got 'fashion-mnist:'"),
        ("", "got ''; known: cifar100, fashion-mnist, imagenet, scenes, shards,"),
        ("nowhere/at/all", "an existing folder; got 'nowhere/at/all'"),
    ],
)
def test_unknown_sources_name_the_near_ones(source, text):
    with pytest.raises(ValueError, match=f"open_dataset expects .*{text}"):
        open_dataset(source, "train")


def test_wrong_arguments_are_refused(make_folder):
    root = str(make_folder({"cat": 4, "dog": 4}))
    with pytest.raises(ValueError, match="a known split; got 'test'"):
        open_dataset("scenes", "test")
    with pytest.raises(TypeError, match="a string source; got NoneType"):
        open_dataset(None, "train")
    with pytest.raises(ValueError, match="limit >= 1; got 0"):
        open_dataset(root, "train", limit=0)
    with pytest.raises(ValueError, match="did you mean 'clutter'"):
        open_dataset("scenes", "train", cluter=3)
    with pytest.raises(ValueError, match="expects no options; got 'clutter'; remove it"):
        open_dataset(root, "train", clutter=3)


def test_options_reach_the_generator():
    dataset = open_dataset("scenes", "train", size=32, seed=5, count=12, classes=4, cue="match")
    assert dataset.classes == ("disc-same", "disc-other", "cross-same", "cross-other")
    assert (len(dataset), dataset.seed, dataset[0].image.shape) == (12, 5, (3, 32, 32))


def test_a_limit_on_scenes_makes_so_many_or_chooses_among_the_counted():
    assert len(open_dataset("scenes", "train", size=24, limit=1200)) == 1200
    assert len(open_dataset("scenes", "train", size=24)) == 1000
    assert len(open_dataset("scenes", "val", size=24, count=16, limit=99)) == 16
    some = open_dataset("scenes", "val", size=24, count=80, limit=16)
    assert set(Counter(some.labels).values()) == {2}
    for index in range(16):
        item, place = some[index], some.indices[index]
        assert (item.index, item.label) == (index, some.labels[index])
        assert torch.equal(item.image, some.base[place].image)
        assert torch.equal(some.annotation(index).mask, some.base.annotation(place).mask)
    assert some[-1].index == 15
    with pytest.raises(IndexError):
        some[16]


def test_a_limit_on_a_folder_is_stratified_and_seeded(make_folder):
    root = str(make_folder({"cat": 40, "dog": 20}))
    some = open_dataset(root, "train", limit=12, seed=2)
    assert Counter(some.labels) == {0: 8, 1: 4}
    names = [some[index].name for index in range(12)]
    assert [item.name for item in open_dataset(root, "train", limit=12, seed=2)] == names
    assert [item.name for item in open_dataset(root, "train", limit=12, seed=3)] != names


def test_collate_stacks_what_is_readable_and_lists_the_rest():
    bad = Unreadable(4, "x.png", "empty file (0 bytes)")
    items = [Sample(torch.full((3, 2, 2), k, dtype=torch.uint8), k, 10 + k, "n") for k in (1, 2)]
    batch = collate([items[0], bad, items[1]])
    assert batch.images[:, 0, 0, 0].tolist() == [1, 2] and batch.images.dtype == torch.uint8
    assert batch.labels.tolist() == [1, 2] and batch.labels.dtype == torch.int64
    assert batch.indices.tolist() == [11, 12] and batch.unreadable == [bad] and len(batch) == 2
    moved = batch.to("meta")
    assert moved.images.is_meta and moved.labels.is_meta and moved.unreadable == [bad]
    nothing = collate([bad])
    assert len(nothing) == 0 and nothing.images.shape[0] == 0 and nothing.unreadable == [bad]
    with pytest.raises(ValueError, match=r"images of one shape; got .*resize in the data set's"):
        collate([items[0], Sample(torch.zeros(3, 2, 3), 0, 0, "wide")])


def test_a_data_loader_yields_batches_in_worker_processes_too(make_folder):
    root = make_folder({"cat": 5, "dog": 5})
    for file in root.rglob("img0.png"):
        file.write_bytes(b"")
    scenes = open_dataset("scenes", "val", size=24, count=10)
    loader = torch.utils.data.DataLoader(scenes, batch_size=4, collate_fn=collate, num_workers=1)
    batches = list(loader)
    assert torch.cat([batch.labels for batch in batches]).tolist() == list(scenes.labels)
    assert torch.equal(batches[2].images[1], scenes[9].image)
    both = [open_dataset(str(root), split) for split in ("train", "val")]
    assert sum(isinstance(item, Unreadable) for dataset in both for item in dataset) == 2


@pytest.mark.parametrize("source", ["scenes", "folder"])
def test_data_sets_can_be_pickled(source, make_folder):
    root = source if source == "scenes" else str(make_folder({"cat": 4, "dog": 4}))
    dataset = open_dataset(root, "train", size=24, limit=5)
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copy[3].image, dataset[3].image) and copy.classes == dataset.classes


def test_importing_the_data_loads_neither_pillow_nor_torchvision():
    code = (
        "import sys, foveate.data; foveate.data.open_dataset('scenes', 'val', limit=2)[0]\n"
        "print(sorted({'PIL', 'torchvision', 'timm', 'lightning'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
