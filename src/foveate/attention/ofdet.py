"""OFDet, by name only: it is compared with in the literature, and its definition is not public.

Named in: Salajegheh et al., DAS: A Deformable Attention to Capture Salient Information in CNNs,
arXiv:2311.12091.
"""

from __future__ import annotations

from typing import NoReturn

from torch import Tensor, nn

from foveate.attention.registry import register
from foveate.core import expected

_WHY = (
    "no public definition was found; csa_parallel is a generic block of the three kinds, and no"
    " reproduction"
)


def _refuse(channels: int) -> NoReturn:
    raise ValueError(expected("foveate", "an attention with a definition", "ofdet", _WHY))


@register(
    name="ofdet",
    title="OFDet",
    kind="both",
    paper="none",
    year=2023,
    site="post_norm",
    params=_refuse,
    undefined=_WHY,
    departs=("listed because it is compared with, not made; year and site are those of that use",),
)
class OFDet(nn.Module):
    """OFDet, which cannot be made: no public definition was found.

    Args:
        channels: Channels C that a map would have.

    Raises:
        ValueError: Always; it names a generic block of the same three kinds of attention.

    Example:
        >>> OFDet(32)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: foveate expects an attention with a definition; got 'ofdet'; ...
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        _refuse(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Never reached."""
        _refuse(x.shape[1])
