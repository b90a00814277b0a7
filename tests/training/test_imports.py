"""Reading run folders must not cost what training costs."""

import subprocess
import sys

import pytest

import foveate.training as training


def test_every_public_name_loads():
    for name in training.__all__:
        assert getattr(training, name).__name__ == name
    assert sorted(dir(training)) == training.__all__
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = training.trian


@pytest.mark.slow
def test_run_folders_are_read_without_lightning():
    code = (
        "import sys; from foveate.training import RunFolder, StudyFolder, load_recipe; "
        "print(sorted({'lightning', 'timm', 'torchvision'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
