"""What an attention may want to know of the place it is inserted at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


class Memory:
    """What the attentions of one insertion tell each other during a forward pass, by key.

    It carries tensors from one block to a later one and is filled anew by every pass: copies and
    pickles of a network share one memory among their own modules, and it starts out empty.
    """

    def __init__(self) -> None:
        self.kept: dict[Any, Tensor] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Memory:
        memo[id(self)] = empty = Memory()
        return empty

    def __getstate__(self) -> dict[str, Any]:
        return {"kept": {}}


@dataclass(frozen=True)
class Place:
    """Where in a network an attention is inserted.

    Attributes:
        channels: Channels C of the map it will see.
        size: Height and width of that map on the example.
        stage: Number of the stage, from 1; 0 where the network has none.
        stages: How many stages there are.
        block: Number of the block in its stage, from 1; 0 where there are none.
        blocks: How many blocks the stage has.
        replaced: Arguments of the convolution it replaces (``out_channels``, ``kernel``,
            ``stride``, ``padding``, ``dilation``, ``groups``, ``bias``), else empty.
        memory: Shared by all modules of one insertion.
    """

    channels: int
    size: tuple[int, int]
    stage: int = 0
    stages: int = 0
    block: int = 0
    blocks: int = 0
    replaced: dict[str, Any] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)


def replaced_arguments(place: Place, options: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The arguments of the convolution replaced, and ``more`` with them, but for those in options.

    Example:
        >>> place = Place(8, (6, 6), replaced={"kernel": 3, "stride": 2})
        >>> replaced_arguments(place, {"stride": 1}, own_kernel=False)
        {'kernel': 3, 'own_kernel': False}
        >>> replaced_arguments(Place(8, (6, 6)), {}, own_kernel=False)
        {}
    """
    if not place.replaced:
        return {}
    facts = {**place.replaced, **more}
    return {name: value for name, value in facts.items() if name not in options}


def shared_groups(channels: int, groups: int) -> int:
    """The largest number of groups up to ``groups`` that divides ``channels``.

    Example:
        >>> shared_groups(24, 32), shared_groups(48, 32), shared_groups(7, 4)
        (24, 24, 1)
    """
    return max(n for n in range(1, min(groups, channels) + 1) if channels % n == 0)
