"""No command runs what a checkpoint or a folder of weights has hidden in a pickle."""

import os
import pickle
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

import foveate
from foveate.cli import build
from foveate.explain import open_subjects
from foveate.training import RunFolder, train
from foveate.training.checkpoints import AtomicCheckpointIO
from foveate.training.fitting import _take_best
from foveate.training.starting import take_weights_

SRC = Path(foveate.__file__).parent


class Trap:
    """What makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def zipped(tree, path):
    torch.save(tree, path)


def legacy(tree, path):
    torch.save(tree, path, _use_new_zipfile_serialization=False)


def bare(tree, path):
    path.write_bytes(pickle.dumps(tree))


WAYS = (zipped, legacy, bare)


@pytest.fixture
def trap(tmp_path):
    """Where a trap leaves its sign, which it must not."""
    path = tmp_path / "trapped"
    yield Trap(path)
    assert not path.exists()


@pytest.mark.parametrize("write", WAYS)
def test_the_trap_works(tmp_path, write):
    write({"state_dict": Trap(tmp_path / "sign")}, tmp_path / "file")
    torch.load(tmp_path / "file", weights_only=False) if write is not bare else pickle.loads(
        (tmp_path / "file").read_bytes()
    )
    assert (tmp_path / "sign").is_dir()


@pytest.mark.parametrize("write", WAYS)
def test_training_goes_on_from_no_such_checkpoint(recipe, tmp_path, trap, write):
    run = RunFolder(tmp_path / "run")
    run.start(recipe)
    run.last_checkpoint.parent.mkdir()
    for path in (run.last_checkpoint, run.previous_checkpoint, run.best_checkpoint):
        write({"state_dict": trap, "foveate": {"rows": [trap]}}, path)
        with pytest.raises(ValueError, match="tensors and plain values only"):
            AtomicCheckpointIO().load_checkpoint(path, weights_only=False)
    with pytest.raises(ValueError, match=r"damaged files: last\.ckpt, previous\.ckpt"):
        train(recipe, run.path, resume=True, progress=False)
    said = CliRunner().invoke(
        build(), ["train", str(run.config_path), "--out", str(run.path), "--resume"]
    )
    assert said.exit_code != 0
    assert "a whole checkpoint" in " ".join((said.output + str(said.exception)).split())


def test_the_best_checkpoint_is_not_trusted_either(recipe, tmp_path, trap):
    run = RunFolder(tmp_path / "run")
    run.best_checkpoint.parent.mkdir(parents=True)
    zipped({"foveate": {"rows": [trap]}, "state_dict": {}}, run.best_checkpoint)

    trainee = SimpleNamespace(rows=[{"epoch": 1, "seconds": 1.0}])
    with pytest.warns(UserWarning, match="does not hold epoch 1"):
        assert not _take_best(run, trainee, 1)


@pytest.mark.parametrize("write", WAYS)
def test_weights_to_start_from_are_not_unpickled(tmp_path, trap, write):
    network = foveate.create_model("test_resnet", num_classes=2)
    folder = foveate.save(network, tmp_path / "model")
    write({"conv1.weight": trap}, folder / "model.safetensors")
    readers = (
        foveate.load,
        open_subjects,
        lambda path: take_weights_(network, path),
        lambda path: foveate.load(path, base=network),
    )
    for read in readers:
        with pytest.raises(ValueError, match=r"a pickle, as torch\.save writes it"):
            read(folder)


def test_detectors_start_from_no_pickle(tmp_path, trap):
    pytest.importorskip("torchvision.models.detection")
    from foveate.detection.model import load_detector
    from foveate.models.backbone import take_network_

    network = foveate.create_model("test_resnet", num_classes=2)
    folder = foveate.save(network, tmp_path / "model")
    zipped({"conv1.weight": trap}, folder / "model.safetensors")
    with pytest.raises(ValueError, match="a pickle"):
        take_network_(network, folder)
    text = (folder / "model.json").read_text().replace('"model": {', '"detector": {')
    (folder / "model.json").write_text(text)
    with pytest.raises(ValueError, match="a pickle"):
        load_detector(folder)


def test_a_compressed_checkpoint_is_refused_before_it_grows(tmp_path):
    torch.save({"w": torch.zeros(100)}, tmp_path / "sound.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "sound.ckpt") as sound,
        zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for part in sound.infolist():
            bomb.writestr(part.filename, sound.read(part))
    assert AtomicCheckpointIO().load_checkpoint(tmp_path / "sound.ckpt")["w"].sum() == 0
    with pytest.raises(ValueError, match="a whole checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "bomb.ckpt")


def test_the_source_reads_no_pickle():
    """Whatever is added later: only tensors, only plain arrays."""
    found = []
    for path in SRC.rglob("*.py"):
        text = path.read_text()
        for call in re.findall(r"\b(?:torch|np|numpy)\.load\([^)]*\)", text):
            if "weights_only=True" not in call and "allow_pickle=False" not in call:
                found.append(f"{path.name}: {call}")
        found += re.findall(
            r"\bpickle\.loads?\(|Unpickler|load_from_checkpoint|joblib|\bmarshal\b|jit\.load", text
        )
    assert found == []
