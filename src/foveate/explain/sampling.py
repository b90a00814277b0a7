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
_SIDE = 3  # of the kernel of every deformable gate


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
class SiteField:
    """Where one gate samples to compute each place of its map.

    Coordinates are (y, x) in pixels of the image, pixel centers at whole numbers.

    Attributes:
        site: Name of the place where the gate sits.
        map_size: (h, w) of the gate's feature map.
        size: (H, W) of the image.
        points: (N, P, 2, h, w) float32, the sampling points; P = groups x taps.
        regular: (P, 2, h, w) float32, where an undeformed 3 x 3 kernel would sample.
        gate: (N, h, w) float32, mean of the gate over its channels.
    """

    site: str
    map_size: tuple[int, int]
    size: tuple[int, int]
    points: Tensor
    regular: Tensor
    gate: Tensor

    @property
    def displacement(self) -> Tensor:
        """How far each point lies from the regular one, (N, P, h, w) in pixels of the image."""
        distance: Tensor = (self.points - self.regular).norm(dim=2)
        return distance

    def at(self, positions: Tensor) -> SitePoints:
        """The points for one position per image, (N, 2) in pixels of the image."""
        cell = to_cells(positions, self.map_size, self.size)
        rows = torch.arange(len(cell), device=cell.device)
        y, x = cell.unbind(1)
        return SitePoints(
            site=self.site,
            map_size=self.map_size,
            query=to_image(cell.float(), self.map_size, self.size),
            points=self.points[rows, :, :, y, x],
            regular=self.regular[:, :, y, x].permute(2, 0, 1),
            gate=self.gate,
        )


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
    fields = site_fields(model, images)
    if not fields:
        return []
    size = (images.shape[-2], images.shape[-1])
    if positions is None:
        positions = strongest(fields[-1].gate, size)
    return [field.at(check_positions(_WHO, positions, images)) for field in fields]


def site_fields(model: nn.Module, images: Tensor) -> list[SiteField]:
    """Where each inserted deformable gate samples, for every place of its map.

    Args:
        model: A network with inserted attentions; it is left as it was.
        images: (N, 3, H, W), prepared as in training.

    Returns:
        One entry per gate in the order of the network; an empty list if it has none.

    Example:
        >>> site_fields(nn.Conv2d(3, 4, 1), torch.rand(1, 3, 8, 8))
        []
    """
    size = (images.shape[-2], images.shape[-1])
    return [_field(*entry, size=size) for entry in _observe(model, images, need="offsets")]


def check_positions(who: str, positions: Tensor, images: Tensor) -> Tensor:
    """Return ``positions`` in float32 if they are one (y, x) inside each of the images.

    Raises:
        ValueError: If they are not (N, 2) or lie outside.
    """
    positions = torch.as_tensor(positions, dtype=torch.float32, device=images.device)
    size = (images.shape[-2], images.shape[-1])
    if positions.shape != (len(images), 2):
        rule = f"positions of shape ({len(images)}, 2)"
        raise ValueError(expected(who, rule, tuple(positions.shape)))
    edge = torch.tensor(size, device=images.device)
    if not bool(((positions >= -0.5) & (positions <= edge - 0.5)).all()):
        raise ValueError(expected(who, f"positions inside the {size} image", positions.tolist()))
    return positions


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


def to_cells(positions: Tensor, map_size: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """The cells (row, column) of a map, (..., 2) int64, that hold positions of the image.

    Example:
        >>> to_cells(torch.tensor([0.0, 7.0]), (2, 2), (8, 8)).tolist()
        [0, 1]
    """
    edge = positions.new_tensor(map_size)
    scaled = (positions + 0.5) * (edge / positions.new_tensor(size))
    return torch.minimum(scaled.floor().clamp_min(0), edge - 1).long()


def regular_grid(points: Tensor) -> Tensor:
    """The points of an undeformed 3 x 3 kernel, (P, 2, h, w), for ``points`` (N, P, 2, h, w).

    Example:
        >>> regular_grid(torch.zeros(1, 9, 2, 4, 4))[0, :, 0, 0].tolist()
        [-1.0, -1.0]
    """
    _, taps, _, h, w = points.shape
    steps = torch.arange(_SIDE, device=points.device) - _SIDE // 2
    kernel = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).reshape(-1, 2)
    kernel = kernel.repeat(max(1, taps // len(kernel)), 1)[:, :, None, None]
    rows, columns = (torch.arange(side, device=points.device) for side in (h, w))
    cells = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return (kernel + cells).to(points.dtype)


def _field(site: str, offsets: Tensor | None, gate: Tensor, *, size: tuple[int, int]) -> SiteField:
    if offsets is None:
        raise ValueError(expected(_WHO, "a gate with offsets", site))
    map_size = (offsets.shape[-2], offsets.shape[-1])

    def scaled(points: Tensor) -> Tensor:
        return to_image(points.float().movedim(-3, -1), map_size, size).movedim(-1, -3)

    return SiteField(site, map_size, size, scaled(offsets), scaled(regular_grid(offsets)), gate)


def _observe(
    model: nn.Module, images: Tensor, need: str
) -> list[tuple[str, Tensor | None, Tensor]]:
    """Run the network once; return site, sampling points and mean gate of each attention."""
    found: list[tuple[str, nn.Module]] = []
    for site, module in inserted(model).items():
        # An identity start wraps the attention: the gate is then one of its parts.
        # A method is meant: timm's classes have a child of that name, the sigmoid.
        part = next((p for p in module.modules() if has(p, need) and has(p, "gate")), None)
        if part is not None:
            found.append((site, part))
    if not found:
        return []
    with torch.no_grad(), undisturbed(model), _gates_of(dict(found), need) as seen:
        model(images)
    return [(site, *seen[site]) for site, _ in found if site in seen]


def has(module: nn.Module, method: str) -> bool:
    """Whether the class of a module has a method of that name."""
    return callable(getattr(type(module), method, None))


def gate_of(part: Any, x: Tensor) -> Tensor | None:
    """The weights that a module with a method ``gate`` gives x.

    None where it has several gates and so refuses; were x wrong, its forward pass would say so.
    """
    try:
        weights: Tensor = part.gate(x)
    except ValueError:
        return None
    return weights


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
            gate = gate_of(part, inputs[0])
            if gate is not None and gate.dim() == 4:
                offsets = part.offsets(inputs[0]) if need == "offsets" else None
                kept[name] = (offsets, gate.float().mean(1))

        handles.append(module.register_forward_pre_hook(keep))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
