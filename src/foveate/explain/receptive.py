"""The receptive field that is really used: which pixels move a gate at one place, and how much.

Source: Luo et al., Understanding the effective receptive field in deep convolutional neural
networks, arXiv:1701.04128: the size of the gradient of one place of a map by the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import check_positive_int, expected
from foveate.explain.observe import undisturbed
from foveate.explain.sampling import check_positions, gate_of, has, to_cells, to_image
from foveate.surgery import inserted

_WHO = "receptive_fields"
_HELD = 0.9


@dataclass(frozen=True)
class ReceptiveField:
    """Which pixels one gate depends on at one place of its map, per image.

    Attributes:
        site: Name of the place where the gate sits.
        of: ``"gate"``, or ``"output"`` of an attention that has no method ``gate``.
        query: (N, 2) center (y, x), in pixels of the image, of the cell asked for.
        maps: (N, H, W) float32, at least 0, of sum 1 (all 0 where nothing depends on the image).
        radius: (N,) root mean square distance from ``query`` in pixels; NaN where the map is 0.
        share: (N,) the smallest share of the image's pixels that holds 90 % of the map; likewise.
        center: (N, 2) center of mass (y, x) in pixels; likewise.
        extent: (N, 2) int64, height and width of the box around all that is not 0: the field in
            theory, as far as no activation is shut. A norm over all places makes it the image.
        undeformed: (N,) the radius if this gate, and no other, sampled the regular grid; None
            for a gate that does not sample.
    """

    site: str
    of: str
    query: Tensor
    maps: Tensor
    radius: Tensor
    share: Tensor
    center: Tensor
    extent: Tensor
    undeformed: Tensor | None


def receptive_fields(
    model: nn.Module,
    images: Tensor,
    positions: Tensor,
    *,
    probes: int | None = 4,
    undeformed: bool = True,
) -> list[ReceptiveField]:
    r"""How much every pixel moves each inserted attention at one place of each image.

    The map is $\sqrt{\sum_{c,k} (\partial g_c(y, x) / \partial p_k)^2}$ over the channels c of the
    gate and the colors k of the pixel p. The sum over c is estimated by the gradients of
    ``probes`` sums of channels with random signs (their mean square is exact in expectation); a
    plain sum of channels would not do, as a norm over channels takes it out again.

    The network runs in eval mode and is left as it was; it works under ``torch.no_grad`` and on
    frozen networks. It takes two passes back through the network per probe, gate and call.

    Args:
        model: A network with inserted attentions.
        images: (N, 3, H, W), prepared as in training.
        positions: (N, 2), (y, x) in pixels of the image.
        probes: How many random sums; None takes each channel by itself, exact and slow.
        undeformed: Whether to measure the radius on the regular grid too.

    Returns:
        One entry per attention in the order of the network; an empty list if it has none.

    Raises:
        ValueError: If ``positions`` is not (N, 2) or lies outside the images.

    Example:
        >>> receptive_fields(nn.Conv2d(3, 4, 1), torch.rand(1, 3, 8, 8), torch.zeros(1, 2))
        []
    """
    positions = check_positions(_WHO, positions, images)[:, None]
    return [
        _measured(site, positions[:, 0], images)
        for site in _trace(model, images, positions, probes, undeformed)
    ]


def receptive_grid(
    model: nn.Module, images: Tensor, at: int | Tensor = 5, probes: int | None = 2
) -> tuple[Tensor, list[tuple[str, Tensor]]]:
    """The maps of ``receptive_fields`` for several positions in one run.

    Args:
        model: A network with inserted attentions.
        images: (N, 3, H, W), prepared as in training.
        at: Positions in each direction, in the middle of equal parts of the image; or the positions
            themselves, (K, 2) in pixels of the image.
        probes: As above.

    Returns:
        The positions (K, 2), row by row, and for each attention its site and its maps, not
        normalized, (N, K, H, W).

    Raises:
        ValueError: If there are no positions, or they lie outside the images.
    """
    if isinstance(at, Tensor):
        places = check_positions("receptive_grid", at, images[:1].expand(len(at), -1, -1, -1))
    else:
        check_positive_int("receptive_grid", "at", at)
        middles = (torch.arange(at, device=images.device) + 0.5) / at
        grid = torch.stack(torch.meshgrid(middles, middles, indexing="ij"), dim=-1)
        places = grid.reshape(-1, 2) * middles.new_tensor(images.shape[-2:]) - 0.5
    traced = _trace(model, images, places.expand(len(images), -1, -1), probes, False)
    return places, [(site.name, site.maps) for site in traced]


@dataclass
class _Traced:
    """One attention in a run whose gradients are kept."""

    name: str
    of: str
    map_size: tuple[int, int]
    maps: Tensor
    regular: Tensor | None


def _trace(
    model: nn.Module, images: Tensor, positions: Tensor, probes: int | None, undeformed: bool
) -> list[_Traced]:
    """Maps (N, K, H, W) of all attentions for K positions (N, K, 2) per image."""
    if probes is not None:
        check_positive_int(_WHO, "probes", probes)
    found = inserted(model)
    if not found:
        return []
    # An inference tensor cannot enter autograd, hence the clone outside of inference mode.
    with torch.inference_mode(False), torch.enable_grad(), undisturbed(model):
        inputs = images.detach().clone().requires_grad_()
        kept: dict[str, tuple[str, Tensor, Tensor | None]] = {}
        for site, module in found.items():
            _keep(module, site, kept, undeformed)
        model(inputs)
        traced = []
        for site, (of, gate, regular) in kept.items():
            size = (gate.shape[-2], gate.shape[-1])
            maps = _gradients(gate, inputs, positions, probes)
            plain = None if regular is None else _gradients(regular, inputs, positions, probes)
            traced.append(_Traced(site, of, size, maps, plain))
    return traced


def _keep(
    module: nn.Module,
    site: str,
    kept: dict[str, tuple[str, Tensor, Tensor | None]],
    undeformed: bool,
) -> None:
    """Keep the gate of an attention with its graph, or its output where there is no gate."""

    def keep_gate(one: Any, inputs: tuple[Tensor, ...]) -> None:
        gate, regular = gate_of(one, inputs[0]), None
        if gate is None:
            return
        if undeformed and has(one, "offsets"):
            with _regular(one):
                regular = gate_of(one, inputs[0])
        kept[site] = ("gate", gate, regular)

    def keep_output(_: nn.Module, inputs: Any, output: Tensor) -> None:
        kept.setdefault(site, ("output", output, None))

    part = next((one for one in module.modules() if has(one, "gate")), None)
    if part is not None:
        part.register_forward_pre_hook(keep_gate)
    module.register_forward_hook(keep_output)


@contextmanager
def _regular(part: Any) -> Iterator[None]:
    """Let a deformable gate sample the regular grid; its modulation stays."""
    shifts = 18 * part.offset_groups

    def still(_: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(output[:, :shifts]), output[:, shifts:]], 1)

    handle = part.offset.register_forward_hook(still)
    try:
        yield
    finally:
        handle.remove()


def _gradients(gate: Tensor, inputs: Tensor, positions: Tensor, probes: int | None) -> Tensor:
    """Root of the summed squared gradients by the image, (N, K, H, W)."""
    if gate.dim() != 4:
        raise ValueError(expected(_WHO, "attentions with a map (N, C, h, w)", tuple(gate.shape)))
    count, channels, h, w = gate.shape
    cells = to_cells(positions, (h, w), (inputs.shape[-2], inputs.shape[-1]))
    rows = torch.arange(count, device=gate.device)
    generator = torch.Generator().manual_seed(0)
    result = inputs.new_zeros(count, positions.shape[1], *inputs.shape[-2:], dtype=torch.float32)
    if not gate.requires_grad:
        return result
    signs = (
        torch.eye(channels)
        if probes is None
        else torch.randint(0, 2, (probes, channels), generator=generator) * 2.0 - 1
    ).to(gate)
    for place in range(positions.shape[1]):
        y, x = cells[:, place].unbind(1)
        chosen = gate[rows, :, y, x]  # (N, C)
        for weights in signs:
            (found,) = torch.autograd.grad(
                (chosen * weights).sum(), inputs, retain_graph=True, allow_unused=True
            )
            if found is not None:
                result[:, place] += found.float().square().sum(1)
    return (result / (1 if probes is None else probes)).sqrt_()


def _measured(site: _Traced, positions: Tensor, images: Tensor) -> ReceptiveField:
    maps = site.maps[:, 0]
    size = (images.shape[-2], images.shape[-1])
    query = to_image(to_cells(positions, site.map_size, size).float(), site.map_size, size)
    shares = _normal(maps)
    seen = (maps > 0).flatten(1).any(1)
    unknown = torch.full_like(query[:, 0], torch.nan)
    axes = [torch.arange(side, device=maps.device, dtype=torch.float32) for side in size]
    center = torch.stack([shares.sum(2) @ axes[0], shares.sum(1) @ axes[1]], dim=1)
    held = shares.flatten(1).double().sort(dim=1, descending=True).values.cumsum(1)
    share = ((held < _HELD).sum(1) + 1).float() / held.shape[1]
    return ReceptiveField(
        site=site.name,
        of=site.of,
        query=query,
        maps=shares,
        radius=radius(shares, query),
        share=torch.where(seen, share, unknown),
        center=torch.where(seen[:, None], center, unknown[:, None]),
        extent=torch.stack([_span(maps, 2), _span(maps, 1)], dim=1),
        undeformed=None if site.regular is None else radius(_normal(site.regular[:, 0]), query),
    )


def radius(maps: Tensor, query: Tensor) -> Tensor:
    """Root mean square distance (N,) of maps (N, H, W) of sum 1 from (N, 2); NaN where all is 0."""
    rows, columns = (torch.arange(side, device=maps.device) for side in maps.shape[-2:])
    away = (rows[None, :, None] - query[:, 0, None, None]).square() + (
        columns[None, None] - query[:, 1, None, None]
    ).square()
    mean = (maps * away).flatten(1).sum(1)
    return torch.where(maps.flatten(1).any(1), mean.sqrt(), torch.nan)


def _normal(maps: Tensor) -> Tensor:
    total = maps.flatten(-2).sum(-1)[..., None, None]
    return maps / torch.where(total > 0, total, torch.ones_like(total))


def _span(maps: Tensor, along: int) -> Tensor:
    """From the first to the last line that is not 0."""
    lines = (maps > 0).any(along).long()
    last = lines.shape[1] - lines.flip(1).argmax(1)
    return torch.where(lines.any(1), last - lines.argmax(1), torch.zeros_like(last))
