"""Members of tar archives found once and read in place."""

import io
import os
import tarfile

import numpy as np
import pytest

from foveate.data import tars
from foveate.data.tars import read_range, scan_tar, tar_index

FILES = {"b/2.txt": b"second", "a/1.txt": b"", "long/" + "x" * 150 + ".txt": b"z" * 1500}


def contents(archive, index):
    return {index.name(k): read_range(archive, *index.span(k)) for k in range(len(index))}


@pytest.mark.parametrize("prefix", ["", "./"])
def test_members_are_ranges_of_bytes(tmp_path, tar_of, prefix):
    archive = tmp_path / "x.tar"
    tar_of({prefix + name: content for name, content in FILES.items()}, archive)
    index = scan_tar(archive)
    assert contents(archive, index) == FILES
    assert [index.name(k) for k in range(3)] == sorted(FILES)
    assert index.find("b/2.txt") == 1 and index.find("b/2") is None and index.find("z") is None


def test_tars_inside_a_tar_are_looked_into(tmp_path, tar_of):
    inner = {
        f"n{k}.tar": tar_of({f"n{k}_{i}.J": b"%d %d" % (k, i) for i in range(3)}) for k in (1, 2)
    }
    tar_of({**inner, "loose.txt": b"!"}, tmp_path / "x.tar")
    index = scan_tar(tmp_path / "x.tar", nested=True)
    want = {f"n{k}/n{k}_{i}.J": b"%d %d" % (k, i) for k in (1, 2) for i in range(3)}
    assert contents(tmp_path / "x.tar", index) == {**want, "loose.txt": b"!"}
    assert len(scan_tar(tmp_path / "x.tar")) == 3


def test_hidden_members_and_folders_are_no_files(tmp_path, tar_of):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "._a.jpg").write_bytes(b"x")
    (tmp_path / "d" / "a.jpg").write_bytes(b"y")
    (tmp_path / "d" / "b.jpg").symlink_to("a.jpg")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "d", "d")
    index = scan_tar(tmp_path / "x.tar")
    assert contents(tmp_path / "x.tar", index) == {"d/a.jpg": b"y"}


@pytest.mark.parametrize("nested", [False, True])
def test_an_archive_cut_short_anywhere_is_refused(tmp_path, tar_of, nested):
    archive = tmp_path / "x.tar"
    files = {f"{k}.bin": bytes([k]) * 700 for k in range(3)}
    whole = tar_of(files)
    if nested:
        # The inner archive is cut, the outer one is whole.
        cuts = [512, 1000, 1536, 3 * 1536 - 1, 3 * 1536]
        for cut in cuts:
            tar_of({"n1.tar": whole[:cut]}, archive)
            with pytest.raises(ValueError, match=r"x.tar/n1.tar expects a whole tar archive"):
                scan_tar(archive, nested=True)
        return
    for cut in (0, 100, 512, 700, 1536, 2000, 3 * 1536 - 1, 3 * 1536, 3 * 1536 + 100):
        archive.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"x.tar expects a whole tar archive.*fetch it again"):
            scan_tar(archive)
    archive.write_bytes(whole[:1536] + b"?" * 512 + whole[2048:])
    with pytest.raises(ValueError, match="no tar header and no end at byte 1536"):
        scan_tar(archive)


def test_a_compressed_archive_is_named_as_such(tmp_path, tar_of):
    for kind in ("gz", "bz2", "xz"):
        tar_of(FILES, tmp_path / "x.tar", f"w:{kind}")
        with pytest.raises(ValueError, match=r"an uncompressed tar; got a compressed one; unpack"):
            scan_tar(tmp_path / "x.tar")


def test_an_index_is_kept_beside_the_archive_and_used_again(tmp_path, tar_of, monkeypatch):
    archive = tmp_path / "x.tar"
    tar_of(FILES, archive)
    want = contents(archive, tar_index(archive))
    assert (tmp_path / "x.tar.index.npz").is_file()
    with monkeypatch.context() as patch:
        patch.setattr(tars, "scan_tar", None)
        assert contents(archive, tar_index(archive)) == want == FILES


@pytest.mark.parametrize("change", ["time", "size", "broken", "empty", "nested"])
def test_an_index_of_another_archive_does_not_count(tmp_path, tar_of, change):
    archive, kept = tmp_path / "x.tar", tmp_path / "x.tar.index.npz"
    tar_of({"a": b"1", "b": b"2"}, archive)
    tar_index(archive)
    before = archive.stat()
    if change == "broken":
        kept.write_bytes(kept.read_bytes()[:200])
    elif change == "empty":
        kept.write_bytes(b"")
    elif change != "nested":
        tar_of({"c": b"3" * (20_000 if change == "size" else 1)}, archive)
        later = before.st_mtime_ns + (10**6 if change == "time" else 0)
        os.utime(archive, ns=(later, later))
    index = tar_index(archive, nested=change == "nested")
    assert contents(archive, index) == contents(archive, scan_tar(archive))
    with np.load(kept) as again:
        assert again["stamp"].tolist()[1:3] == [archive.stat().st_size, archive.stat().st_mtime_ns]


def test_where_the_folder_takes_no_files_the_cache_does(tmp_path, tar_of, monkeypatch, own_cache):
    archive = tmp_path / "x.tar"
    tar_of(FILES, archive)
    write = tars.write_with

    def refuse(path, *rest):
        if path.parent == tmp_path or full:
            raise OSError(30, "Read-only file system")
        write(path, *rest)

    full = False
    monkeypatch.setattr(tars, "write_with", refuse)
    tar_index(archive)
    assert [file.suffix for file in (own_cache / "indices").glob("*.npz")] == [".npz"]
    with monkeypatch.context() as patch:
        patch.setattr(tars, "scan_tar", None)
        assert contents(archive, tar_index(archive)) == FILES
    full = True
    os.utime(archive, ns=(1, 1))
    with pytest.warns(UserWarning, match="will be made again next time: .*Read-only file system"):
        assert contents(archive, tar_index(archive)) == FILES


def test_a_long_scan_tells_its_progress(tmp_path, tar_of, monkeypatch, capsys):
    tar_of({f"{k}": b"x" for k in range(5)}, tmp_path / "x.tar")
    times = iter(range(0, 100, 4))
    monkeypatch.setattr(tars.time, "monotonic", lambda: next(times))
    tar_index(tmp_path / "x.tar")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[0].startswith(f"foveate: indexing {tmp_path / 'x.tar'}, once:")


def test_a_file_that_ends_too_early_is_named(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    assert read_range(tmp_path / "x", 1, 4) == b"2345"
    with pytest.raises(OSError, match=r"x expects 5 bytes at 1; got 4: it was cut short"):
        read_range(tmp_path / "x", 1, 5)


def add(archive, name, content=b"", **fields):
    header = tarfile.TarInfo(name)
    header.size = len(content)
    for field, value in fields.items():
        setattr(header, field, value)
    archive.addfile(header, io.BytesIO(content))


@pytest.mark.parametrize("nested", [False, True])
def test_a_hard_link_is_the_file_that_it_leads_to(tmp_path, tar_of, nested):
    file = tmp_path / "a.tar"
    with tarfile.open(file, "w") as archive:
        add(archive, "./x/one.bin", b"1" * 700)
        add(archive, "./x/two.bin", type=tarfile.LNKTYPE, linkname="./x/one.bin")
    if nested:
        tar_of({"c.tar": file.read_bytes()}, file)
    index = scan_tar(file, nested=nested)
    place = index.find("c/x/two.bin" if nested else "x/two.bin")
    assert len(index) == 2
    assert read_range(file, *index.span(place)) == b"1" * 700


def test_a_hard_link_to_nothing_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "two.bin", type=tarfile.LNKTYPE, linkname="elsewhere.bin")
    with pytest.raises(ValueError, match=r"two\.bin, a link to elsewhere\.bin"):
        scan_tar(tmp_path / "a.tar")


def test_of_files_of_one_name_the_last_counts(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "one.bin", b"old, and longer")
        add(archive, "two.bin", b"two")
        add(archive, "./one.bin", b"new")
    index = scan_tar(tmp_path / "a.tar")
    assert len(index) == 2
    assert contents(tmp_path / "a.tar", index) == {"one.bin": b"new", "two.bin": b"two"}


def test_a_sparse_member_is_refused_because_it_is_no_range(tmp_path):
    content = b"x" * 512
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        sparse = {"GNU.sparse.map": "4096,512", "GNU.sparse.size": "8192"}
        add(archive, "hole.bin", content, pax_headers=sparse)
    with pytest.raises(ValueError, match=r"files in one piece; got hole\.bin"):
        scan_tar(tmp_path / "a.tar")
