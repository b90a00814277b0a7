"""Small folders of images, made by the tests."""

import gzip
import io
import struct
import tarfile

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def make_folder(tmp_path):
    """Write images by class; a color per class, the file's number in the red channel."""

    def make(counts, root=None):
        root = root or tmp_path / "images"
        for label, (name, count) in enumerate(counts.items()):
            (root / name).mkdir(parents=True)
            for number in range(count):
                color = (number, 100 + label, 200)
                Image.new("RGB", (6 + number % 3, 5), color).save(root / name / f"img{number}.png")
        return root

    return make


@pytest.fixture
def write_idx():
    """Write an array as an idx file of bytes, gzipped if the name says so."""

    def write(path, array):
        array = np.asarray(array, dtype=np.uint8)
        content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        content += array.tobytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)

    return write


@pytest.fixture
def make_cutouts(tmp_path):
    """Write discs in one color on a clear ground, by class."""

    def make(counts, root=None):
        root = root or tmp_path / "cutouts"
        ys, xs = np.mgrid[:40, :40] + 0.5
        disc = np.hypot(ys - 20, xs - 20) < 12
        for label, (name, count) in enumerate(counts.items()):
            (root / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.zeros((40, 40, 4), dtype=np.uint8)
                pixels[disc] = (200, 40 * label, number, 255)
                Image.fromarray(pixels).save(root / name / f"{number}.png")
        return root

    return make


@pytest.fixture
def jpeg():
    """Encode a small image whose color is its number."""

    def make(number, size=(9, 7)):
        buffer = io.BytesIO()
        color = (number * 37 % 256, number * 91 % 256, number)
        Image.new("RGB", size, color).save(buffer, "jpeg", quality=95)
        return buffer.getvalue()

    return make


@pytest.fixture
def tar_of():
    """Write a tar of files given as {name: bytes}; returns its bytes."""

    def make(files, path=None, mode="w"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:
            for name, content in files.items():
                header = tarfile.TarInfo(name)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(buffer.getvalue())
        return buffer.getvalue()

    return make


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep the user's cache folder out of the tests."""
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
