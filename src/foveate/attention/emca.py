"""Multiscale channel attention: weigh channels by their means here and in all earlier stages.

Paper: Bakr et al., EMCA: Efficient Multiscale Channel Attention Module, IEEE Access 2022.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from foveate.attention.eca import adaptive_kernel
from foveate.attention.place import Memory, Place
from foveate.attention.registry import Official, register
from foveate.core import (
    Words,
    check_feature_map,
    check_flag,
    check_odd,
    check_positive_int,
    expected,
)
from foveate.ops.autocast import is_autocast_on

_WHO = "EfficientMultiscaleChannelAttention"
_EVERYWHERE = "insert it in every block of every stage at once, and run the network as a whole"


def _params(
    channels: int,
    kernel: int | None = None,
    stage: int = 1,
    block: int = 1,
    blocks: int = 1,
    stages: int | None = None,
    memory: Memory | None = None,
    unused_weights: bool = False,
) -> int:
    taps = adaptive_kernel(channels) if kernel is None else kernel
    return taps + (taps + (stage + 1) + 2 if block > 1 or unused_weights else 0)


def _fit(place: Place, options: dict[str, Any]) -> dict[str, Any]:
    if place.stage < 1 or place.block < 1:
        return {}
    facts = {
        "stage": place.stage,
        "block": place.block,
        "blocks": place.blocks,
        "stages": place.stages,
        "memory": place.memory,
        "unused_weights": True,
    }
    return {name: value for name, value in facts.items() if name not in options}


@register(
    name="emca",
    title="Efficient multiscale channel attention",
    kind="channel",
    paper="IEEE Access 2022",
    year=2022,
    site="post_norm",
    params=_params,
    fit=_fit,
    watches=True,
    official=Official("eslambakr/EMCA", "76bae42", "Code/eca_resnet_multi_scale.py", "none"),
    departs=(
        "the released code's form, on ECA and in every block; the paper's is in the first blocks",
        "kernels by ECA's formula, as in the released code",
        "means narrower than the map are repeated along the channels, as in the released code, and"
        " cut where they do not fit a whole number of times; it is undefined there",
        "alone, and where a network has no stages, every module is the first block of a stage",
        "the weights that the first block of a stage never uses are there in a network, as in the"
        " released code, but frozen",
    ),
    verified=(
        "formula over several blocks in float64",
        "the sizes of the authors' three networks",
        "not the authors' code, which has no license and imports a file that is missing",
    ),
)
class EfficientMultiscaleChannelAttention(nn.Module):
    r"""Multiscale channel attention, $y = x\,(1 + \sigma(v_1 l + v_2 g))$.

    $l = \sigma(\mathrm{conv1d}_k(\bar{x}))$ looks at the means of this block and
    $g = \sigma(\mathrm{conv1d}_k(\mathrm{relu}(\sum_i u_i m_i)))$ at those of the stem, of the last
    block of every earlier stage and of this block, the narrower ones repeated along the channels.
    In the first block of a stage $y = x\,(1 + l)$.

    The last block of every stage but the last leaves its means in the memory that all modules of a
    network share; gradients flow through it. The stem's come by :meth:`see_input`, which empties
    the memory before; in evaluation the last block does so too. What runs parts of a network out
    of order sees another memory: checkpoint activations with ``use_reentrant=False``, in training
    mode, and train on several devices by DistributedDataParallel rather than DataParallel.

    Args:
        channels: Channels C of the input, at least 1.
        kernel: Odd kernel size k along the channels; None takes ECA's formula.
        stage: Number of the stage, from 1.
        block: Number of the block in its stage, from 1.
        blocks: Number of blocks of the stage.
        stages: Number of stages of the network; None where that is not known, and every stage may
            have a later one.
        memory: Shared by the modules of one network; a first block can do without.
        unused_weights: Whether a first block holds the weights that it does not use, frozen.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        TypeError: If ``memory`` is not a :class:`Memory`.
        ValueError: If an argument is out of range, or a later block has no memory; in ``forward``,
            if x is not (N, C, H, W), or the memory lacks the means of an earlier stage or has
            those of another batch, by its size, dtype or device.

    Example:
        >>> import torch
        >>> EfficientMultiscaleChannelAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self,
        channels: int,
        kernel: int | None = None,
        stage: int = 1,
        block: int = 1,
        blocks: int = 1,
        stages: int | None = None,
        memory: Memory | None = None,
        unused_weights: bool = False,
    ) -> None:
        super().__init__()
        self.channels = check_positive_int(_WHO, "channels", channels)
        size = check_odd(_WHO, "kernel", adaptive_kernel(channels) if kernel is None else kernel)
        self.stage = check_positive_int(_WHO, "stage", stage)
        self.block = check_positive_int(_WHO, "block", block)
        self.blocks = check_positive_int(_WHO, "blocks", blocks)
        check_flag(_WHO, "unused_weights", unused_weights)
        if block > blocks:
            raise ValueError(expected(_WHO, "block <= blocks", Words(f"{block} > {blocks}")))
        self.stages = stages
        if stages is not None and stage > check_positive_int(_WHO, "stages", stages):
            raise ValueError(expected(_WHO, "stage <= stages", Words(f"{stage} > {stages}")))
        if not isinstance(memory, Memory | None):
            got = Words(type(memory).__name__)
            raise TypeError(expected(_WHO, "a Memory or None", got, "use insert_"))
        self.memory = memory
        self.is_first = block == 1
        if not self.is_first and memory is None:
            raise ValueError(
                expected(_WHO, f"a memory for block {block} of a stage", memory, "use insert_")
            )
        self.local = _along_channels(size)
        if not self.is_first or unused_weights:
            self.mix = nn.Conv1d(1, 1, stage + 1, stride=stage + 1, bias=False)
            self.everywhere = _along_channels(size)
            self.join = nn.Conv1d(1, 1, 2, stride=2, bias=False)
        if self.is_first and unused_weights:
            for unused in (self.mix, self.everywhere, self.join):
                unused.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Amplify every channel of x, at most by two."""
        check_feature_map(_WHO, x, self.channels)
        means = x.mean((2, 3))
        weights = self._weigh(means)
        if self.memory is not None and self.block == self.blocks:
            if self.stage != self.stages:
                self.memory.kept[self.stage] = means
            elif not self.training:
                # No later block reads it, and with it the graph of all earlier ones would stay. In
                # training, checkpoints run blocks again in the backward pass, and read it then.
                self.memory.kept.clear()
        return x * (1 + weights)

    def gate(self, x: Tensor) -> Tensor:
        """Compute the weights in (0, 1) that are added to 1, shape (N, C, 1, 1)."""
        check_feature_map(_WHO, x, self.channels)
        return self._weigh(x.mean((2, 3)))

    def see_input(self, x: Tensor) -> None:
        """Look at the input of the block: the network's first block remembers that of the stem."""
        if self.memory is not None and self.stage == 1 and self.is_first:
            self.memory.kept.clear()
            self.memory.kept[0] = x.mean((2, 3))

    def extra_repr(self) -> str:
        """Name the place."""
        return f"channels={self.channels}, stage={self.stage}, block={self.block} of {self.blocks}"

    def _weigh(self, means: Tensor) -> Tensor:
        local = self.local(means[:, None]).sigmoid()
        if not self.is_first:
            # A kernel as long as its stride: one weight for each scale, alike for all channels.
            scales = torch.stack([*self._remember(means), means], 2).flatten(1)
            mixed = self.mix(scales[:, None]).relu()
            everywhere = self.everywhere(mixed).sigmoid()
            local = self.join(torch.stack([local, everywhere], 3).flatten(2)).sigmoid()
        weights: Tensor = local.transpose(1, 2)[..., None]
        return weights

    def _remember(self, means: Tensor) -> list[Tensor]:
        """The means of the stem and of every earlier stage, C channels each."""
        kept = self.memory.kept if self.memory is not None else {}
        # What a symbolic trace leaves there is no means, nor are means anything to a trace.
        kind = fx.Proxy if isinstance(means, fx.Proxy) else Tensor
        missing = [_name(n) for n in range(self.stage) if not isinstance(kept.get(n), kind)]
        if missing:
            what = Words(f"nothing of {', '.join(missing)}")
            rule = f"the means of the stem and of {self.stage - 1} earlier stages in its memory"
            raise ValueError(expected(_WHO, rule, what, _EVERYWHERE))
        for stage in range(self.stage):
            if kind is Tensor and _is_stale(kept[stage], means):
                what = Words(f"those of {_name(stage)} for {_words(kept[stage])}")
                rule = f"the means for {_words(means)} in its memory"
                raise ValueError(expected(_WHO, rule, what, _EVERYWHERE))
        return [self._as_wide(kept[stage]) for stage in range(self.stage)]

    def _as_wide(self, means: Tensor) -> Tensor:
        times = -(-self.channels // means.shape[1])
        return means.repeat(1, times)[:, : self.channels]


def _name(stage: int) -> str:
    return f"stage {stage}" if stage else "stem"


def _words(means: Tensor) -> str:
    return f"{means.shape[0]} images in {means.dtype} on {means.device}"


def _is_stale(kept: Tensor, means: Tensor) -> bool:
    """Whether what is kept is plainly not of the pass that the means are of."""
    # Autocast has its way with the dtypes of one pass, and joins unlike ones.
    other = kept.dtype != means.dtype and not is_autocast_on(means.device.type)
    return other or kept.shape[0] != means.shape[0] or kept.device != means.device


def _along_channels(size: int) -> nn.Conv1d:
    return nn.Conv1d(1, 1, size, padding=size // 2, bias=False)
