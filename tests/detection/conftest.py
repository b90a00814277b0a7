"""A tiny recipe of a detector, and a run of it."""

import pytest

from foveate.detection import parse_detection_recipe, train_detector


@pytest.fixture(scope="session")
def tiny():
    """Fourteen images of 48 pixels, a tiny backbone, two epochs."""
    return parse_detection_recipe(
        {
            "task": "detection",
            "seed": 3,
            "data": {
                "source": "scenes",
                "size": 48,
                "max_size": 48,
                "limit_train": 10,
                "limit_val": 6,
                "options": {"classes": 4, "cue": "none"},
            },
            "model": {
                "name": "resnet10t",
                "attention": "das",
                "preset": "small",
                "batch_norm": "train",
                "width": 0.25,
                "detector_options": {"proposals": [20, 10], "box_batch": 16, "fpn_channels": 16},
            },
            "train": {
                "epochs": 2,
                "batch_size": 4,
                "lr": 0.02,
                "lr_batch": 4,
                "milestones": [1],
                "clip_norm": 5.0,
                "tensorboard": False,
                "accelerator": "cpu",
            },
        }
    )


@pytest.fixture(scope="session")
def finished(tiny, tmp_path_factory):
    """A finished run of it."""
    return train_detector(tiny, tmp_path_factory.mktemp("detector") / "run", progress=False)
