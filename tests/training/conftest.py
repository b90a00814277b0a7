"""Tiny recipes and images: a run of one epoch takes about a second."""

import pytest
import torch
from PIL import Image

from foveate.training import Recipe


@pytest.fixture(scope="session")
def recipe():
    """A tiny network on a few generated scenes; tests change it by ``changed``, which copies."""
    return Recipe.model_validate(
        {
            "name": "tiny",
            "data": {"size": 32, "limit_train": 32, "limit_val": 16, "augment": "crop_flip"},
            "model": {"name": "test_resnet", "stem": "small"},
            "train": {"epochs": 3, "batch_size": 8, "lr": 0.05, "tensorboard": False},
        }
    )


@pytest.fixture
def photos(tmp_path):
    """Two classes of pictures, red and blue with noise, 12 to train and 6 to validate each."""
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", 12), ("val", 6)):
        for label, channel in (("red", 0), ("blue", 2)):
            folder = tmp_path / "photos" / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                image = torch.randint(0, 90, (3, 40, 36), generator=generator, dtype=torch.uint8)
                image[channel] += 150
                Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{index}.png")
    return tmp_path / "photos"
