"""A tiny recipe of a segmenter, and a run of it."""

import pytest

from foveate.segmentation import parse_segmentation_recipe, train_segmenter


@pytest.fixture(scope="session")
def tiny():
    """Eighteen images of 48 pixels, a tiny backbone, two epochs."""
    return parse_segmentation_recipe(
        {
            "seed": 3,
            "data": {
                "source": "scenes",
                "size": 48,
                "max_size": 48,
                "limit_train": 12,
                "limit_val": 6,
                "augment": "scale_crop",
                "options": {"classes": 4, "cue": "none", "scale": 0.5},
            },
            "model": {
                "name": "resnet10t",
                "attention": "das",
                "width": 0.25,
                "head": "fpn",
                "head_options": {"channels": 16, "branch": 16},
            },
            "train": {
                "epochs": 2,
                "batch_size": 4,
                "optimizer": "adamw",
                "lr": 0.01,
                "tensorboard": False,
                "accelerator": "cpu",
            },
        }
    )


@pytest.fixture(scope="session")
def finished(tiny, tmp_path_factory):
    """A finished run of it."""
    return train_segmenter(tiny, tmp_path_factory.mktemp("segmenter") / "run", progress=False)
