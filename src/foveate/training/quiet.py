"""Lightning without its chatter, and global state put back as it was."""

from __future__ import annotations

import contextlib
import logging
import random
import signal
import threading
import warnings
from collections.abc import Iterator

import numpy as np
import torch

from foveate.training.random_states import random_states, set_random_states

# Hints of Lightning about choices that are made on purpose here.
HINTS = (
    r".*does not have many workers.*",
    r".*The number of training batches.*logging interval.*",
    r".*GPU available but not used.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
    r".*`training_step` returned `None`.*",
    r".*srun.*command is available.*",
    r".*resuming from a checkpoint that ended before the epoch ended.*",
    # Depthwise weights lie alike in both layouts, and their strides have two names.
    r"(?s).*Grad strides do not match bucket view strides.*",
    r".*Trying to infer the `batch_size`.*",
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's hints and notices while it works; warnings of others pass."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for hint in HINTS:
            warnings.filterwarnings("ignore", message=hint)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed every generator inside; outside, all go on as if nothing had happened."""
    states = random_states()
    try:
        seed_all(seed)
        yield
    finally:
        set_random_states(states)


def seed_all(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Keep Ctrl-C working: Lightning ignores the signal for good once it has seen one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
