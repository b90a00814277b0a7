"""The labels of ImageNet's devkit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foveate.core import Words, expected
from foveate.data.matlab import read_mat


@dataclass(frozen=True)
class Devkit:
    """What the devkit of ImageNet 2012 says.

    Attributes:
        wnids: WordNet ids of the classes, sorted.
        val_wnids: The class of each validation image, in the order of their numbers.
    """

    wnids: tuple[str, ...]
    val_wnids: tuple[str, ...]


def read_devkit(meta: bytes, ground_truth: bytes) -> Devkit:
    """Read the devkit's ``meta.mat`` and ``ILSVRC2012_validation_ground_truth.txt``.

    The classes are those synsets of ``meta`` that have no children; the ground truth has a line
    for each image with the class's ``ILSVRC2012_ID``, which is no label of published weights:
    those count the WordNet ids in sorted order.

    Raises:
        MissingExtraError: If scipy is not installed.
        ValueError: If one of them is broken.
    """
    synsets = read_mat(meta).get("synsets")
    fields = ("ILSVRC2012_ID", "WNID", "num_children")
    rule = f"synsets with {', '.join(fields)}"
    if not isinstance(synsets, np.ndarray) or not set(fields) <= set(synsets.dtype.names or ()):
        raise ValueError(expected("meta.mat", rule, Words("none")))
    rows = zip(*(synsets[field].ravel().tolist() for field in fields), strict=True)
    try:
        wnid_of = {int(number): str(wnid) for number, wnid, children in rows if not int(children)}
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(expected("meta.mat", rule, Words(error))) from error
    numbers = [int(line) for line in ground_truth.split()]
    strange = sorted(set(numbers) - set(wnid_of))
    if strange or not numbers:
        got = Words(f"id {strange[0]}" if strange else "no line")
        raise ValueError(expected("the ground truth", "ids of classes in meta.mat", got))
    wnids = tuple(sorted(wnid_of.values()))
    return Devkit(wnids, tuple(wnid_of[number] for number in numbers))
