"""Where deformable gates look: their sampling points and gate maps in image pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import expected
from foveate.explain.observe import undisturbed
from foveate.surgery import inserted

_WHO = "sampling_points"


@dataclass(frozen=True)
class SitePoints:
    """The sampling points of one gate for one chosen output position per image.

    Coordinates are (y, x) in pixels of the image, pixel centers at whole numbers.

    Attributes:
        site: Name of the place where the gate sits.
        map_size: (h, w) of the gate's feature map.
        query: (N, 2) center of the map cell that holds the chosen position.
        points: (N, P, 2) where the gate samples to compute its output there; P = groups x taps.
        regular: (N, P, 2) where an undeformed 3 x 3 kernel would sample.
        gate: (N, h, w) mean of the gate over its channels, in (0, 1).
    """

    site: str
    map_size: tuple[int, int]
    query: Tensor
    points: Tensor
    regular: Tensor
    gate: Tensor


@dataclass(frozen=True)
class SiteGate:
    """The mean map of one gate.

    Attributes:
        site: Name of the place where the gate sits.
        gate: (N, h, w) mean of the gate over its channels.
    """

    site: str
    gate: Tensor


def sampling_points(
    model: nn.Module, images: Tensor, positions: Tensor | None = None
) -> list[SitePoints]:
    """Where each inserted deformable gate samples for one output position of each image.

    Args:
        model: A network with inserted gates that have ``offsets`` and ``gate`` (``das``).
        images: (N, 3, H, W), prepared as in training.
        positions: (N, 2) output positions (y, x) in image pixels, for example the strongest point
            of a Grad-CAM map or the center of an object; by default the place where the last
            gate's mean map is strongest.

    Returns:
        One entry per gate in the order of the network; an empty list if it has none.

    Raises:
        ValueError: If ``positions`` is not (N, 2) or lies outside the images.

    Example:
        >>> sampling_points(nn.Conv2d(3, 4, 1), torch.rand(1, 3, 8, 8))
        []
    """
    seen = _observe(model, images, need="offsets")
    if not seen:
        return []
    size = (images.shape[-2], images.shape[-1])
    if positions is None:
        positions = strongest(seen[-1][2], size)
    positions = torch.as_tensor(positions, dtype=torch.float32, device=images.device)
    edge = torch.tensor(size, device=images.device)
    if positions.shape != (len(images), 2):
        raise ValueError(
            expected(_WHO, f"positions of shape ({len(images)}, 2)", tuple(positions.shape))
        )
    if bool(((positions < -0.5) | (positions > edge - 0.5)).any()):
        raise ValueError(expected(_WHO, f"positions inside the {size} image", positions.tolist()))
    return [_points(*entry, size=size, positions=positions) for entry in seen]


def gate_maps(model: nn.Module, images: Tensor) -> list[SiteGate]:
    """Mean maps of all inserted attentions whose gate differs from place to place.

    Gates that weigh channels only (``se``) have no map and are left out.

    Args:
        model: A network with inserted attentions.
        images: (N, 3, H, W), prepared as in training.
    """
    return [
        SiteGate(site, gate)
        for site, _, gate in _observe(model, images, need="gate")
        if gate.shape[-2] * gate.shape[-1] > 1
    ]


def strongest(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Positions (N, 2) in image pixels of the largest value of each map (N, h, w).

    Example:
        >>> strongest(torch.eye(2)[None] * torch.tensor([1.0, 2.0]), (4, 4)).tolist()
        [[2.5, 2.5]]
    """
    h, w = maps.shape[-2:]
    best = maps.flatten(1).argmax(1)
    cell = torch.stack([best // w, best % w], dim=1).float()
    return to_image(cell, (h, w), size)


def to_image(points: Tensor, map_size: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Map (..., 2) positions (y, x) from pixels of a map to pixels of the image it covers.

    Example:
        >>> to_image(torch.tensor([0.0, 1.0]), (2, 2), (8, 8)).tolist()
        [1.5, 5.5]
    """
    scale = torch.tensor([size[0] / map_size[0], size[1] / map_size[1]]).to(points)
    return (points + 0.5) * scale - 0.5


def _points(
    site: str,
    offsets: Tensor | None,
    gate: Tensor,
    *,
    size: tuple[int, int],
    positions: Tensor,
) -> SitePoints:
    if offsets is None:
        raise ValueError(expected(_WHO, "a gate with offsets", site))
    h, w = offsets.shape[-2:]
    scale = positions.new_tensor([h / size[0], w / size[1]])
    limit = positions.new_tensor([h - 1, w - 1])
    cell = torch.minimum(((positions + 0.5) * scale).floor().clamp_min(0), limit)
    rows = torch.arange(len(offsets), device=offsets.device)
    y, x = cell.long().unbind(1)
    points = offsets[rows, :, :, y, x].float()  # (N, P, 2)
    side = 3
    steps = torch.arange(side, device=points.device) - side // 2
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).reshape(1, -1, 2)
    grid = grid.repeat(1, max(1, points.shape[1] // (side * side)), 1)
    return SitePoints(
        site=site,
        map_size=(h, w),
        query=to_image(cell, (h, w), size),
        points=to_image(points, (h, w), size),
        regular=to_image(cell[:, None] + grid, (h, w), size),
        gate=gate,
    )


def _observe(
    model: nn.Module, images: Tensor, need: str
) -> list[tuple[str, Tensor | None, Tensor]]:
    """Run the network once; return site, sampling points and mean gate of each attention."""
    found: list[tuple[str, nn.Module]] = []
    for site, module in inserted(model).items():
        # An identity start wraps the attention: the gate is then one of its parts.
        # A method is meant: timm's classes have a child of that name, the sigmoid.
        part = next((p for p in module.modules() if _has(p, need) and _has(p, "gate")), None)
        if part is not None:
            found.append((site, part))
    if not found:
        return []
    with torch.no_grad(), undisturbed(model), _gates_of(dict(found), need) as seen:
        model(images)
    return [(site, *seen[site]) for site, _ in found if site in seen]


def _has(module: nn.Module, method: str) -> bool:
    return callable(getattr(type(module), method, None))


@contextmanager
def _gates_of(
    modules: dict[str, nn.Module], need: str
) -> Iterator[dict[str, tuple[Tensor | None, Tensor]]]:
    """Keep offsets and mean gate of each module while the network runs.

    Not afterwards: some tell each other during a pass what they forget at its end.
    """
    kept: dict[str, tuple[Tensor | None, Tensor]] = {}
    handles = []
    for name, module in modules.items():

        def keep(part: Any, inputs: tuple[Any, ...], name: str = name) -> None:
            gate = part.gate(inputs[0])
            if gate.dim() == 4:
                offsets = part.offsets(inputs[0]) if need == "offsets" else None
                kept[name] = (offsets, gate.float().mean(1))

        handles.append(module.register_forward_pre_hook(keep))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
