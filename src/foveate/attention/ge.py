"""Gather-excite: weigh each element by a summary of the neighborhood that it stands for.

Paper: Hu et al., Gather-Excite: Exploiting Feature Context in Convolutional Neural Networks,
arXiv:1810.12348, sec. 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx, nn
from torch.nn import functional

from foveate.attention.place import Place
from foveate.attention.registry import Official, register
from foveate.core import Words, check_choice, check_feature_map, check_positive_int, expected

_WHO = "GatherExcite"


def _is_bound(mode: str, extent: int) -> bool:
    """Whether the weights belong to maps of one size."""
    return mode != "minus" and extent == 0


def _size(mode: str, extent: int, map_size: Sequence[int] | None) -> tuple[int, int] | None:
    """Return the map size that the weights are bound to, or None; refuse one too many or few."""
    if not _is_bound(mode, extent):
        if map_size is not None:
            rule = f"no map_size for mode={mode!r} and extent={extent}"
            raise ValueError(expected(_WHO, rule, Words(map_size)))
        return None
    if map_size is None or len(map_size) != 2:
        raise ValueError(
            expected(
                _WHO,
                f"map_size=(H, W) for mode={mode!r} and extent=0",
                Words(map_size),
                "give it, or a finite extent, or mode='minus'",
            )
        )
    height, width = (check_positive_int(_WHO, "map_size", side) for side in map_size)
    return height, width


def _params(
    channels: int,
    mode: str = "minus",
    extent: int = 0,
    reduction: int = 16,
    map_size: Sequence[int] | None = None,
) -> int:
    size = _size(mode, extent, map_size)
    hidden = max(1, channels // reduction)
    gather = {"minus": 0}.get(mode, 11 * channels * (extent.bit_length() - 1))
    if size is not None:
        gather = channels * (size[0] * size[1] + 2)
    return gather + (2 * channels * hidden + hidden + channels if mode == "plus" else 0)


def _fit(place: Place, options: dict[str, Any]) -> dict[str, Any]:
    """Ask for the size of the map where the weights are bound to it and none was given."""
    bound = _is_bound(options.get("mode", "minus"), options.get("extent", 0))
    return {"map_size": place.size} if bound and options.get("map_size") is None else {}


@register(
    name="ge",
    title="Gather-excite",
    kind="both",
    paper="1810.12348",
    year=2018,
    site="post_norm",
    params=_params,
    official=Official("hujie-frank/GENet", "ae791f8", "models/RN50-GEPP.prototxt", "none"),
    departs=(
        "finite extents, of which no code was published, follow the paper's text and figures",
        "windows of mode='minus' that reach over the border average what lies on the map",
        "BatchNorms have momentum 0.05, which Caffe writes as 0.95",
        "mode='minus' and extent=0 as defaults are this project's choice; no source names any",
    ),
    verified=(
        "formula and gradients in float64; nothing recorded, as the official code has no license",
        "timm 1.0.31's class for mode='minus'",
    ),
    fit=_fit,
)
class GatherExcite(nn.Module):
    r"""Gather-excite, $y = x \cdot \sigma(\mathrm{resize}(\mathrm{excite}(\mathrm{gather}(x))))$.

    Gathering with extent e makes a map e times smaller in each direction, with extent 0 a single
    pixel; the resize to the size of x takes the nearest neighbor. The three modes are the paper's
    GE-$\theta^-$, GE-$\theta$ and GE-$\theta^+$:

    - ``"minus"`` has no weights: it averages windows of $2e - 1$ pixels at every e-th one.
    - ``"theta"`` gathers by depthwise convolutions, each with a BatchNorm: $\log_2 e$ of 3x3 and
      stride 2 with a ReLU between them, or for extent 0 one that is as large as the map.
    - ``"plus"`` gathers as ``"theta"`` and a ReLU, and excites by a small MLP of the channels.

    The kernel of extent 0 binds the module to maps of one size, which insertion into a network
    fills in. In training, its BatchNorm needs two images in a batch, and so does that of a finite
    extent whose map shrinks to one pixel; torch raises ValueError for one.

    Args:
        channels: Channels C of the input, at least 1.
        mode: ``"minus"``, ``"theta"`` or ``"plus"``.
        extent: Ratio e of the sizes: 2, 4, 8, or 0 for the whole map.
        reduction: Width divisor of the hidden layer of ``"plus"``, ``max(1, C // reduction)``.
        map_size: H and W of the input, for ``"theta"`` and ``"plus"`` with extent 0 alone.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x. A side need not be a multiple of e,
          nor as large as e: the small map has $\lceil H / e \rceil \times \lceil W / e \rceil$
          pixels.

    Raises:
        ValueError: If an option is unknown or below 1, or ``map_size`` is missing or not asked
            for; in ``forward``, if x is not (N, C, H, W) or not of ``map_size``.

    Example:
        >>> import torch
        >>> GatherExcite(32, mode="plus", extent=4)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self,
        channels: int,
        mode: str = "minus",
        extent: int = 0,
        reduction: int = 16,
        map_size: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.channels = check_positive_int(_WHO, "channels", channels)
        check_choice(_WHO, "mode", mode, ("minus", "theta", "plus"))
        check_choice(_WHO, "extent", extent, (0, 2, 4, 8))
        check_positive_int(_WHO, "reduction", reduction)
        self.extent = extent
        self.map_size = _size(mode, extent, map_size)
        layers = _gathering(channels, extent, self.map_size) if mode != "minus" else []
        if mode == "plus":
            hidden = max(1, channels // reduction)
            down, up = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)
            for layer in (down, up):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            layers += [nn.ReLU(), down, nn.ReLU(), up]
        self.layers = nn.Sequential(*layers) if layers else None

    def gate(self, x: Tensor) -> Tensor:
        """Return the weights in (0, 1), (N, C, H, W), or (N, C, 1, 1) for extent 0."""
        check_feature_map(_WHO, x, self.channels)
        self._check_size(x)
        if self.layers is not None:
            small: Tensor = self.layers(x)
        elif self.extent:
            window, margin = 2 * self.extent - 1, self.extent - 1
            small = functional.avg_pool2d(x, window, self.extent, margin, count_include_pad=False)
        else:
            small = x.mean((2, 3), keepdim=True)
        weights = small.sigmoid()
        return functional.interpolate(weights, size=x.shape[2:]) if self.extent else weights

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every element of x."""
        return x * self.gate(x)

    def _check_size(self, x: Tensor) -> None:
        if self.map_size is None or isinstance(x, fx.Proxy) or x.shape[2:] == self.map_size:
            return
        wanted, got = ("x".join(str(side) for side in one) for one in (self.map_size, x.shape[2:]))
        remedy = "a finite extent, or mode='minus', takes maps of any size"
        raise ValueError(expected(_WHO, f"a map of {wanted} pixels", Words(got), remedy))


def _gathering(channels: int, extent: int, size: tuple[int, int] | None) -> list[nn.Module]:
    """Depthwise convolutions and their norms, with a ReLU between them."""
    layers: list[nn.Module] = []
    for _ in range(1 if size else extent.bit_length() - 1):
        where: dict[str, Any] = {"stride": 2, "padding": 1} if size is None else {}
        conv = nn.Conv2d(channels, channels, size or 3, groups=channels, bias=False, **where)
        nn.init.kaiming_normal_(conv.weight)
        layers += [nn.ReLU()] if layers else []
        layers += [conv, nn.BatchNorm2d(channels, momentum=0.05)]
    return layers
