"""Random draws that depend on a key alone: lent to libraries that use torch's global generator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def mix(seed: int, epoch: int, index: int) -> int:
    """Turn three integers into one well-spread 63-bit seed (the finalizer of SplitMix64)."""
    mask = 2**64 - 1
    value = (seed * 0x9E3779B97F4A7C15 + (epoch + 1) * 0xD1B54A32D192ED03 + index + 2) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return (value ^ (value >> 31)) >> 1


@contextlib.contextmanager
def draws_of(seed: int) -> Iterator[None]:
    """Let torch's global CPU generator draw by ``seed`` inside, and go on untouched outside.

    The CPU generator alone is touched, since seeding the accelerators for each image would be slow.
    """
    generator = torch.default_generator
    state = generator.get_state()
    try:
        generator.manual_seed(seed)
        yield
    finally:
        generator.set_state(state)
