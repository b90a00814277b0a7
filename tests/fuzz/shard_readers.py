"""Shards: their index, and tars in WebDataset's form."""

import json
import tempfile
from pathlib import Path

from archive_readers import _png, _tar
from harness import reader
from hypothesis import strategies as st
from mutations import damaged, json_files

from foveate.data.shards.dataset import open_shards
from foveate.data.shards.scan import find_shards, index_tars

TAR = _tar({"a.png": _png(1), "a.cls": b"0", "b.jpg": _png(2), "b.cls": b"1"})


def _index():
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "val-0.tar").write_bytes(TAR)
        index_tars(folder, find_shards(folder)).save(folder)
        return json.loads((folder / "index.json").read_bytes())


INDEX = _index()


@reader("indices of shards", "index.json", json.dumps(INDEX).encode(), json_files(INDEX))
def read_shards(content, folder):
    (folder / "val-0.tar").write_bytes(TAR)
    (folder / "index.json").write_bytes(content)
    dataset = open_shards(str(folder), "val")
    for index in range(len(dataset)):
        dataset[index]
        dataset.name_of(index)
    assert all(0 <= label < len(dataset.classes) for label in dataset.labels)


CLASSES = [b"0", b"1", b"cat", b"99999999999", b"9" * 5000, b"\xff", b"\xd9\xa3", b"\xc2\xb2"]


@reader(
    "tars in WebDataset's form",
    "KEY.jpg, KEY.cls and classes.txt",
    (TAR, b"cat\ndog\n"),
    st.tuples(
        damaged(TAR)
        | st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)).map(
            lambda pair: _tar({"a.png": b"", "a.cls": pair[0], "b.png": b"", "b.cls": pair[1]})
        ),
        st.none() | st.binary() | st.just(b"cat\ndog\n"),
    ),
)
def index_shards(contents, folder):
    (folder / "val-0.tar").write_bytes(contents[0])
    if contents[1] is not None:
        (folder / "classes.txt").write_bytes(contents[1])
    index = index_tars(folder, find_shards(folder))
    index.save(folder)
    dataset = open_shards(str(folder), "val")
    for place in range(len(dataset)):
        dataset[place]
