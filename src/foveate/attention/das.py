"""DAS: a deformable gate, one weight per channel and pixel, from where learned offsets point.

Paper: Salajegheh et al., DAS: A Deformable Attention to Capture Salient Information in CNNs,
arXiv:2311.12091, eq. 1-4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention.parts.kernel import DeformKernel, Tail
from foveate.attention.parts.norms import NORMS, make_norm
from foveate.attention.parts.squeeze import TAPS, separable
from foveate.attention.place import Place
from foveate.attention.registry import attention_spec, register, squeezed
from foveate.core import (
    check_choice,
    check_feature_map,
    check_flag,
    check_odd,
    check_positive_int,
    check_ratio,
    expected,
)
from foveate.ops import channel_layer_norm
from foveate.ops.layout import as_laid_out, quick_layout
from foveate.ops.modules import InstanceNorm

# Leaves for symbolic tracing: they look at shapes and strides, which a proxy has not.
for _leaf in ("as_laid_out", "quick_layout"):
    torch.fx.wrap(_leaf)  # type: ignore[no-untyped-call]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": lambda: nn.GELU(),
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "relu": lambda: nn.ReLU(),
}


def _params(channels: int, **given: Any) -> int:
    o = {**attention_spec("das").options, **given}
    c, r = channels, squeezed(channels, o["alpha"], o["rounding"], o["multiple_of"])
    depthwise = c if o["separable_order"] == "dw_pw" else r
    total = depthwise * o["separable_kernel"] ** 2 + c * r
    total += (depthwise + r) if o["separable_bias"] else 0
    total += 2 * depthwise if o["separable_norm"] == "batch" else 0
    total += 2 * r if o["inst_affine"] or o["norm_before"] in ("batch", "layer", "group") else 0
    maps = (3 if o["modulated"] else 2) * TAPS * o["offset_groups"]
    source = r if o["offset_source"] == "squeezed" else c
    total += maps * source * o["offset_kernel"] ** 2 + (maps if o["offset_bias"] else 0)
    kernels = {"dense": TAPS * r * c, "grouped9": TAPS * c, "dw_pw": TAPS * r + r * c}
    total += kernels[o["deform_weight"]] + (c if o["deform_bias"] else 0)
    height, width = o["map_size"] or (1, 1)
    scales = o["ln_affine"] and o["norm_after"] != "none"
    return int(total + (2 * c * height * width if scales else 0))


def _fit(place: Place, options: dict[str, Any]) -> dict[str, Any]:
    bound = options.get("ln_axes") == "chw" and options.get("map_size") is None
    return {"map_size": place.size} if bound else {}


@register(
    name="das",
    title="Deformable attention gate",
    kind="both",
    paper="2311.12091",
    year=2023,
    site="stages",
    params=_params,
    fit=_fit,
    min_pixels=2,
    verified=("formula in float64", "the published cost, to its digits", "no code is public"),
    departs=(
        "alpha, rounding, biases and initialization are not in print; defaults as documented",
        "modulated offsets (27 channels): inferred from the published cost figures",
    ),
)
class DAS(nn.Module):
    r"""Deformable attention gate, $y = x \cdot A(x)$.

    $A = \sigma(\mathrm{LN}(\mathrm{deform}(X_c)))$ with
    $X_c = \mathrm{GELU}(\mathrm{IN}(\mathrm{separable}(x)))$: a depthwise separable convolution
    squeezes C channels to r, offsets and modulation are predicted from the squeezed map, and a
    deformable 3x3 convolution leads back to C channels.

    The paper leaves choices open; each is an option whose default agrees with its published cost.

    Args:
        channels: Channels C of the input, at least 1.
        alpha: Squeeze ratio in (0, 1]; r = max(1, floor(alpha * C)).
        rounding: ``"floor"``, ``"round"`` or ``"ceil"`` of alpha * C.
        multiple_of: Round r to a multiple of this, for speed (not in the paper).
        separable_order: ``"dw_pw"`` (depthwise first) or ``"pw_dw"``.
        separable_kernel: Size of the depthwise kernel, odd.
        separable_bias: Biases on both; in the order dw_pw the InstanceNorm removes them again.
        separable_norm: ``"none"`` or ``"batch"`` between the two.
        separable_activation: ``"none"`` or ``"relu"`` between the two.
        norm_before: Norm of the squeezed map, by ``"instance"``, or with learned scale and shift
            ``"batch"``, ``"layer"`` over channels at each pixel or ``"group"`` of up to 32 groups,
            equal and of two channels or more; or ``"none"``.
        inst_affine: Learned scale and shift in the InstanceNorm, where that is the norm before.
        inst_track_stats: Running statistics in that InstanceNorm, used in evaluation.
        activation: ``"gelu"``, ``"gelu_tanh"`` or ``"relu"``.
        offset_source: Predict offsets from the ``"squeezed"`` map or the ``"input"``.
        modulated: Weigh every tap by a mask in (0, ``mask_scale``).
        mask_scale: 1, or 2 so that the mask starts at 1.
        offset_kernel: Kernel size of the convolution that predicts the offsets, odd.
        offset_bias: Bias of that convolution.
        offset_init: ``"zeros"``, the regular grid at the start, or ``"default"``.
        offset_groups: Channel groups with offsets of their own, a divisor of r.
        deform_weight: ``"dense"``; ``"dw_pw"``, a depthwise deformable kernel on r channels and a
            pointwise convolution to C; ``"grouped9"``, 9 weights per output channel c, which reads
            squeezed channel c mod r. Only ``"dense"`` agrees with the paper's words.
        deform_bias: Bias of the deformable convolution.
        norm_after: Norm before the sigmoid: ``"layer"``, ``"none"``, ``"batch"``, ``"instance"`` or
            ``"group"``. All but the first are slower, as nothing is fused.
        ln_axes: LayerNorm over ``"channel"`` at each pixel, over channels and pixels with weights
            per channel (``"group1"``), or with weights per element (``"chw"``, needs ``map_size``);
            the last two for a ``"layer"`` alone.
        ln_affine: Learned scale and shift in the norm after, whichever it is.
        eps: Added to the variances.
        gate_function: ``"sigmoid"``.
        residual: Return x + x * A instead of x * A.
        init: ``"default"``, or ``"near_identity"``: scale 0 and shift 6 in the norm after, so that
            a fresh gate passes 0.9975 of everything. For an exact start see
            ``insert_(start="identity")``.
        map_size: H and W, for ``ln_axes="chw"`` alone; insertion into a network fills it in.

    Shape:
        - x: $(N, C, H, W)$ with $H W \ge 2$ (InstanceNorm), any float dtype.
        - output: as x, same dtype and device.

    Raises:
        TypeError: If a switch is not a bool.
        ValueError: If an option is outside its range; in ``forward``, if x is not (N, C, H, W) or
            has a single pixel.

    Example:
        >>> gate = DAS(32)
        >>> x = torch.rand(2, 32, 7, 5)
        >>> gate(x).shape, sum(p.numel() for p in gate.parameters())
        (torch.Size([2, 32, 7, 5]), 3757)

    Source: arXiv:2311.12091, eq. 1 (squeeze), 2 (deformable), 3 (gate), 4 (product).
    """

    def __init__(
        self,
        channels: int,
        alpha: float = 0.2,
        *,
        rounding: str = "floor",
        multiple_of: int = 1,
        separable_order: str = "dw_pw",
        separable_kernel: int = 3,
        separable_bias: bool = False,
        separable_norm: str = "none",
        separable_activation: str = "none",
        norm_before: str = "instance",
        inst_affine: bool = False,
        inst_track_stats: bool = False,
        activation: str = "gelu",
        offset_source: str = "squeezed",
        modulated: bool = True,
        mask_scale: float = 1.0,
        offset_kernel: int = 3,
        offset_bias: bool = True,
        offset_init: str = "zeros",
        offset_groups: int = 1,
        deform_weight: str = "dense",
        deform_bias: bool = False,
        norm_after: str = "layer",
        ln_axes: str = "channel",
        ln_affine: bool = True,
        eps: float = 1e-5,
        gate_function: str = "sigmoid",
        residual: bool = False,
        init: str = "default",
        map_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        check_positive_int("DAS", "channels", channels)
        check_ratio("DAS", "alpha", alpha)
        for name, value, known in (
            ("rounding", rounding, ("floor", "round", "ceil")),
            ("separable_order", separable_order, ("dw_pw", "pw_dw")),
            ("separable_norm", separable_norm, ("none", "batch")),
            ("separable_activation", separable_activation, ("none", "relu")),
            ("norm_before", norm_before, NORMS),
            ("activation", activation, tuple(_ACTIVATIONS)),
            ("offset_source", offset_source, ("squeezed", "input")),
            ("offset_init", offset_init, ("zeros", "default")),
            ("deform_weight", deform_weight, ("dense", "grouped9", "dw_pw")),
            ("norm_after", norm_after, NORMS),
            ("ln_axes", ln_axes, ("channel", "group1", "chw")),
            ("gate_function", gate_function, ("sigmoid",)),
            ("init", init, ("default", "near_identity")),
        ):
            check_choice("DAS", name, value, known)
        for name, flag in (
            ("separable_bias", separable_bias),
            ("inst_affine", inst_affine),
            ("inst_track_stats", inst_track_stats),
            ("modulated", modulated),
            ("offset_bias", offset_bias),
            ("deform_bias", deform_bias),
            ("ln_affine", ln_affine),
            ("residual", residual),
        ):
            check_flag("DAS", name, flag)
        check_odd("DAS", "separable_kernel", separable_kernel)
        check_odd("DAS", "offset_kernel", offset_kernel)
        check_positive_int("DAS", "multiple_of", multiple_of)
        check_ratio("DAS", "mask_scale", mask_scale, upper=float("inf"))
        check_ratio("DAS", "eps", eps)
        squeeze = squeezed(channels, alpha, rounding, multiple_of)
        check_positive_int("DAS", "offset_groups", offset_groups)
        if squeeze % offset_groups:
            rule = f"offset_groups that divide the {squeeze} squeezed channels"
            raise ValueError(expected("DAS", rule, offset_groups))
        if (ln_axes == "chw") != (map_size is not None):
            raise ValueError(
                expected("DAS", "map_size with ln_axes='chw', and only then", map_size)
            )
        if (inst_affine or inst_track_stats) and norm_before != "instance":
            rule = "norm_before='instance' for inst_affine or inst_track_stats"
            raise ValueError(expected("DAS", rule, norm_before))
        if ln_axes != "channel" and norm_after != "layer":
            rule = f"norm_after='layer' for ln_axes={ln_axes!r}"
            raise ValueError(expected("DAS", rule, norm_after))
        if init == "near_identity" and not ln_affine:
            raise ValueError(expected("DAS", "ln_affine=True for init='near_identity'", ln_affine))
        if init == "near_identity" and norm_after == "none":
            raise ValueError(expected("DAS", "a norm_after for init='near_identity'", norm_after))
        self.channels, self.squeezed = channels, squeeze
        self.offset_source, self.modulated, self.mask_scale = offset_source, modulated, mask_scale
        self.offset_groups, self.deform_weight = offset_groups, deform_weight
        self.ln_axes, self.eps, self.residual = ln_axes, eps, residual
        self.squeeze = separable(
            channels,
            squeeze,
            order=separable_order,
            kernel=separable_kernel,
            bias=separable_bias,
            norm=separable_norm,
            activation=separable_activation,
        )
        self.norm = (
            InstanceNorm(squeeze, eps, affine=inst_affine, track_running_stats=inst_track_stats)
            if norm_before == "instance"
            else make_norm(norm_before, squeeze, eps)
        )
        self.activation = _ACTIVATIONS[activation]()
        maps = (3 if modulated else 2) * TAPS * offset_groups
        source = squeeze if offset_source == "squeezed" else channels
        self.offset = nn.Conv2d(
            source, maps, offset_kernel, padding=offset_kernel // 2, bias=offset_bias
        )
        self.deform = DeformKernel(squeeze, channels, deform_weight, deform_bias)
        # The LayerNorm is two weights here, as it is fused with what follows.
        has_layer = norm_after == "layer"
        shape = (channels, *map_size) if map_size is not None else (channels,)
        self.ln_weight = nn.Parameter(torch.ones(shape)) if has_layer and ln_affine else None
        self.ln_bias = nn.Parameter(torch.zeros(shape)) if has_layer and ln_affine else None
        self.norm_after = None if has_layer else make_norm(norm_after, channels, eps, ln_affine)
        if offset_init == "zeros":
            nn.init.zeros_(self.offset.weight)
            if self.offset.bias is not None:
                nn.init.zeros_(self.offset.bias)
        if init == "near_identity":
            scale, shift = (self.norm_after or self).parameters(recurse=False)
            nn.init.zeros_(scale)
            nn.init.constant_(shift, 6.0)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply x by its gate (eq. 4)."""
        check_feature_map(type(self).__name__, x, self.channels, min_pixels=2)
        if self.ln_axes != "channel":
            gated = x * self.gate(x)
        else:
            gated = as_laid_out(self._gated(quick_layout(x)), x)
        return x + gated if self.residual else gated

    def gate(self, x: Tensor) -> Tensor:
        """Compute the gate A in (0, 1), shape (N, C, H, W) (eq. 1-3)."""
        check_feature_map(type(self).__name__, x, self.channels, min_pixels=2)
        squeezed_map = self._squeeze(x)
        offset, mask = self._predict(x, squeezed_map)
        mixed = self.deform(squeezed_map, offset, mask)
        # Sigmoid in the dtype of the norm: under autocast that is float32, cast back at the end.
        norm = self._layer_norm if self.norm_after is None else self.norm_after
        weights: Tensor = norm(mixed).sigmoid().to(x.dtype)
        return weights

    def offsets(self, x: Tensor) -> Tensor:
        """Sampling points of every output pixel, for viewing.

        Shape:
            - x: (N, C, H, W).
            - output: (N, D * 9, 2, H, W), the absolute position (y, x) of each tap in pixels of
              this map (pixel centers on integers), taps row by row, D offset groups.
        """
        check_feature_map(type(self).__name__, x, self.channels, min_pixels=2)
        offset, _ = self._predict(x, self._squeeze(x))
        batch, _, height, width = offset.shape
        shifts = offset.float().reshape(batch, -1, 2, height, width)
        tap = torch.arange(TAPS, device=x.device)
        grid = torch.stack([tap.div(3, rounding_mode="floor") - 1, tap % 3 - 1], dim=1)
        rows = torch.arange(height, device=x.device).view(1, height, 1).expand(-1, -1, width)
        cols = torch.arange(width, device=x.device).view(1, 1, width).expand(-1, height, -1)
        base = torch.cat([rows, cols]) + grid.repeat(self.offset_groups, 1)[:, :, None, None]
        return base + shifts

    def extra_repr(self) -> str:
        """Name the widths."""
        return f"channels={self.channels}, squeezed={self.squeezed}"

    def _gated(self, x: Tensor) -> Tensor:
        """Multiply x by its gate, in one operator with the LayerNorm if that is the norm."""
        if self.norm_after is not None:
            return x * self.gate(x)
        squeezed_map = self._squeeze(x)
        tail = Tail(x, self.ln_weight, self.ln_bias, self.eps)
        gated: Tensor = self.deform(squeezed_map, *self._predict(x, squeezed_map), tail)
        return gated

    def _squeeze(self, x: Tensor) -> Tensor:
        squeezed_map: Tensor = self.activation(self.norm(self.squeeze(x)))
        return squeezed_map

    def _predict(self, x: Tensor, squeezed_map: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict displacements in pixels and, if modulated, the mask in (0, mask_scale)."""
        maps = self.offset(squeezed_map if self.offset_source == "squeezed" else x)
        if not self.modulated:
            return maps, None
        taps = TAPS * self.offset_groups
        shifts, logits = torch.split(maps, [2 * taps, taps], dim=1)
        # Packed first: the sigmoid of every third value in memory is several times slower.
        mask = quick_layout(logits).sigmoid()
        return shifts, mask if self.mask_scale == 1 else mask * self.mask_scale

    def _layer_norm(self, mixed: Tensor) -> Tensor:
        if self.ln_axes == "channel":
            return channel_layer_norm(mixed, self.ln_weight, self.ln_bias, self.eps)
        if self.ln_axes == "group1":
            return nn.functional.group_norm(mixed, 1, self.ln_weight, self.ln_bias, self.eps)
        shape = mixed.shape[1:]
        if self.ln_weight is not None and tuple(self.ln_weight.shape) != tuple(shape):
            rule = f"a map of {tuple(self.ln_weight.shape[1:])} pixels, its map_size"
            raise ValueError(expected("DAS", rule, tuple(shape[1:])))
        return nn.functional.layer_norm(mixed, shape, self.ln_weight, self.ln_bias, self.eps)
