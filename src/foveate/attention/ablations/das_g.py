"""A deformable convolution in the trunk, no attention: design (g) of the DAS paper.

Paper: Salajegheh et al., DAS: A Deformable Attention to Capture Salient Information in CNNs,
arXiv:2311.12091, table 4, design (g).
"""

from __future__ import annotations

from foveate.attention.parts.deformable import deformable, deformable_params
from foveate.attention.parts.layers import TrunkOf
from foveate.attention.registry import register


def _params(
    channels: int, modulated: bool = True, after: str = "layer", residual: bool = False
) -> int:
    return deformable_params(channels, channels, modulated) + 2 * channels


@register(
    name="das_g",
    title="Deformable layer in the trunk",
    kind="ablation",
    paper="2311.12091",
    year=2023,
    site="stages",
    params=_params,
    verified=("formula in float64", "no code is public"),
    departs=(
        "stated: no attention, only the deformable convolution",
        "ours: the layer of das_d with its LayerNorm, without sigmoid and product; its result goes"
        " on in the trunk alone, as nothing says that the input is added",
    ),
)
class DeformableLayer(TrunkOf):
    r"""Deformable convolution in the trunk, $y = \mathrm{LN}(\mathrm{deform}(x))$.

    Args:
        channels: Channels C of the input, at least 1.
        modulated: Weigh every tap by a mask in (0, 1).
        after: ``"layer"``, a LayerNorm over the channels of each pixel, or ``"batch_relu"``.
        residual: Return the sum with x.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        TypeError: If a switch is not a bool.
        ValueError: If an option is outside its range; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> DeformableLayer(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self,
        channels: int,
        modulated: bool = True,
        after: str = "layer",
        residual: bool = False,
    ) -> None:
        layer = deformable("DeformableLayer", channels, channels, modulated)
        super().__init__(channels, layer, after, residual)
