"""ImageNet-1k as class folders, flat validation images and archives, in small: three classes."""

import pickle
import shutil
import sys

import numpy as np
import pytest
import torch

from foveate.data import Unreadable, collate, imagenet, open_dataset

scipy_io = pytest.importorskip("scipy.io")

# The devkit's ids do not follow the order of the WordNet ids, which labels do.
WNIDS = ("n01440764", "n01443537", "n02089078")
ID_OF = {"n01440764": 2, "n01443537": 3, "n02089078": 1}
TRAIN = {wnid: 3 + k for k, wnid in enumerate(WNIDS)}
TRUTH = (1, 3, 2, 2, 1, 3, 3)
LABELS = (2, 1, 0, 0, 2, 1, 1)


@pytest.fixture(autouse=True)
def three_classes(monkeypatch):
    monkeypatch.setattr(imagenet, "CLASSES", 3)


@pytest.fixture
def train_files(jpeg):
    return {
        wnid: {f"{wnid}_{k}.JPEG": jpeg(20 * label + k, (6 + k, 5)) for k in range(TRAIN[wnid])}
        for label, wnid in enumerate(WNIDS)
    }


@pytest.fixture
def val_files(jpeg):
    return {f"ILSVRC2012_val_{n:08d}.JPEG": jpeg(100 + n) for n in range(1, len(TRUTH) + 1)}


@pytest.fixture
def devkit(tmp_path, tar_of):
    """Write a devkit of three classes and one parent, packed or as a folder."""

    def make(root, packed=True, truth=TRUTH, synsets=None):
        rows = [(number, wnid, f"words of {wnid}", 0) for wnid, number in ID_OF.items()]
        rows.append((4, "n00001740", "entity", 3))
        kinds = [("ILSVRC2012_ID", "f8"), ("WNID", "O"), ("words", "O"), ("num_children", "f8")]
        table = np.array(sorted(rows), dtype=kinds).reshape(-1, 1)
        scipy_io.savemat(tmp_path / "meta.mat", synsets or {"synsets": table})
        files = {
            "meta.mat": (tmp_path / "meta.mat").read_bytes(),
            "ILSVRC2012_validation_ground_truth.txt": "".join(f"{n}\n" for n in truth).encode(),
        }
        name = "ILSVRC2012_devkit_t12"
        if packed:
            members = {f"{name}/data/{file}": content for file, content in files.items()}
            tar_of(members, root / f"{name}.tar.gz", "w:gz")
        else:
            write(root / name / "data", files)

    return make


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def archives(tmp_path, tar_of, train_files, val_files, devkit):
    """The archives as they are downloaded."""
    root = tmp_path / "archives"
    inner = {f"{wnid}.tar": tar_of(files) for wnid, files in train_files.items()}
    tar_of(inner, root / "ILSVRC2012_img_train.tar")
    tar_of(val_files, root / "ILSVRC2012_img_val.tar")
    devkit(root)
    return root


@pytest.fixture
def folders(tmp_path, train_files, val_files):
    """What the usual scripts unpack: a folder a class in train and val."""
    root = tmp_path / "folders"
    for wnid, files in train_files.items():
        write(root / "train" / wnid, files)
    for (name, content), label in zip(val_files.items(), LABELS, strict=True):
        write(root / "val" / WNIDS[label], {name: content})
    return root


def items(dataset):
    """Images and labels by the name of the file."""
    return {
        item.name.rpartition("/")[2]: (item.image, item.label)
        for item in (dataset[k] for k in range(len(dataset)))
    }


def same(left, right):
    return left.keys() == right.keys() and all(
        torch.equal(left[name][0], right[name][0]) and left[name][1] == right[name][1]
        for name in left
    )


@pytest.mark.parametrize("split", ["train", "val"])
def test_archives_and_folders_hold_the_same_images_and_labels(archives, folders, split):
    packed, plain = (open_dataset(f"imagenet:{root}", split) for root in (archives, folders))
    assert packed.classes == plain.classes == WNIDS
    assert len(packed) == len(plain) == (12 if split == "train" else 7)
    assert same(items(packed), items(plain))
    if split == "train":
        assert list(packed.labels) == list(plain.labels) == [0] * 3 + [1] * 4 + [2] * 5
        assert (
            packed.name_of(0)
            == packed[0].name
            == (f"{archives / 'ILSVRC2012_img_train.tar'}/n01440764/n01440764_0.JPEG")
        )
    files = {path.name: path.read_bytes() for path in (folders / split).rglob("*.JPEG")}
    for k in range(len(packed)):
        assert packed.original(k) == (files[packed.name_of(k).rpartition("/")[2]], ".jpeg")
    assert not (archives / "train").exists(), "archives are never unpacked"


def test_labels_agree_with_torchvision(archives, folders):
    datasets = pytest.importorskip("torchvision.datasets")
    for split in ("train", "val"):
        want = datasets.ImageFolder(str(folders / split))
        ours = items(open_dataset(f"imagenet:{archives}", split))
        assert {path.rpartition("/")[2]: label for path, label in want.samples} == {
            name: label for name, (_, label) in ours.items()
        }


@pytest.mark.parametrize("packed", [True, False])
def test_flat_validation_images_get_their_labels_from_the_devkit(
    tmp_path, folders, val_files, devkit, packed
):
    root = tmp_path / "flat"
    # One image is absent: labels go by the number in the name, not by the count.
    chosen = {name: content for name, content in val_files.items() if "0003" not in name}
    write(root / "val", chosen)
    devkit(root, packed)
    flat = open_dataset(f"imagenet:{root}", "val")
    assert list(flat.labels) == [label for k, label in enumerate(LABELS) if k != 2]
    want = items(open_dataset(f"imagenet:{folders}", "val"))
    want.pop("ILSVRC2012_val_00000003.JPEG")
    assert same(items(flat), want)
    write(root / "val", {"ILSVRC2012_val_00000008.JPEG": b""})
    with pytest.raises(ValueError, match="numbered 1 to 7, as in the devkit; got 1 to 8"):
        open_dataset(f"imagenet:{root}", "val")


def test_a_choice_of_classes_as_folders_says_how_many(folders):
    for split in ("train", "val"):
        shutil.rmtree(folders / split / WNIDS[1])
    with pytest.warns(UserWarning, match="imagenet has 2 of 3 classes in .*train: their labels"):
        dataset = open_dataset(f"imagenet:{folders}", "train")
    assert dataset.classes == (WNIDS[0], WNIDS[2]) and set(dataset.labels) == {0, 1}
    for file in (folders / "train" / WNIDS[0]).iterdir():
        file.unlink()
    with (
        pytest.warns(UserWarning, match="2 of 3"),
        pytest.raises(ValueError, match=f"images in each class folder; got none in .*{WNIDS[0]}"),
    ):
        open_dataset(f"imagenet:{folders}", "train")


def test_an_archive_without_one_class_is_refused(archives, tar_of, train_files):
    whole = archives / "ILSVRC2012_img_train.tar"
    tar_of({f"{wnid}.tar": tar_of(train_files[wnid]) for wnid in WNIDS[1:]}, whole)
    with pytest.raises(ValueError, match=r"class tars of all classes; got 2, n01440764 missing"):
        open_dataset(f"imagenet:{archives}", "train")
    (archives / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    with pytest.raises(ValueError, match=r"class tars of all classes; got 2; fetch the archive"):
        open_dataset(f"imagenet:{archives}", "train")
    tar_of(train_files[WNIDS[0]], whole)
    with pytest.raises(ValueError, match=r"a tar of class tars such as .*got n01440764_0.JPEG in"):
        open_dataset(f"imagenet:{archives}", "train")


def test_a_train_archive_of_all_classes_needs_no_devkit(archives):
    (archives / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    assert len(open_dataset(f"imagenet:{archives}", "train")) == 12
    text = r"devkit_t12.tar.gz in .*labels of the validation images; got in .*img_train.tar.*fetch"
    with pytest.raises(ValueError, match=text):
        open_dataset(f"imagenet:{archives}", "val")


def test_broken_archives_are_named(archives, devkit):
    for split in ("train", "val"):
        file = archives / f"ILSVRC2012_img_{split}.tar"
        whole = file.read_bytes()
        for share in (0.2, 0.45):
            file.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(ValueError, match=rf"img_{split}.tar.* expects a whole tar.*fetch"):
                open_dataset(f"imagenet:{archives}", split)
        file.write_bytes(whole)
    devkit(archives, truth=TRUTH[:-1])
    with pytest.raises(ValueError, match="6 images, as the devkit has labels; got 7 named"):
        open_dataset(f"imagenet:{archives}", "val")
    text = r"t12.tar.gz expects the devkit of 2012; got .*"
    devkit(archives, truth=(1, 9))
    with pytest.raises(ValueError, match=text + "ids of classes in meta.mat; got id 9"):
        open_dataset(f"imagenet:{archives}", "val")
    devkit(archives, synsets={"other": 1})
    with pytest.raises(ValueError, match=text + "synsets with ILSVRC2012_ID"):
        open_dataset(f"imagenet:{archives}", "val")
    kit = archives / "ILSVRC2012_devkit_t12.tar.gz"
    whole = kit.read_bytes()
    flipped = whole[:300] + bytes(255 - byte for byte in whole[300:400]) + whole[400:]
    for content in (whole[:100], flipped, b"", b"text"):
        kit.write_bytes(content)
        with pytest.raises(ValueError, match=text):
            open_dataset(f"imagenet:{archives}", "val")


def test_an_unreadable_member_is_named_and_nothing_takes_its_place(
    tmp_path, tar_of, train_files, archives
):
    train_files[WNIDS[1]][f"{WNIDS[1]}_2.JPEG"] = b"no image"
    inner = {f"{wnid}.tar": tar_of(files) for wnid, files in train_files.items()}
    tar_of(inner, archives / "ILSVRC2012_img_train.tar")
    dataset = open_dataset(f"imagenet:{archives}", "train")
    bad = [item for item in (dataset[k] for k in range(12)) if isinstance(item, Unreadable)]
    assert [(item.index, item.reason) for item in bad] == [(5, "not an image")]
    assert bad[0].name.endswith("img_train.tar/n01443537/n01443537_2.JPEG")


def test_an_archive_that_goes_away_stops_the_run_instead_of_every_image(archives):
    dataset = open_dataset(f"imagenet:{archives}", "train")
    (archives / "ILSVRC2012_img_train.tar").unlink()
    with pytest.raises(OSError, match=r"img_train.tar expects an archive that stays") as caught:
        dataset[0]
    assert not isinstance(caught.value, FileNotFoundError)


def test_missing_data_say_what_to_fetch_where_to_put_it_and_what_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    want = (
        r"imagenet expects ILSVRC2012_img_train.tar or train/n01440764/.* in data/imagenet; got no"
        r" folder data/imagenet; fetch ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and"
        r" ILSVRC2012_devkit_t12.tar.gz from https://image-net.org/download-images \(it needs an"
    )
    with pytest.raises(ValueError, match=want):
        open_dataset("imagenet", "train")
    (tmp_path / "data" / "imagenet" / "val").mkdir(parents=True)
    (tmp_path / "data" / "imagenet" / "val.zip").write_bytes(b"")
    with pytest.raises(ValueError, match=r"got in data/imagenet: val.zip, val/; fetch"):
        open_dataset("imagenet", "val")


def test_without_scipy_the_devkit_says_which_extra(archives, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    assert len(open_dataset(f"imagenet:{archives}", "train")) == 12
    with pytest.raises(ImportError, match=r"needs the package scipy.*foveate\[archives\]"):
        open_dataset(f"imagenet:{archives}", "val")


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_worker_processes_read_the_archive_too(archives, context):
    dataset = open_dataset(f"imagenet:{archives}", "val")
    copy = pickle.loads(pickle.dumps(dataset))
    assert same(items(copy), items(dataset))
    loader = torch.utils.data.DataLoader(
        dataset, 3, collate_fn=collate, num_workers=2, multiprocessing_context=context
    )
    batches = list(loader)
    assert torch.cat([batch.labels for batch in batches]).tolist() == list(LABELS)
    assert torch.equal(batches[1].images[0], dataset[3].image)


def test_a_limit_chooses_the_same_images_from_archives_and_folders(archives, folders):
    chosen = [
        sorted(items(open_dataset(f"imagenet:{root}", "train", limit=6)))
        for root in (archives, folders)
    ]
    assert chosen[0] == chosen[1] and len(chosen[0]) == 6
