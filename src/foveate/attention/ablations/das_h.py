"""The layers of the gate in the trunk, no attention: design (h) of the DAS paper.

Paper: Salajegheh et al., DAS: A Deformable Attention to Capture Salient Information in CNNs,
arXiv:2311.12091, table 4, design (h).
"""

from __future__ import annotations

from torch import nn

from foveate.attention.parts.deformable import deformable, deformable_params
from foveate.attention.parts.layers import TrunkOf
from foveate.attention.parts.squeeze import context, separable_params
from foveate.attention.registry import register, squeezed
from foveate.core import check_positive_int, check_ratio


def _params(
    channels: int,
    alpha: float = 0.2,
    modulated: bool = True,
    after: str = "layer",
    residual: bool = False,
) -> int:
    r = squeezed(channels, alpha)
    return separable_params(channels, r) + deformable_params(r, channels, modulated) + 2 * channels


@register(
    name="das_h",
    title="Layers of the gate in the trunk",
    kind="ablation",
    paper="2311.12091",
    year=2023,
    site="stages",
    params=_params,
    min_pixels=2,
    verified=("formula in float64", "no code is public"),
    departs=(
        "stated: no attention, the extra layers are used plainly",
        "ours: all layers of the gate up to its LayerNorm; their result goes on in the trunk alone,"
        " as nothing says that the input is added",
    ),
)
class GateLayers(TrunkOf):
    r"""Layers of the gate in the trunk, $y = \mathrm{LN}(\mathrm{deform}(X_c))$.

    $X_c = \mathrm{GELU}(\mathrm{IN}(\mathrm{separable}(x)))$ has r = max(1, floor(alpha * C))
    channels.

    Args:
        channels: Channels C of the input, at least 1.
        alpha: Squeeze ratio in (0, 1].
        modulated: Weigh every tap by a mask in (0, 1).
        after: ``"layer"``, a LayerNorm over the channels of each pixel, or ``"batch_relu"``.
        residual: Return the sum with x.

    Shape:
        - x: $(N, C, H, W)$ with $H W \ge 2$, any float dtype; output: as x.

    Raises:
        TypeError: If a switch is not a bool.
        ValueError: If an option is outside its range; in ``forward``, if x is not (N, C, H, W) or
            has a single pixel.

    Example:
        >>> import torch
        >>> GateLayers(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self,
        channels: int,
        alpha: float = 0.2,
        modulated: bool = True,
        after: str = "layer",
        residual: bool = False,
    ) -> None:
        who = "GateLayers"
        check_positive_int(who, "channels", channels)
        r = squeezed(channels, check_ratio(who, "alpha", alpha))
        steps = context(channels, r)
        steps["deform"] = deformable(who, r, channels, modulated)
        super().__init__(channels, nn.Sequential(steps), after, residual, min_pixels=2)
