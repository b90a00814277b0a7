"""A deformable convolution alone as the gate: design (d) of the DAS paper.

Paper: Salajegheh et al., DAS: A Deformable Attention to Capture Salient Information in CNNs,
arXiv:2311.12091, table 4, design (d).
"""

from __future__ import annotations

from foveate.attention.parts.deformable import deformable, deformable_params
from foveate.attention.parts.layers import GateOf
from foveate.attention.registry import register


def _params(channels: int, modulated: bool = True) -> int:
    return deformable_params(channels, channels, modulated) + 2 * channels


@register(
    name="das_d",
    title="Gate by a deformable convolution",
    kind="ablation",
    paper="2311.12091",
    year=2023,
    site="stages",
    params=_params,
    verified=("formula in float64", "no code is public"),
    departs=(
        "stated: the first part of the gate is removed; the deformable convolution stands alone",
        "ours: it leads from C to C channels, and its displacements come from the input",
    ),
)
class DeformableGate(GateOf):
    r"""Gate by a deformable convolution, $y = x \cdot \sigma(\mathrm{LN}(\mathrm{deform}(x)))$.

    Args:
        channels: Channels C of the input, at least 1.
        modulated: Weigh every tap by a mask in (0, 1).

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        TypeError: If ``modulated`` is not a bool.
        ValueError: If ``channels`` is below 1; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> DeformableGate(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, modulated: bool = True) -> None:
        super().__init__(channels, deformable("DeformableGate", channels, channels, modulated))
