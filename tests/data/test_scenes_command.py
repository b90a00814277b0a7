"""``foveate scenes``, as the user calls it."""

import pytest

typer_testing = pytest.importorskip("typer.testing")

from foveate.cli import build  # noqa: E402
from foveate.data import open_dataset  # noqa: E402


def call(*words):
    return typer_testing.CliRunner().invoke(build(), ["scenes", *map(str, words)])


def test_the_command_makes_a_data_set_and_says_what_it_made(tmp_path):
    out = tmp_path / "made"
    result = call(out, "--count", 12, "--val", 4, "--size", 32, "--classes", 4, "--quiet")
    assert result.exit_code == 0, result.output
    assert "12 images to train and 4 to validate, 32x32, in 4 classes (disc-warm" in result.output
    train = open_dataset(str(out), "train")
    assert len(train) == 12 and train[0].image.shape == (3, 32, 32)


def test_a_second_call_is_refused_and_force_is_not(tmp_path):
    words = (tmp_path / "made", "--count", 8, "--val", 8, "--size", 24, "--quiet")
    assert call(*words).exit_code == 0
    again = call(*words)
    assert again.exit_code == 1 and "expects an empty folder" in again.output
    assert call(*words, "--force").exit_code == 0


def test_own_material_is_used_and_broken_files_are_named(tmp_path, make_cutouts, make_folder):
    objects, photos = make_cutouts({"cat": 1, "dog": 1, "emu": 1}), make_folder({"photos": 2})
    (objects / "emu" / "0.png").write_bytes(b"")
    words = ("--objects", objects, "--backgrounds", photos, "--count", 6, "--val", 3, "--quiet")
    result = call(tmp_path / "made", *words)
    assert result.exit_code == 0, result.output
    assert "4 images to train and 2 to validate" in result.output
    assert "images left out for unreadable files: 3" in result.output
    assert f"{objects / 'emu' / '0.png'}: empty file (0 bytes)" in result.output.replace("\n", "")


def test_ctrl_c_says_that_nothing_was_written(tmp_path, monkeypatch):
    from foveate.data.scenes.dataset import Scenes

    def stop(self, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(Scenes, "__getitem__", stop)
    result = call(tmp_path / "made", "--quiet")
    assert result.exit_code == 130 and "nothing was written to" in result.output
    assert not (tmp_path / "made").exists()


def test_help_shows_an_example():
    result = call("--help")
    assert result.exit_code == 0 and "foveate scenes data/scenes --count 2000" in result.output
