"""Archives and tables of published data sets: idx, CIFAR-100, Stanford Dogs, ImageNet, tars."""

import gzip
import io
import struct
import tarfile

import numpy as np
import scipy.io
from harness import reader
from hypothesis import strategies as st
from mutations import chosen, damaged
from PIL import Image

from foveate.data import open_dataset
from foveate.data.archives import open_fashion_mnist
from foveate.data.imagenet import DEVKIT, open_imagenet
from foveate.data.tars import read_range, scan_tar, tar_index


def _tar(files, mode="w", links=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
        for name, target, kind in links:
            header = tarfile.TarInfo(name)
            header.type, header.linkname = kind, target
            archive.addfile(header)
    return buffer.getvalue()


def _png(color=0):
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), (color, 90, 20)).save(buffer, "png")
    return buffer.getvalue()


def _mat(**arrays):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays, do_compression=True)
    return buffer.getvalue()


def _idx(array):
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


IDX = _idx(np.arange(96).reshape(2, 6, 8)), _idx(np.array([3, 7]))
ZEROS = struct.pack(">HBB4I", 0, 8, 4, 2**31, 2**31, 2**31, 2**31)
GREAT = struct.pack(">HBB3I", 0, 8, 3, 2**20, 2**11, 2)


@reader(
    "idx files",
    "Fashion-MNIST, plain or gzipped",
    (*IDX, True),
    st.tuples(
        damaged(IDX[0]) | chosen(IDX[0], ZEROS, GREAT + bytes(100), b"\0\0\x08\xff"),
        damaged(IDX[1]) | chosen(IDX[1], b"\0\0\x08\0a"),
        st.booleans(),
    ),
)
def read_fashion(contents, folder):
    images, labels, zipped = contents
    for name, content in (("images-idx3", images), ("labels-idx1", labels)):
        file = folder / f"t10k-{name}-ubyte{'.gz' if zipped else ''}"
        file.write_bytes(gzip.compress(content, 1) if zipped else content)
    dataset = open_fashion_mnist(folder, "val")
    assert [dataset[place].label for place in range(len(dataset))] == list(dataset.labels)


GZIPPED = gzip.compress(IDX[0])


@reader("gzipped idx files", "the same, damaged as archives", GZIPPED, damaged(GZIPPED))
def read_gzip(content, folder):
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(IDX[1])
    open_fashion_mnist(folder, "val")


CIFAR = _tar({f"cifar-100-python/{part}": b"x" * 99 for part in ("train", "test", "meta")}, "w:gz")
CIRCLE = [(f"cifar-100-python/{part}", part, tarfile.SYMTYPE) for part in ("train", "test", "meta")]
ROUND = _tar({}, "w:gz", CIRCLE)


@reader("CIFAR-100", "cifar-100-python.tar.gz", None, damaged(CIFAR) | st.just(ROUND))
def read_cifar(content, folder):
    (folder / "cifar-100-python.tar.gz").write_bytes(content)
    open_dataset(f"cifar100:{folder}", "val")


NAMES = [f"n{number:08d}-Some_dog/n{number:08d}_{number}.jpg" for number in (1, 2)]


def _list(names, labels):
    cells = np.empty((len(names), 1), dtype=object)
    cells[:, 0] = names
    return _mat(file_list=cells, labels=np.array(labels, dtype=np.uint8)[:, None])


LIST = _list(NAMES, [1, 2])
NOTE = b"""<annotation><size><width>9</width><height>7</height></size><object><bndbox>
<xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object></annotation>"""
LISTS = _tar({"train_list.mat": LIST, "test_list.mat": LIST})
LOOP = _tar({}, "w", [("train_list.mat", "train_list.mat", tarfile.SYMTYPE)])
DOGS = _tar({f"Images/{name}": _png(place) for place, name in enumerate(NAMES)})
NOTES = _tar({f"Annotation/{name[:-4]}": NOTE for name in NAMES})


def _one_of(**files):
    """A strategy that damages one of several files."""
    return st.sampled_from(sorted(files)).flatmap(
        lambda name: damaged(files[name]).map(lambda content: {**files, name: content})
    )


@reader(
    "Stanford Dogs",
    "lists (.mat), images and annotations in tars",
    {"lists": LISTS, "images": DOGS, "annotation": NOTES},
    _one_of(lists=LISTS, images=DOGS, annotation=NOTES)
    | st.just({"lists": LOOP, "images": DOGS, "annotation": NOTES}),
)
def read_dogs(files, folder):
    for name, content in files.items():
        (folder / f"{name}.tar").write_bytes(content)
    dataset = open_dataset(f"stanford-dogs:{folder}", "val", crop="box")
    for index in range(len(dataset)):
        dataset[index]
        dataset.annotation(index)


@reader("MATLAB lists", "train_list.mat, unpacked", LIST, damaged(LIST))
def read_lists(content, folder):
    (folder / "train_list.mat").write_bytes(content)
    (folder / "test_list.mat").write_bytes(LIST)
    (folder / "images.tar").write_bytes(DOGS)
    open_dataset(f"stanford-dogs:{folder}", "val")


FIELDS = [("ILSVRC2012_ID", "f8"), ("WNID", "O"), ("num_children", "f8")]
SYNSETS = np.array([(1, "n00000001", 0), (2, "n00000002", 0), (3, "n00000003", 2)], dtype=FIELDS)
META = _mat(synsets=SYNSETS)
TRUTH = b"2\n1\n"
KIT = {
    f"{DEVKIT}/data/meta.mat": META,
    f"{DEVKIT}/data/ILSVRC2012_validation_ground_truth.txt": TRUTH,
}
KITS = _tar(KIT, "w:gz")
VAL = _tar({f"ILSVRC2012_val_{number:08d}.JPEG": _png(number) for number in (1, 2)})
INNER = {n: {f"n0000000{n}_{m}.JPEG": _png(m) for m in (1, 2)} for n in (1, 2)}
TRAIN = _tar({f"n0000000{n}.tar": _tar(files) for n, files in INNER.items()})


@reader("the devkit of ImageNet", "tar.gz with a .mat and a list", KITS, damaged(KITS))
def read_devkit_archive(content, folder):
    (folder / f"{DEVKIT}.tar.gz").write_bytes(content)
    (folder / "ILSVRC2012_img_val.tar").write_bytes(VAL)
    dataset = open_imagenet(folder, "val")
    assert len([dataset[place] for place in range(len(dataset))]) == 2


@reader(
    "the devkit of ImageNet, unpacked",
    "meta.mat and the ground truth",
    (META, TRUTH),
    st.tuples(damaged(META), st.just(TRUTH)) | st.tuples(st.just(META), damaged(TRUTH, text=True)),
)
def read_devkit_folder(contents, folder):
    home = folder / DEVKIT / "data"
    home.mkdir(parents=True)
    for name, content in zip(KIT, contents, strict=True):
        (home / name.rpartition("/")[2]).write_bytes(content)
    (folder / "ILSVRC2012_img_val.tar").write_bytes(VAL)
    open_imagenet(folder, "val")


@reader("the archives of ImageNet", "tars, tars inside a tar", VAL, damaged(VAL) | damaged(TRAIN))
def read_imagenet(content, folder):
    (folder / f"{DEVKIT}.tar.gz").write_bytes(_tar(KIT, "w:gz"))
    refusals = []
    for split in ("val", "train"):
        (folder / f"ILSVRC2012_img_{split}.tar").write_bytes(content)
        try:
            dataset = open_imagenet(folder, split)
        except ValueError as error:
            refusals.append(error)
            continue
        for index in range(len(dataset)):
            dataset[index]
    if len(refusals) == 2:  # A tar is of one of them at most.
        raise refusals[0]


LINKS = [
    *(("b", "a.png", tarfile.LNKTYPE), ("c", "../../etc/passwd", tarfile.SYMTYPE)),
    *(("d", "nowhere", tarfile.LNKTYPE), ("../../e.png", "a.png", tarfile.LNKTYPE)),
]


def _negative():
    """A tar whose second header says a size below 0, at which tarfile may go round for ever."""
    made = bytearray(_tar({"a.png": b"x" * 700, "b.png": b"y"}))
    head = 512 + 1024
    made[head + 124 : head + 136] = (-1024).to_bytes(12, "big", signed=True)
    made[head + 148 : head + 156] = b" " * 8
    made[head + 148 : head + 156] = b"%06o\0 " % sum(made[head : head + 512])
    return bytes(made)


def _long_names():
    """A tar of headers of which each says that the next one's name is long."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 0
    return header.tobuf(tarfile.GNU_FORMAT) * 3000 + bytes(1024)


def _typed(kind, size=0):
    header = tarfile.TarInfo("a.png")
    header.type, header.size = kind, size
    return header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


SOUND = _tar({"a.png": _png(), "dir/\N{SNOWMAN}.png": b"x", "x" * 200: b"long"}, links=LINKS[:1])
STRANGE = [
    *(_tar({"a.png": b"x"}, links=[link]) for link in LINKS),
    *(_negative(), _long_names(), _tar({"a": b"x"}, "w:gz"), _tar({"a": b"x"}, "w:xz"), b""),
    *(_tar({"a": b"x"}, "w:bz2"), bytes(1024), _typed(tarfile.GNUTYPE_SPARSE)),
    *(_typed(tarfile.REGTYPE, 2**62), _typed(tarfile.XHDTYPE, 2**30), _typed(tarfile.CHRTYPE)),
]  # fmt: skip


@reader("tars", "headers, links, sparse and packed ones", SOUND, damaged(SOUND) | chosen(*STRANGE))
def read_tar(content, folder):
    file = folder / "a.tar"
    file.write_bytes(content)
    for nested in (False, True):
        index = scan_tar(file, nested=nested)
        for place in range(len(index)):
            index.name(place)
            read_range(file, *index.span(place))


def _kept(folder):
    """Return the file that is kept of a tar's index."""
    (folder / "a.tar").write_bytes(SOUND)
    tar_index(folder / "a.tar")
    return folder / "a.tar.index.npz"


def _sound_index():
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as made:
        kept = _kept(Path(made)).read_bytes()
        times = (Path(made) / "a.tar").stat().st_mtime_ns
    return kept, times


INDEX, TIME = _sound_index()


@reader("indices of tars", "NAME.tar.index.npz", INDEX, damaged(INDEX))
def read_index(content, folder):
    import os

    archive = folder / "a.tar"
    archive.write_bytes(SOUND)
    os.utime(archive, ns=(TIME, TIME))
    (folder / "a.tar.index.npz").write_bytes(content)
    index = tar_index(archive)
    for place in range(len(index)):
        index.name(place)
        read_range(archive, *index.span(place))
