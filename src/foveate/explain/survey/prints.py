"""Fingerprints of networks and images, so that a table never mixes two that share a name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import nn

from foveate.data import ImageDataset, Sample
from foveate.explain.subjects import Subject

IMAGES = 16
"""Images whose pixels are told; of the others the names are."""


def fingerprints(subjects: Sequence[Subject], dataset: ImageDataset) -> dict[str, str]:
    """What a score depends on beside settings, in a few letters each.

    The weights of each network and how its images are prepared; the names of all images, and the
    pixels of some, spread over the data set, as far as they can be read.
    """
    found = {}
    for one in subjects:
        data = one.data
        way = (data.size, tuple(data.mean or ()), tuple(data.std or ()), data.augment, one.classes)
        found[f"images for {one.name}"] = _short(repr(way).encode())
        found[f"weights of {one.name}"] = _weights(one.model)
    count = len(dataset)
    listed = "\0".join(dataset.name_of(index) for index in range(count))
    found["names of the images"] = _short(listed.encode("utf-8", "surrogateescape"))
    for index in sorted({turn * count // IMAGES for turn in range(IMAGES)} if count else ()):
        item = dataset[index]
        if isinstance(item, Sample):
            found[f"pixels of image {index}"] = _short(item.image.contiguous().numpy().tobytes())
    return found


def _weights(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            digest.update(name.encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
