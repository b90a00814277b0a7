"""Non-local block: every position adds a weighted mean over all positions.

Paper: Wang et al., Non-local Neural Networks, arXiv:1711.07971, eq. 1-6.
"""

from __future__ import annotations

from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_choice, check_feature_map, check_flag, check_positive_int
from foveate.ops.attend import attend

_MODES = ("embedded", "dot", "gaussian")


def _params(
    channels: int, reduction: int = 2, pool: bool = True, mode: str = "embedded", bias: bool = True
) -> int:
    hidden = max(1, channels // reduction)
    inward = (1 if mode == "gaussian" else 3) * (channels * hidden + (hidden if bias else 0))
    return inward + hidden * channels + (channels if bias else 0) + 2 * channels


@register(
    name="nl",
    title="Non-local block",
    kind="self-attention",
    paper="1711.07971",
    year=2017,
    site="blocks:second@2..-2",
    params=_params,
    min_side=2,
    identity_at_init=True,
    departs=(
        "likenesses are scaled by i^-1/2, as in the authors' code; the paper's eq. 3 has no scale",
        "no concatenation form",
    ),
    verified=(
        "formula in float64",
        "not the authors' code, whose license forbids commercial use (and is Caffe2)",
    ),
    official=Official(
        "facebookresearch/video-nonlocal-net",
        "c253ed5",
        "lib/models/nonlocal_helper.py",
        "CC-BY-NC-4.0",
    ),
    aliases=("non_local",),
)
class NonLocal(nn.Module):
    r"""Non-local block, $y_p = x_p + \mathrm{BN}(W \sum_k a_{pk}\,g(x_k))$.

    The weights are $a_{pk} = \mathrm{softmax}_k(\theta(x_p) \cdot \phi(x_k) / \sqrt{i})$ over the
    positions k of the map, after a 2x2 max-pool if asked for; $\theta$, $\phi$ and $g$ are 1x1
    convolutions to i channels. The last norm starts with scale 0, so a fresh block returns its
    input; until that scale has moved, the other weights get no gradient.

    Time grows with $(HW)^2 i$, a quarter of it with the pool.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor; ``i = max(1, C // reduction)``.
        pool: Whether $\phi$ and $g$ see a 2x2 max-pooled map; of an odd side the last row or
            column is left out of it.
        mode: ``"embedded"``, the above; ``"dot"``, the product divided by the number of
            positions in place of the softmax, unscaled; ``"gaussian"``, the softmax of
            $x_p \cdot x_k$ itself, without $\theta$, $\phi$ and scale.
        bias: Biases on all convolutions, as in the official code.

    Shape:
        - x: $(N, C, H, W)$ with $H, W \ge 2$ if ``pool``, any float dtype; output: as x.

    Raises:
        ValueError: If ``channels`` or ``reduction`` is below 1 or ``mode`` is unknown; in
            ``forward``, if x is not (N, C, H, W), or too small to be pooled.

    Example:
        >>> import torch
        >>> NonLocal(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 2,
        pool: bool = True,
        mode: str = "embedded",
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.channels = check_positive_int("NonLocal", "channels", channels)
        check_positive_int("NonLocal", "reduction", reduction)
        check_choice("NonLocal", "mode", mode, _MODES)
        for name, value in (("pool", pool), ("bias", bias)):
            check_flag("NonLocal", name, value)
        self.mode = mode
        self.min_side = 2 if pool else 1
        hidden = max(1, channels // reduction)
        self.pool: nn.Module = nn.MaxPool2d(2) if pool else nn.Identity()
        self.theta: nn.Module = nn.Identity()
        self.phi: nn.Module = nn.Identity()
        self.scale = 1.0
        if mode != "gaussian":
            self.theta = nn.Conv2d(channels, hidden, 1, bias=bias)
            self.phi = nn.Conv2d(channels, hidden, 1, bias=bias)
            self.scale = hidden**-0.5
        self.g = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.out = nn.Conv2d(hidden, channels, 1, bias=bias)
        self.norm = nn.BatchNorm2d(channels)
        for layer in self.children():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Add to every position of x what it attends to."""
        check_feature_map("NonLocal", x, self.channels, min_side=self.min_side)
        pooled = self.pool(x)
        query, key = self.theta(x).flatten(2), self.phi(pooled).flatten(2)
        value = self.g(pooled).flatten(2)
        if self.mode == "dot":
            attended = value @ (key.transpose(1, 2) @ query / key.shape[2])
        else:
            attended = attend(query, key, value, self.scale)
        added: Tensor = self.norm(self.out(attended.unflatten(2, x.shape[2:])))
        return x + added
