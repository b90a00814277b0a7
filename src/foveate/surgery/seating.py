"""The blocks of a network by number, and the place that a site has among them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from foveate.attention.place import Memory, Place
from foveate.surgery.holder import INSTEAD
from foveate.surgery.instead import arguments_of
from foveate.surgery.structure import Found, blocks, runs
from foveate.surgery.trace import Record


@dataclass(frozen=True)
class Seat:
    """A block and its number in the network.

    Attributes:
        block: The block.
        stage: Number of its stage, from 1.
        stages: How many stages there are.
        number: Number of the block in its stage, from 1.
        blocks: How many blocks the stage has.
    """

    block: Found
    stage: int
    stages: int
    number: int
    blocks: int


def seats(model: nn.Module, records: dict[nn.Module, Record]) -> list[Seat]:
    """Every block with its number, in the order in which they run."""
    found = runs(blocks(model, records))
    return [
        Seat(block, stage, len(found), number, len(run))
        for stage, run in enumerate(found, 1)
        for number, block in enumerate(run, 1)
    ]


def seat_of(one: Found, every: list[Seat]) -> Seat | None:
    """The block that a site belongs to."""
    holding = (seat for seat in every if one.module in set(seat.block.module.modules()))
    return next(holding, None)


def place_of(one: Found, seat: Seat | None, memory: Memory) -> Place:
    """Tell an attention where it will be."""
    return Place(
        channels=one.shape[1],
        size=(one.shape[2], one.shape[3]),
        stage=seat.stage if seat else 0,
        stages=seat.stages if seat else 0,
        block=seat.number if seat else 0,
        blocks=seat.blocks if seat else 0,
        replaced=arguments_of(one.module, one.path) if one.at == INSTEAD else {},
        memory=memory,
    )
