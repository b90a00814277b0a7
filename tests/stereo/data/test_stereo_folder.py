"""Folders of pairs: the layout, and what is missing or does not fit by name."""

import shutil

import numpy as np
import pytest
import torch

from foveate.data import Unreadable
from foveate.data.scenes.stereo import StereoOptions, StereoScenes
from foveate.stereo.data import open_stereo, write_pfm, write_stereo_scenes

OPTIONS = StereoOptions(max_disparity=6, pieces=2)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs") / "data"
    return write_stereo_scenes(folder, count=3, val=2, size=24, width=32, options=OPTIONS)


def test_written_pairs_come_back_as_they_were_drawn(pairs):
    drawn = StereoScenes("val", size=24, width=32, options=OPTIONS)
    found = open_stereo(str(pairs), "val")
    assert len(found) == 2 and len(open_stereo(str(pairs), "train")) == 3
    for index in range(2):
        pair, wanted = found[index], drawn[index]
        for name in ("left", "right", "disparity", "valid", "occluded"):
            assert torch.equal(getattr(pair, name), getattr(wanted, name)), name
    assert found.name_of(1) == "left/000001.png"
    assert sorted(one.name for one in pairs.iterdir()) == ["train", "val"]


def test_a_folder_without_splits_is_split_by_name(pairs, tmp_path):
    shutil.copytree(pairs / "train", tmp_path / "flat")
    train, val = (open_stereo(str(tmp_path / "flat"), split) for split in ("train", "val"))
    assert len(train) == 2 and len(val) == 1
    assert {*train.names, *val.names} == {"000000", "000001", "000002"}
    assert len(open_stereo(str(pairs), "train", limit=2)) == 2


def test_pairs_that_lack_a_file_are_named(pairs, tmp_path):
    shutil.copytree(pairs, tmp_path / "data")
    (tmp_path / "data/train/right/000001.png").unlink()
    with pytest.raises(ValueError, match=r"none for right/000001"):
        open_stereo(str(tmp_path / "data"), "train")
    shutil.rmtree(tmp_path / "data/val")
    with pytest.raises(FileNotFoundError, match="only train"):
        open_stereo(str(tmp_path / "data"), "train")
    with pytest.raises(FileNotFoundError, match="left/, right/ and disparity/"):
        open_stereo(str(tmp_path), "train")


def test_files_that_do_not_fit_are_named_and_left_out(pairs, tmp_path):
    shutil.copytree(pairs / "train", tmp_path / "train")
    shutil.copytree(pairs / "train", tmp_path / "val")
    (tmp_path / "train/right/000000.png").write_bytes(b"no image")
    write_pfm(tmp_path / "train/disparity/000001.pfm", np.ones((24, 30), np.float32))
    write_pfm(tmp_path / "train/disparity/000002.pfm", np.full((24, 32), np.inf, np.float32))
    found = open_stereo(str(tmp_path), "train")
    reasons = [item.reason for item in (found[0], found[1], found[2])]
    assert all(isinstance(found[index], Unreadable) for index in range(3))
    assert reasons[0].startswith("right/000000.png: ")
    assert reasons[1] == "disparity/000001.pfm is 30x24 and the left view 32x24"
    assert reasons[2] == "disparity/000002.pfm: no disparity is known"


def test_options_and_folders_that_are_none_are_refused(pairs, tmp_path):
    with pytest.raises(ValueError, match="max_disparity"):
        open_stereo("scenes", "val", max_disparty=3)
    with pytest.raises(ValueError, match="a folder has none"):
        open_stereo(str(pairs), "val", pieces=3)
    with pytest.raises(FileNotFoundError, match="scenes, or"):
        open_stereo(str(tmp_path / "none"), "val")
    with pytest.raises(ValueError, match="an empty folder"):
        write_stereo_scenes(pairs, count=1, val=1)
