"""How the work is cut: which scheme, and how large the blocks are."""

from __future__ import annotations

from dataclasses import dataclass

import torch

# Scratch of one step of the backward pass. Columns and their gradient, one of each, stay in the
# cache of a large accelerator together; smaller steps would be bound by launches.
TILE_BYTES = 16 << 20


@dataclass(frozen=True)
class Plan:
    """The cut of a forward pass.

    Attributes:
        scheme: ``"implicit"``, columns in registers; or ``"columns"``, columns in memory and the
            library's matrix product.
        block_m: Pixels of a program.
        block_n: Output channels of a program.
        block_k: Input channels of a step.
        warps: Warps of a program.
        stages: Steps in flight.
    """

    scheme: str
    block_m: int
    block_n: int
    block_k: int
    warps: int
    stages: int

    def fuses(self, channels: int) -> bool:
        """Whether one program holds all channels of its pixels, which the gate's tail needs."""
        return self.scheme == "implicit" and channels <= self.block_n


def block_of(width: int, elements: int) -> tuple[int, int]:
    """Pixels and channels of a program that moves rows of ``width`` channels.

    As many numbers as a program of four warps takes without leaving half of the multiprocessor
    idle for want of registers.
    """
    block_k = power_of_two(width, 16, 64 if elements > 1024 else 32)
    return elements // block_k, block_k


def power_of_two(number: int, least: int, most: int) -> int:
    """The smallest power of two that is not below ``number``, within bounds."""
    return min(max(1 << (number - 1).bit_length(), least), most)


def choose(dtype: torch.dtype, channels: int, width: int) -> Plan:
    """Cut a forward pass to ``channels`` outputs of a group from sections of ``width`` channels.

    Counted for one multiprocessor of a large accelerator: blending a block of 128 x 32 samples
    takes about as many cycles as multiplying it by 400 output channels, and one program cannot
    hold more than 256. So up to 256 channels every sample is blended once, in registers, and the
    gate's tail is fused. Above, each further block of 256 channels would blend everything again;
    columns are written once instead, 36 r bytes a pixel against the 18 r C flops of a product
    that the library then does at its best rate. In float32 the matrix units would round to TF32:
    the library follows the precision that the user has set.
    """
    if dtype == torch.float32 or channels > 256:
        block_m, block_k = block_of(width, 2048)
        return Plan("columns", block_m, 0, block_k, 4, 1)
    block_n = power_of_two(channels, 16, 256)
    # The larger block, unless the smaller wastes less on padding.
    block_k = min((32, 16), key=lambda block: -(-width // block) * block)
    return Plan("implicit", 128, block_n, block_k, 8 if block_n > 64 else 4, 3)
