"""Fashion-MNIST and CIFAR-100 from files on disk, tiny ones made here."""

import gzip
import hashlib
import pickle
import tarfile

import numpy as np
import pytest
import torch

from foveate.data import open_dataset
from foveate.data.archives import read_idx


@pytest.fixture
def fashion(tmp_path, write_idx):
    def make(root, kind=".gz"):
        rng = np.random.default_rng(0)
        arrays = {}
        for part, count in (("train", 30), ("t10k", 20)):
            arrays[part] = (rng.integers(0, 256, (count, 28, 28)), np.arange(count) % 10)
            write_idx(root / f"{part}-images-idx3-ubyte{kind}", arrays[part][0])
            write_idx(root / f"{part}-labels-idx1-ubyte{kind}", arrays[part][1])
        return arrays

    return make


@pytest.mark.parametrize(("below", "kind"), [("", ".gz"), ("", ""), ("FashionMNIST/raw", "")])
def test_fashion_mnist_is_found_and_read(tmp_path, fashion, below, kind):
    arrays = fashion(tmp_path / below, kind)
    for split, part in (("train", "train"), ("val", "t10k")):
        dataset = open_dataset(f"fashion-mnist:{tmp_path}", split)
        images, labels = arrays[part]
        assert len(dataset) == len(labels) and tuple(dataset.labels) == tuple(labels)
        for index in (0, 7, len(labels) - 1):
            item = dataset[index]
            assert item.image.shape == (3, 28, 28) and item.label == labels[index]
            assert all((plane.numpy() == images[index]).all() for plane in item.image)
    assert dataset.classes[9] == "Ankle boot" and dataset[7].name == "fashion-mnist/val/00007"


def test_fashion_mnist_agrees_with_torchvision(tmp_path, fashion):
    datasets = pytest.importorskip("torchvision.datasets")
    fashion(tmp_path / "FashionMNIST" / "raw", "")
    want = datasets.FashionMNIST(str(tmp_path), train=True, download=False)
    ours = open_dataset(f"fashion-mnist:{tmp_path}", "train")
    assert list(ours.classes) == want.classes
    assert torch.equal(ours.images, want.data) and list(ours.labels) == want.targets.tolist()


def test_an_image_changed_by_the_caller_leaves_the_data_set_alone(tmp_path, fashion):
    fashion(tmp_path)
    dataset = open_dataset(f"fashion-mnist:{tmp_path}", "val")
    before = dataset[0].image.clone()
    dataset[0].image.fill_(0)
    assert torch.equal(dataset[0].image, before)


def test_a_missing_fashion_mnist_says_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz in .*github.com/zalando"):
        open_dataset(f"fashion-mnist:{tmp_path}", "train")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte.gz in data or data/FashionMNIST"):
        open_dataset("fashion-mnist", "val")


def test_broken_idx_files_are_named(tmp_path, fashion, write_idx):
    fashion(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    short = gzip.compress(gzip.decompress(whole)[:-1])
    wrong = gzip.compress(b"\x00\x00\x0d\x01" + b"\x00" * 8)
    for content in (whole[:-30], b"", b"plain", short, wrong, gzip.compress(b"\x00")):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"train-images.* expects an idx file of bytes"):
            open_dataset(f"fashion-mnist:{tmp_path}", "train")
    file.write_bytes(whole)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(29))
    with pytest.raises(ValueError, match="as many labels as images"):
        open_dataset(f"fashion-mnist:{tmp_path}", "train")
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.full(30, 10))
    with pytest.raises(ValueError, match="labels below 10; got 10"):
        open_dataset(f"fashion-mnist:{tmp_path}", "train")


def test_an_idx_file_keeps_its_shape(tmp_path, write_idx):
    write_idx(tmp_path / "x", np.arange(24).reshape(2, 3, 4))
    assert torch.equal(read_idx(tmp_path / "x"), torch.arange(24).reshape(2, 3, 4).to(torch.uint8))


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Write a CIFAR-100 of five images a split, with its checksums made known to torchvision."""
    datasets = pytest.importorskip("torchvision.datasets")
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    names = [f"thing{k}" for k in range(100)]
    data = np.random.default_rng(1).integers(0, 256, (5, 3072), dtype=np.uint8)
    lists = {}
    for part in ("train", "test", "meta"):
        content = {"fine_label_names": names} if part == "meta" else {}
        if part != "meta":
            content = {"data": data, "fine_labels": [0, 99, 5, 5, 1]}
        raw = pickle.dumps(content)
        (folder / part).write_bytes(raw)
        lists[part] = [part, hashlib.md5(raw).hexdigest()]
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [lists["train"]])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [lists["test"]])
    meta = {"filename": "meta", "key": "fine_label_names", "md5": lists["meta"][1]}
    monkeypatch.setattr(datasets.CIFAR100, "meta", meta)
    return data


def test_cifar100_is_read_through_torchvision(tmp_path, cifar):
    for split in ("train", "val"):
        dataset = open_dataset(f"cifar100:{tmp_path}", split)
        assert len(dataset.classes) == 100 and tuple(dataset.labels) == (0, 99, 5, 5, 1)
        item = dataset[1]
        assert item.name == f"cifar100/{split}/00001" and item.label == 99
        assert (item.image.numpy() == cifar[1].reshape(3, 32, 32)).all()


def test_cifar100_is_read_from_its_archive_too(tmp_path, cifar):
    elsewhere = tmp_path / "packed"
    elsewhere.mkdir()
    archive = elsewhere / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "cifar-100-python", "cifar-100-python")
    ours = open_dataset(f"cifar100:{elsewhere}", "val")
    assert torch.equal(ours.images, open_dataset(f"cifar100:{tmp_path}", "val").images)
    assert [path.name for path in elsewhere.iterdir()] == [archive.name]
    whole = archive.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"text"):
        archive.write_bytes(content)
        with pytest.raises(ValueError, match=r"got a damaged cifar-100-python.tar.gz .*fetch http"):
            open_dataset(f"cifar100:{elsewhere}", "train")
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "cifar-100-python" / "meta", "cifar-100-python/meta")
    with pytest.raises(ValueError, match=r"damaged .*'cifar-100-python/train' not found"):
        open_dataset(f"cifar100:{elsewhere}", "train")


def test_a_missing_cifar100_says_what_to_fetch(tmp_path, cifar):
    elsewhere = tmp_path / "elsewhere"
    text = r"tar.gz, or the folder .*elsewhere; got no such files; fetch https://www.cs.toronto"
    with pytest.raises(ValueError, match=text):
        open_dataset(f"cifar100:{elsewhere}", "train")
    elsewhere.mkdir()
    (elsewhere / "cifar-10.zip").write_bytes(b"")
    with pytest.raises(ValueError, match=r"got cifar-10.zip; fetch"):
        open_dataset(f"cifar100:{elsewhere}", "train")
    (tmp_path / "cifar-100-python" / "train").write_bytes(b"broken")
    with pytest.raises(ValueError, match="missing or corrupted files"):
        open_dataset(f"cifar100:{tmp_path}", "train")
