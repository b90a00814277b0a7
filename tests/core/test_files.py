"""Files are whole or absent, also on a full disk."""

import errno
import os

import pytest

from foveate.core.files import write_bytes, write_json, write_together


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert path.read_text() == '{\n  "a": 2\n}\n'
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path, monkeypatch, step):
    path = tmp_path / "a"
    write_bytes(path, b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full) if step == "fsync" else monkeypatch.setattr(
        "pathlib.Path.replace", full
    )
    with pytest.raises(OSError, match="the previous one is untouched; free some space") as caught:
        write_bytes(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert "No space left" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_an_interruption_leaves_no_temporary_file(tmp_path, monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_one_file_leaves_the_others(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").mkdir()
    writes = {tmp_path / name: lambda handle: handle.write(b"new") for name in ("a", "b")}
    with pytest.raises(IsADirectoryError):
        write_together(writes)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError])
def test_an_error_of_another_kind_stays_what_it_is(tmp_path, kind):
    def fail(_):
        raise kind

    try:
        raise FileNotFoundError
    except OSError:
        with pytest.raises(kind):
            write_together({tmp_path / "a": fail})
