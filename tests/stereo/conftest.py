"""A tiny recipe of a stereo network, and a run of it."""

import pytest

from foveate.stereo import parse_stereo_recipe, train_stereo


@pytest.fixture(scope="session")
def tiny():
    """Twelve pairs of 32 x 48 pixels, a tiny backbone, two epochs."""
    return parse_stereo_recipe(
        {
            "seed": 3,
            "data": {
                "source": "scenes",
                "size": 32,
                "width": 48,
                "limit_train": 8,
                "limit_val": 3,
                "options": {"max_disparity": 8.0, "pieces": 3},
            },
            "model": {
                "name": "resnet10t",
                "attention": "das",
                "preset": "small",
                "width": 0.25,
                "head": {
                    **{"channels": 8, "features": 8, "hidden": 8, "context": 8},
                    **{"reach": 3, "iterations": 2},
                },
            },
            "train": {
                "epochs": 2,
                "batch_size": 4,
                "lr": 2e-3,
                "tensorboard": False,
                "accelerator": "cpu",
            },
        }
    )


@pytest.fixture(scope="session")
def finished(tiny, tmp_path_factory):
    """A finished run of it."""
    return train_stereo(tiny, tmp_path_factory.mktemp("stereo") / "run", progress=False)
