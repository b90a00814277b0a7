"""Tar shards in WebDataset's form: written, indexed, read in place and from elsewhere."""

import json
import os
import pickle
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from foveate.data import Unreadable, open_dataset
from foveate.data.shards import open_shards, remote
from foveate.data.shards.remote import UnreachableError
from foveate.data.shards.scan import find_shards, index_tars
from foveate.data.shards.writer import write_shards

fsspec = pytest.importorskip("fsspec")

SIZE = 20_480
"""Bytes of a shard: room for six of the samples."""


@pytest.fixture
def photos(tmp_path, jpeg):
    """A folder of 24 images in three classes, two of them broken."""
    root = tmp_path / "photos"
    for split, count in (("train", 6), ("val", 2)):
        for label, name in enumerate(("cat", "dog", "emu")):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                file = root / split / name / f"{name}{k}.jpg"
                file.write_bytes(jpeg(10 * label + k, (7 + k, 5)))
    return root


@pytest.fixture
def shards(tmp_path, photos):
    out = tmp_path / "shards"
    for split in ("train", "val"):
        write_shards(open_dataset(str(photos), split), out, split, shard_bytes=SIZE)
    return out


@pytest.fixture
def at_once(monkeypatch):
    """Wait for nothing between attempts; counts the pauses."""
    waits = []
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    return waits


@pytest.fixture
def memory(shards):
    """The shards in fsspec's memory file system; yields it and their URL."""
    filesystem = fsspec.filesystem("memory")
    for file in shards.iterdir():
        filesystem.pipe_file(f"/pets/{file.name}", file.read_bytes())
    yield filesystem, "memory://pets"
    filesystem.rm("/pets", recursive=True)


@pytest.fixture
def server(shards):
    """A web server of the shards; yields its URL, the paths asked for, errors to answer with."""
    asked, trouble = [], {}

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if trouble.get(self.path):
                self.send_error(trouble[self.path].pop(0))
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(shards))) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", asked, trouble
        http.shutdown()
        thread.join()


def items(dataset):
    return [dataset[k] for k in range(len(dataset))]


def test_files_keep_their_bytes_and_train_is_mixed(photos, shards):
    source, dataset = (open_dataset(place, "train") for place in (str(photos), f"shards:{shards}"))
    assert dataset.classes == source.classes == ("cat", "dog", "emu") and len(dataset) == 18
    for k, item in enumerate(items(dataset)):
        place = int(item.name.rpartition("/")[2].removesuffix(".jpg"))
        assert dataset.original(k) == source.original(place)
        assert torch.equal(item.image, source[place].image)
        assert (item.label, item.index) == (source.labels[place], k)
        assert dataset.labels[k] == item.label and dataset.name_of(k) == item.name
    order = [int(dataset.key_of(k)[-12:-4]) for k in range(18)]
    assert sorted(order) == list(range(18)) and order != sorted(order)
    assert all(len({dataset.labels[k] for k in block}) > 1 for block in dataset.blocks)
    val = open_dataset(f"shards:{shards}", "val")
    assert list(val.labels) == [0, 0, 1, 1, 2, 2]


def test_blocks_are_the_shards(shards):
    dataset = open_dataset(f"shards:{shards}", "train")
    tars = sorted(shards.glob("train-*.tar"))
    assert len(dataset.blocks) == len(tars) == 3
    assert [place for block in dataset.blocks for place in block] == list(range(18))
    for block, tar in zip(dataset.blocks, tars, strict=True):
        assert tar.stat().st_size <= SIZE
        assert {dataset.name_of(place).rpartition("/")[0] for place in block} == {str(tar)}
    some = open_dataset(f"shards:{shards}", "train", limit=6)
    assert Counter(some.labels) == {0: 2, 1: 2, 2: 2}
    assert sum(map(len, some.blocks)) == 6 and len(some.blocks) <= 3


def test_writing_again_gives_the_same_bytes(tmp_path, photos, shards):
    again = tmp_path / "again"
    write_shards(open_dataset(str(photos), "train"), again, "train", shard_bytes=SIZE)
    for tar in again.glob("*.tar"):
        assert tar.read_bytes() == (shards / tar.name).read_bytes()


def test_made_images_become_png(tmp_path):
    scenes = open_dataset("scenes", "val", size=32, count=16)
    written = write_shards(scenes, tmp_path, "val", shard_bytes=10**6)
    assert (written.images, written.shards) == (16, 1)
    ours = open_dataset(f"shards:{tmp_path}", "val")
    assert ours.classes == scenes.classes
    assert all(torch.equal(a.image, b.image) for a, b in zip(items(ours), scenes, strict=False))
    assert ours.name_of(3).endswith("00000003.png")


def test_unreadable_images_are_left_out_and_listed(tmp_path, photos):
    (photos / "val" / "cat" / "cat0.jpg").write_bytes(b"")
    (photos / "val" / "cat" / "cat1.jpg").write_bytes(b"damaged")
    val = open_dataset(str(photos), "val")
    (photos / "val" / "emu" / "emu1.jpg").unlink()
    written = write_shards(val, tmp_path / "out", "val")
    assert written.images == 4
    assert [(item.index, item.reason) for item in written.unreadable] == [
        (0, "empty file (0 bytes)"),
        (5, "No such file or directory"),
    ]
    ours = open_dataset(f"shards:{tmp_path / 'out'}", "val")
    assert [item.reason for item in items(ours) if isinstance(item, Unreadable)] == ["not an image"]
    for file in photos.rglob("val/*/*.jpg"):
        file.write_bytes(b"")
    with pytest.raises(ValueError, match=r"readable images; got .*cat0.jpg: empty file"):
        write_shards(open_dataset(str(photos), "val"), tmp_path / "none", "val")
    assert not (tmp_path / "none").exists()


def test_a_present_split_is_replaced_only_by_force(photos, shards):
    val = open_dataset(str(photos), "val")
    with pytest.raises(ValueError, match=r"without this split; got \d+ shards of val .*--force"):
        write_shards(val, shards, "val")
    write_shards(val, shards, "val", force=True)
    assert [tar.name for tar in shards.glob("val-*.tar")] == ["val-000000.tar"]
    assert len(open_dataset(f"shards:{shards}", "val")) == 6
    assert len(open_dataset(f"shards:{shards}", "train")) == 18
    with pytest.raises(ValueError, match="the same classes in all splits; got 8 others than the 3"):
        write_shards(open_dataset("scenes", "val", size=24), shards, "val", force=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_writing_leaves_what_was_there(shards, photos, error, monkeypatch):
    before = {file.name: file.read_bytes() for file in shards.iterdir()}
    val = open_dataset(str(photos), "val")
    read = type(val).read_bytes

    def stop(self, index):
        if index == 4:
            raise error
        return read(self, index)

    monkeypatch.setattr(type(val), "read_bytes", stop)
    with pytest.raises((KeyboardInterrupt, OSError)):
        write_shards(val, shards, "val", force=True)
    assert {file.name: file.read_bytes() for file in shards.iterdir()} == before


@pytest.mark.parametrize("names", ["numbers", "listed", "texts"])
@pytest.mark.parametrize("layout", ["{split}/{k}.tar", "{split}-{k:04d}.tar"])
def test_tars_of_others_are_indexed(tmp_path, tar_of, jpeg, names, layout):
    words = ("dog", "cat", "emu")
    root = tmp_path / "theirs"
    for split in ("train", "val"):
        for k in (0, 2, 10):
            files = {}
            for n in range(3):
                text = words[n] if names == "texts" else str(n)
                # A key ends at the first dot of the name; folders belong to it.
                files[f"part.{k}/{k}{n}.cls"] = f"{text}\n".encode()
                files[f"part.{k}/{k}{n}.json"] = b"{}"
                files[f"part.{k}/{k}{n}.JPG"] = jpeg(30 * n + k)
                files[f"part.{k}/{k}{n}.mask.png"] = b"not the image"
            tar_of(files, root / layout.format(split=split, k=k))
    if names == "listed":
        (root / "classes.txt").write_text("\n".join(words) + "\n")
    index_tars(root, find_shards(root)).save(root)
    dataset = open_dataset(f"shards:{root}", "train")
    want = {"numbers": ("0", "1", "2"), "listed": words, "texts": ("cat", "dog", "emu")}
    assert dataset.classes == want[names]
    assert list(dataset.labels) == [1, 0, 2] * 3 if names == "texts" else [0, 1, 2] * 3
    assert not any(isinstance(item, Unreadable) for item in items(dataset))
    assert [key.rpartition("/")[2] for key in map(dataset.key_of, range(9))] == [
        f"{k}{n}.JPG" for k in (0, 2, 10) for n in range(3)
    ]


def test_strange_tars_are_refused(tmp_path, tar_of, jpeg):
    with pytest.raises(ValueError, match=r"train-\*.tar and val-\*.tar, .*got no tar in"):
        find_shards(tmp_path)
    file = tmp_path / "train-0.tar"
    for files, text in (
        ({"a.jpg": b"", "b.jpg": b"", "b.cls": b"0"}, r"train-0.tar expects .*got no .cls of a"),
        ({"a.cls": b"0"}, r"an image and a .cls for each sample; got no image of a"),
        ({"README.md": b"0"}, r"an image and a .cls for each sample; got neither"),
    ):
        tar_of(files, file)
        with pytest.raises(ValueError, match=text):
            index_tars(tmp_path, find_shards(tmp_path))
    for odd in (b"", b"cat"):
        # As sorted names, 0 would become class 1.
        tar_of({"a.jpg": b"", "a.cls": b"0", "b.jpg": b"", "b.cls": odd}, file)
        with pytest.raises(ValueError, match=rf"numbers or names .*got '{odd.decode()}' and '0'"):
            index_tars(tmp_path, find_shards(tmp_path))
    tar_of({"a.jpg": b"", "a.cls": b"cat", "b.jpg": b"", "b.cls": b" \n"}, file)
    with pytest.raises(ValueError, match=r"numbers or names .*; got ''; correct it"):
        index_tars(tmp_path, find_shards(tmp_path))
    tar_of({"a.jpg": jpeg(1), "a.cls": b"2"}, file)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(ValueError, match=r"one of 2 classes in each .cls; got '2'; correct class"):
        index_tars(tmp_path, find_shards(tmp_path))
    file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(ValueError, match=r"train-0.tar expects a whole tar archive"):
        index_tars(tmp_path, find_shards(tmp_path))


def test_a_missing_or_broken_index_says_what_to_do(tmp_path, shards):
    with pytest.raises(ValueError, match=r"index.json in .*no folder .*foveate shards --index"):
        open_dataset(f"shards:{tmp_path / 'nowhere'}", "train")
    file = shards / "index.json"
    tree = json.loads(file.read_text())
    wrong = json.loads(file.read_text())
    wrong["splits"]["train"][0]["labels"][0] = 3
    short = json.loads(file.read_text())
    short["splits"]["train"][0]["sizes"].pop()

    def but(**fields):
        changed = json.loads(json.dumps(tree))
        changed["splits"]["train"][0].update(fields)
        return json.dumps(changed)

    count = len(tree["splits"]["train"][0]["files"])
    size = tree["splits"]["train"][0]["bytes"]
    for content, text in (
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        (json.dumps(tree | {"format": "x"}), "format 'x'"),
        (json.dumps(wrong), "labels of train-000000.tar beyond 3 classes"),
        (json.dumps(short), "columns of train-000000.tar differ in length"),
        (but(offsets=[size] * count), f"images beyond the {size} bytes of train-000000.tar"),
        (but(offsets=[-1] * count), "images beyond"),
        (but(sizes=[-1] * count), "images beyond"),
        (but(sizes=[2**63 - 1] * count), "images beyond"),
        (but(sizes=[2**64] * count), "OverflowError"),
        (but(name="../train-000000.tar"), r"a shard '\.\./train-000000.tar'"),
        (but(name="/train-000000.tar"), "a shard '/train"),
        (but(sha256="../../../" + "0" * 55), "with checksum '../../../000"),
    ):
        file.write_text(content)
        with pytest.raises(ValueError, match=rf"an index of format .*{text}.*make it again"):
            open_dataset(f"shards:{shards}", "train")
    del tree["splits"]["val"]
    file.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=r"the split 'val' in .*; got train"):
        open_dataset(f"shards:{shards}", "val")


def test_a_local_shard_that_is_missing_or_cut_is_named(shards):
    last = sorted(shards.glob("train-*.tar"))[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[:-512])
    with pytest.raises(ValueError, match=rf"{last.name} expects {len(whole)} bytes; got \d+; copy"):
        open_dataset(f"shards:{shards}", "train")
    last.write_bytes(whole)
    dataset = open_dataset(f"shards:file://{shards}", "train")
    last.unlink()
    with pytest.raises(OSError, match=rf"{last.name} expects a shard that stays"):
        dataset[17]
    with pytest.raises(ValueError, match=f"{last.name} expects .* got no such file"):
        open_dataset(f"shards:{shards}", "train")


def test_shards_elsewhere_are_fetched_once_when_wanted(memory, shards, own_cache):
    filesystem, url = memory
    dataset = open_dataset(f"shards:{url}", "train")
    cache = own_cache / "shards"
    assert not cache.exists(), "labels and order need no shard"
    local = open_dataset(f"shards:{shards}", "train")
    assert torch.equal(dataset[0].image, local[0].image)
    assert len(list(cache.glob("*.tar"))) == 1
    assert [item.label for item in items(dataset)] == list(local.labels)
    assert len(list(cache.glob("*.tar"))) == 3
    assert dataset.name_of(0) == f"{url}/train-000000.tar/{local.key_of(0).rpartition('/')[2]}"
    filesystem.rm("/pets/train-000000.tar")
    assert torch.equal(open_dataset(f"shards:{url}", "train")[0].image, local[0].image)


def test_the_cache_keeps_to_its_room_and_the_least_recently_used_goes(memory, tmp_path):
    _, url = memory
    cache = tmp_path / "small"
    options = {"cache": str(cache), "cache_gb": 2.5 * SIZE / 1e9}
    dataset = open_dataset(f"shards:{url}", "train", **options)
    first, second, third = (block.start for block in dataset.blocks)

    def kept():
        return sorted(file.name[-10:-4] for file in cache.glob("????????????????-*.tar"))

    cache.mkdir()
    own = [cache / "train-000000.tar", cache / "notes.part"]
    for file in own:
        file.write_bytes(b"x" * SIZE)
        os.utime(file, (1, 1))
    for place in (first, second, first):
        dataset[place]
    assert kept() == ["000000", "000001"]
    dataset[third]
    assert kept() == ["000000", "000002"], "the second was used longest ago"
    tiny = open_dataset(f"shards:{url}", "train", cache=str(cache), cache_gb=1e-9)
    assert [tiny[place].label for place in range(18)] == list(tiny.labels)
    assert len(kept()) == 1
    assert all(file.read_bytes() == b"x" * SIZE for file in own), "not ours to remove"


def spoil(monkeypatch, change, times):
    """Let the first ``times`` fetches go wrong; returns what was fetched."""
    fetched = []
    get_file = fsspec.implementations.memory.MemoryFileSystem.get_file

    def get(self, source, target, *args, **kwargs):
        fetched.append(source)
        get_file(self, source, target, *args, **kwargs)
        if len(fetched) <= times:
            change(target)

    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "get_file", get)
    return fetched


def cut(target):
    with open(target, "r+b") as handle:  # noqa: PTH123
        handle.truncate(1000)


def flip(target):
    with open(target, "r+b") as handle:  # noqa: PTH123
        handle.seek(600)
        handle.write(b"!")


def drop(target):
    raise ConnectionResetError("connection reset")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (cut, r"1000 bytes arrived of \d+"),
        (flip, "what arrived has another checksum than the index says"),
        (drop, "connection reset"),
    ],
)
def test_a_bad_transfer_is_repeated_then_named(
    memory, shards, own_cache, at_once, monkeypatch, change, reason
):
    fetched = spoil(monkeypatch, change, 2)
    dataset = open_dataset(f"shards:{memory[1]}", "train")
    assert torch.equal(dataset[0].image, open_dataset(f"shards:{shards}", "train")[0].image)
    assert len(fetched) == 3 and at_once == [1.0, 2.0]
    spoil(monkeypatch, change, 99)
    text = rf"memory://pets/train-000001.tar expects to be fetched whole; got {reason}.*attempt 5"
    with pytest.raises(UnreachableError, match=text):
        dataset[dataset.blocks[1].start]
    names = [file.name for file in (own_cache / "shards").iterdir() if "lock" not in file.name]
    assert len(names) == 1 and names[0].endswith("train-000000.tar"), "no half shard is left"


def test_a_shard_that_is_not_there_and_a_full_disk_are_final(memory, at_once, monkeypatch):
    filesystem, url = memory
    dataset = open_dataset(f"shards:{url}", "train")
    filesystem.rm("/pets/train-000002.tar")
    with pytest.raises(UnreachableError, match=r"train-000002.tar expects .*FileNotFoundError"):
        dataset[17]

    def full(target):
        raise OSError(28, "No space left on device")

    spoil(monkeypatch, full, 99)
    with pytest.raises(UnreachableError, match=r"No space left on device; free some space, or"):
        dataset[0]
    assert at_once == []
    with pytest.raises(UnreachableError, match=r"index.json expects .*FileNotFoundError"):
        open_dataset("shards:memory://nowhere", "train")
    with pytest.raises(ValueError, match="Protocol not known"):
        open_dataset("shards:nothing://nowhere", "train")


def test_a_cache_that_may_not_be_written_stops_the_run(memory, tmp_path, monkeypatch):
    from foveate.data.shards import cache

    def refuse(file):
        raise PermissionError(13, "Permission denied")

    dataset = open_dataset(f"shards:{memory[1]}", "train")
    monkeypatch.setattr(cache, "locked", refuse)
    with pytest.raises(UnreachableError, match="a shard and a cache folder that may be used; got"):
        dataset[0]


def test_a_shard_removed_between_look_and_reading_is_fetched_again(memory, monkeypatch):
    from foveate.data.shards import dataset as module

    dataset = open_dataset(f"shards:{memory[1]}", "train")
    read, lost = module.read_range, []

    def remove_first(file, offset, size):
        if not lost:
            lost.append(file)
            file.unlink()
        return read(file, offset, size)

    monkeypatch.setattr(module, "read_range", remove_first)
    assert dataset[0].label == dataset.labels[0] and lost


def test_what_a_killed_process_left_does_not_count(memory, shards, own_cache):
    cache = own_cache / "shards"
    cache.mkdir(parents=True)
    dataset = open_dataset(f"shards:{memory[1]}", "train")
    name = f"{dataset.shards[0].sha256[:16]}-train-000000.tar"
    (cache / f".{name}.part").write_bytes(b"half")
    (cache / f".{name}.lock").write_bytes(b"")
    other = cache / f".{'0' * 16}-other.tar.part"
    other.write_bytes(b"half")
    os.utime(other, (1, 1))
    assert torch.equal(dataset[0].image, open_dataset(f"shards:{shards}", "train")[0].image)
    assert [file.name for file in cache.iterdir() if file.suffix != ".lock"] == [name]


def test_an_address_keeps_its_query_and_messages_tell_no_secret(server, at_once):
    url, asked, trouble = server
    secret = url.replace("//", "//me:word@") + "/?token=abc"
    dataset = open_dataset(f"shards:{secret}", "train")
    assert dataset[0].label == dataset.labels[0]
    assert asked == ["/index.json?token=abc", "/train-000000.tar?token=abc"]
    assert dataset.name_of(0).startswith(f"{url}/train-000000.tar/")
    trouble |= {"/train-000001.tar?token=abc": [404], "/train-000002.tar?token=abc": [500] * 9}
    for block in dataset.blocks[1:3]:
        with pytest.raises(UnreachableError) as caught:
            dataset[block.start]
        assert f"{url}/train-00000" in str(caught.value)
        assert "word" not in str(caught.value) and "abc" not in str(caught.value)
    with pytest.raises(ValueError, match="the split 'test' in") as wrong:
        open_shards(secret, "test")
    assert "word" not in str(wrong.value) and "abc" not in str(wrong.value)


def test_a_busy_web_server_is_asked_again_and_a_missing_file_is_not(server, at_once):
    url, asked, trouble = server
    trouble |= {"/train-000000.tar": [503, 500], "/train-000001.tar": [404]}
    dataset = open_dataset(f"shards:{url}", "train")
    assert dataset[0].label == dataset.labels[0] and len(at_once) == 2
    with pytest.raises(UnreachableError, match=r"train-000001.tar expects .*FileNotFoundError"):
        dataset[dataset.blocks[1].start]
    assert asked.count("/train-000001.tar") == 1 and len(at_once) == 2


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_that_fight_for_a_tiny_cache_still_read_everything(server, tmp_path):
    options = {"cache": str(tmp_path / "c"), "cache_gb": 1e-9}
    dataset = open_dataset(f"shards:{server[0]}", "train", **options)
    loader = torch.utils.data.DataLoader(
        dataset,
        1,
        sampler=[place for k in range(6) for place in (k, 6 + k, 12 + k)],
        collate_fn=list,
        num_workers=3,
        multiprocessing_context="fork",
    )
    found = {item.index: item.label for batch in loader for item in batch}
    assert [found[place] for place in range(18)] == list(dataset.labels)


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_worker_processes_share_a_cache_over_http(server, shards, tmp_path, context):
    url, asked, _ = server
    options = {"cache": str(tmp_path / "c"), "cache_gb": 1.0}
    dataset = open_dataset(f"shards:{url}", "train", **options)
    # The parent has used the network before it forks.
    dataset[0]
    loader = torch.utils.data.DataLoader(
        dataset, 3, collate_fn=list, num_workers=2, multiprocessing_context=context
    )
    found = [item for batch in loader for item in batch]
    local = open_dataset(f"shards:{shards}", "train")
    for ours, theirs in zip(found, items(local), strict=True):
        assert torch.equal(ours.image, theirs.image) and ours.label == theirs.label
    counts = Counter(path for path in asked if path.endswith(".tar"))
    assert len(counts) == 3 and set(counts.values()) == {1}, "each shard was fetched once"
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copy[17].image, local[17].image)


def test_wrong_options_are_refused(shards):
    source = f"shards:{shards}"
    with pytest.raises(TypeError, match="a folder as cache; got int"):
        open_dataset(source, "train", cache=3)
    with pytest.raises(ValueError, match=r"cache_gb in \(0, 1e\+06\]; got 0"):
        open_dataset(source, "train", cache_gb=0)
    with pytest.raises(ValueError, match="did you mean 'cache_gb'"):
        open_dataset(source, "train", cache_bg=1)
