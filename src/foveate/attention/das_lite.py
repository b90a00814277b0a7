"""DAS at the price its paper states, with every weight and every operation counted.

Paper: Salajegheh et al., DAS: A Deformable Attention to Capture Salient Information in CNNs,
arXiv:2311.12091. Its cost figures leave the kernel of the deformable convolution out; here that
kernel is small enough to be counted.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from foveate.attention.das import DAS
from foveate.attention.registry import attention_spec, register
from foveate.core import check_feature_map

_ALPHA = 0.125
_FORM = "grouped9"


def _params(channels: int, **given: Any) -> int:
    return attention_spec("das").params(
        channels, **{"alpha": _ALPHA, "deform_weight": _FORM, **given}
    )


@register(
    name="das_lite",
    title="Deformable attention gate at its published cost",
    kind="both",
    paper="2311.12091",
    year=2023,
    site="stages",
    params=_params,
    min_pixels=2,
    verified=("formula in float64", "no code is public"),
    departs=(
        "not the paper's gate: the deformable kernel has 9 weights per output channel, which reads"
        " one squeezed channel, where the paper's reads all of them; alpha is 0.125",
        "otherwise as das",
    ),
)
class DASLite(DAS):
    r"""Deformable attention gate that costs what its paper states, $y = x \cdot A(x)$.

    :class:`~foveate.attention.DAS` with ``deform_weight="grouped9"`` and ``alpha=0.125``: a
    ResNet-50 with one at the end of every stage has 26.45 M parameters and 4.32 G
    multiply-accumulates, everything counted, against 36.90 M and 5.87 G with the paper's gate
    (published: 26.90 M and 4.39 G). For every other option use ``das``.

    Args:
        channels: Channels C of the input, at least 1.
        alpha: Squeeze ratio in (0, 1]; r = max(1, floor(alpha * C)). Above the default the
            published cost is soon left.
        init: ``"default"``, or ``"near_identity"``: a fresh gate passes 0.9975 of everything.

    Shape:
        - x: $(N, C, H, W)$ with $H W \ge 2$, any float dtype.
        - output: as x, same dtype and device.

    Raises:
        ValueError: If an option is outside its range; in ``forward``, if x is not (N, C, H, W) or
            has a single pixel.

    Example:
        >>> gate = DASLite(256)
        >>> sum(p.numel() for p in gate.parameters()), sum(p.numel() for p in DAS(256).parameters())
        (21115, 145796)

    Source: arXiv:2311.12091, eq. 1-4, and its table of costs.
    """

    def __init__(self, channels: int, alpha: float = _ALPHA, *, init: str = "default") -> None:
        super().__init__(channels, alpha, deform_weight=_FORM, init=init)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply x by its gate."""
        check_feature_map("DASLite", x, self.channels, min_pixels=2)
        return super().forward(x)
