"""Tiny random models that transformers loads like published ones, made once a session."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MAKE = Path(__file__).with_name("tiny_models.py")


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder that holds ``dino``, ``sam``, ``sam2``, ``sam2_video`` and ``sam_hq``."""
    pytest.importorskip("transformers", reason="transformers, of the extra explain, is absent")
    root = tmp_path_factory.mktemp("models")
    # In a process of its own, so that nothing it sets up helps the code that is tested.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(MAKE), str(root)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return root
