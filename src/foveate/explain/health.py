"""Is a gate alive? What inserted attentions really do to the maps they see, gate by gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention import attention_spec
from foveate.core import expected
from foveate.explain.observe import undisturbed
from foveate.explain.sampling import gate_of, has, regular_grid
from foveate.explain.tally import GateTally, Histogram
from foveate.surgery.holder import INSTEAD, Inserted, iter_inserted
from foveate.surgery.instead import InsteadOfConv2d, standing_in

_WHO = "GateHealth"
CLOSED = 0.01
"""An identity start whose openness is nearer to 0 than this counts as closed."""
STILL = 1e-3
"""A spread or a change below this counts as none."""
SATURATED = 0.9
"""Share of weights at an end from which a gate counts as saturated."""
UNUSED = 0.1
"""Displacements of which 95 % are below this many cells count as unused."""


@dataclass(frozen=True)
class SiteHealth:
    """What one inserted attention did on the images seen; every field is ready for JSON.

    Attributes:
        site: Name of the place.
        attention: Registry name.
        images: How many images were seen.
        verdict: One or several of ``"alive"``, ``"closed"`` (an identity start with an openness
            below 0.01), ``"dead"`` (the weights vary neither over places nor over images, or
            nothing is changed at all: below 0.001), ``"saturated"`` (90 % of the weights below 0.05
            or above 0.95), ``"offsets unused"`` (95 % of the points within 0.1 cells of the regular
            grid), ``"not finite"``. Alive is what is not closed, dead, saturated or not finite.
        openness: Of an identity start, else None.
        change: |f(x) - x| / |x| by Euclidean norms, mean over images. In place of a
            convolution: against what that would have returned.
        effect: ``change`` times |openness|: what the network sees of it.
        gate: Where the weights come from: ``"method"`` of the module; ``"ratio"``, f(x) / x where x
            is not 0, of channel and spatial gates without such a method; None where there are no
            weights, and then the next fields are None too.
        mean: Mean of the weights.
        spread: Their standard deviation.
        low: Smallest weight.
        high: Largest weight.
        entropy: Entropy of the weights in bits, counted in steps of 1/64: 0 where all are alike, 6
            where they fill 0 to 1 evenly.
        shut: Share of weights below 0.05; None where weights do not lie in 0 to 1.
        open: Share above 0.95; likewise.
        dead_channels: How many channels never rise above 0.05; likewise.
        channels: Channels of the gate.
        spread_places: Deviation over the places of a map; None where there is no map.
        spread_images: Deviation over images; None of a single image.
        constant_places: Whether the gate has no map, or one that is the same everywhere.
        constant_images: Whether it does not depend on the image; None of a single image.
        offset_mean: Mean length of a displacement in cells of the map; None without offsets, and
            then the next fields are None too.
        offset_p95: 95 % of the displacements are at most this long, to 1/64 cell, at most 64.
        offset_mean_px: As ``offset_mean``, in pixels of the image.
        offset_p95_px: As ``offset_p95``, to 1/64 pixel, at most 1024.
        outside: Share of sampling points outside the map, where nothing but zeros is read.
        outside_regular: That share for the regular grid.
    """

    site: str
    attention: str
    images: int
    verdict: tuple[str, ...]
    openness: float | None
    change: float | None
    effect: float | None
    gate: str | None
    mean: float | None = None
    spread: float | None = None
    low: float | None = None
    high: float | None = None
    entropy: float | None = None
    shut: float | None = None
    open: float | None = None
    dead_channels: int | None = None
    channels: int | None = None
    spread_places: float | None = None
    spread_images: float | None = None
    constant_places: bool | None = None
    constant_images: bool | None = None
    offset_mean: float | None = None
    offset_p95: float | None = None
    offset_mean_px: float | None = None
    offset_p95_px: float | None = None
    outside: float | None = None
    outside_regular: float | None = None


class GateHealth:
    """Collects, batch by batch, what every inserted attention of one network does.

    Memory does not grow with the number of images. The network runs in eval mode without
    gradients and is left as it was.

    Example:
        >>> import foveate
        >>> net = foveate.create_model("resnet10t", "se", num_classes=4)
        >>> health = GateHealth()
        >>> health.update(net, torch.rand(2, 3, 64, 64))
        >>> health.report()[0].verdict
        ('alive',)
    """

    def __init__(self) -> None:
        self._sites: dict[str, _Site] = {}

    def update(self, model: nn.Module, images: Tensor) -> None:
        """Run the network once and take in what its attentions do.

        Args:
            model: The same network each time; one without attentions gives an empty report.
            images: (N, 3, H, W), prepared as in training.

        Raises:
            ValueError: If the network has other attentions than the one before.
        """
        found = dict(iter_inserted(model))
        if self._sites and found.keys() != self._sites.keys():
            rule = "the network of the batches before, one GateHealth each"
            raise ValueError(expected(_WHO, rule, sorted(found.keys() ^ self._sites.keys())))
        if not found or not len(images):
            return
        self._sites = self._sites or {path: _Site(holder) for path, holder in found.items()}
        plain = {
            standing_in(conv): conv for conv in model.modules() if isinstance(conv, InsteadOfConv2d)
        }
        size = (images.shape[-2], images.shape[-1])
        with torch.no_grad(), undisturbed(model):
            for path, holder in found.items():
                self._sites[path].watch(holder, plain.get(holder), size)
            model(images)

    def report(self) -> list[SiteHealth]:
        """One entry per attention in the order of the network; empty before any update."""
        names: dict[str, int] = {}
        for site in self._sites.values():
            names[site.name] = names.get(site.name, 0) + 1
        return [
            site.report(site.name if names[site.name] == 1 else path)
            for path, site in self._sites.items()
            if site.images
        ]


class _Site:
    """The sums of one attention."""

    def __init__(self, holder: Inserted) -> None:
        self.name, self.attention = holder.site, holder.attention_name
        self.openness: float | None = None
        self.images, self.change, self.changed, self.finite = 0, 0.0, 0, True
        self.source: str | None = None
        self.gate = GateTally()
        self.offsets = _Offsets()

    def watch(self, holder: Inserted, plain: nn.Conv2d | None, size: tuple[int, int]) -> None:
        """Hang hooks on the attention; ``undisturbed`` takes them off again."""
        self.openness = None if holder.openness is None else float(holder.openness)
        if self.source is None:
            self.source = _source(holder)
        whole = holder.attention
        for part in whole.modules():
            if has(part, "gate"):
                # Before the part runs: some tell each other in a pass what they forget at its end.
                part.register_forward_pre_hook(self._see_gate)
                break
        for part in whole.modules():
            if _shifts(part) is not None:
                part.register_forward_pre_hook(partial(self._see_shifts, size=size))
                break
        whole.register_forward_hook(partial(self._see_change, plain=plain))

    def _see_gate(self, part: Any, inputs: tuple[Tensor, ...]) -> None:
        weights = gate_of(part, inputs[0])
        if weights is None:
            self.source = "ratio"
        elif bool(weights.isfinite().all()):
            self.gate.add(weights if weights.dim() == 4 else weights.flatten(1)[:, :, None, None])
        else:
            self.finite = False

    def _see_shifts(self, part: Any, inputs: tuple[Tensor, ...], size: tuple[int, int]) -> None:
        look = _shifts(part)
        if look is not None:
            self.offsets.add(*look(inputs[0]), inputs[0].shape[-2:], size)

    def _see_change(
        self, _: nn.Module, inputs: tuple[Tensor, ...], out: Tensor, plain: nn.Conv2d | None
    ) -> None:
        x = inputs[0]
        self.images += len(x)
        before = x if plain is None else nn.Conv2d.forward(plain, x)
        base, moved = (t.float().flatten(1).norm(dim=1) for t in (before, out - before))
        change = (moved / base)[base > 0]
        if not bool(out.isfinite().all()):
            self.finite = False
        elif len(change):
            self.change, self.changed = (
                self.change + float(change.sum()),
                self.changed + len(change),
            )
        if self.source == "ratio" and self.finite:
            self._see_ratio(x.float(), out.float())

    def _see_ratio(self, x: Tensor, out: Tensor) -> None:
        """Take f(x) / x for the weights, where x is large enough to divide by."""
        if bool(((x == 0) & (out != 0)).any()):
            self.source, self.gate = "none", GateTally()  # It adds something: it is no gate.
            return
        clear = x.abs() > 1e-3 * x.square().mean().sqrt()
        self.gate.add(out / torch.where(clear, x, torch.ones_like(x)), clear)

    def report(self, name: str) -> SiteHealth:
        change = self.change / self.changed if self.changed else None
        effect = change if change is None or self.openness is None else change * abs(self.openness)
        gate = self._gate() if self.gate.count else {}
        facts = {**gate, **self.offsets.report()}
        verdict = self._verdict(change, gate, facts)
        source = self.source if gate else None
        return SiteHealth(
            name, self.attention, self.images, verdict, self.openness, change, effect, source,
            **facts,
        )  # fmt: skip

    def _gate(self) -> dict[str, Any]:
        gate = self.gate
        places, images = gate.spread_places, gate.spread_images
        facts: dict[str, Any] = {
            "mean": gate.mean,
            "spread": gate.spread,
            "low": gate.low,
            "high": gate.high,
            "entropy": gate.values.entropy(),
            "channels": gate.channels,
            "spread_places": places,
            "spread_images": images,
            "constant_places": places is None or places < STILL,
            "constant_images": None if images is None else images < STILL,
        }
        if gate.is_share:
            facts["shut"], facts["open"] = gate.shut / gate.count, gate.open / gate.count
            facts["dead_channels"] = gate.dead_channels
        return facts

    def _verdict(
        self, change: float | None, gate: dict[str, Any], facts: dict[str, Any]
    ) -> tuple[str, ...]:
        still = bool(gate) and gate["constant_places"] and gate["constant_images"] is True
        ends = [share for name in ("shut", "open") if (share := gate.get(name)) is not None]
        ill = {
            "not finite": not self.finite,
            "closed": self.openness is not None and abs(self.openness) < CLOSED,
            "dead": still or (change is not None and change < STILL),
            "saturated": sum(ends) >= SATURATED,
        }
        said = [word for word, holds in ill.items() if holds] or ["alive"]
        reach = facts.get("offset_p95")
        return (*said, *(["offsets unused"] if reach is not None and reach < UNUSED else []))


class _Offsets:
    """The sums of the displacements of one deformable attention."""

    def __init__(self) -> None:
        self.count = self.cells = self.pixels = self.out = self.out_regular = 0.0
        self.by_cell, self.by_pixel = Histogram(0, 64), Histogram(0, 1024)

    def add(
        self, points: Tensor, regular: Tensor, map_size: torch.Size, size: tuple[int, int]
    ) -> None:
        """Take in points (N, P, 2, h', w') and the regular ones, in cells of the map read."""
        edge = torch.tensor(map_size, device=points.device).view(2, 1, 1)
        cell = torch.tensor(size, device=points.device).view(2, 1, 1) / edge
        shift = points.float() - regular.float()
        long = shift.norm(dim=2)
        if not bool(long.isfinite().all()):
            return
        wide = (shift * cell).norm(dim=2)
        self.count += long.numel()
        self.cells += float(long.double().sum())
        self.pixels += float(wide.double().sum())
        self.by_cell.add(long)
        self.by_pixel.add(wide)
        self.out += float(_outside(points, edge).sum())
        self.out_regular += len(points) * float(_outside(regular, edge).sum())

    def report(self) -> dict[str, float]:
        if not self.count:
            return {}
        return {
            "offset_mean": self.cells / self.count,
            "offset_p95": self.by_cell.quantile(0.95),
            "offset_mean_px": self.pixels / self.count,
            "offset_p95_px": self.by_pixel.quantile(0.95),
            "outside": self.out / self.count,
            "outside_regular": self.out_regular / self.count,
        }


def _outside(points: Tensor, edge: Tensor) -> Tensor:
    """Which points are a pixel or more outside the map: the blend there is all zeros."""
    return ((points <= -1) | (points >= edge)).any(dim=-3)


def _source(holder: Inserted) -> str:
    """Where the weights of an attention can be had from: "method", "ratio" or "none"."""
    if any(has(part, "gate") for part in holder.attention.modules()):
        return "method"
    weighs = attention_spec(holder.attention_name).kind in ("channel", "spatial", "both")
    return "ratio" if weighs and holder.at != INSTEAD else "none"


def _shifts(part: nn.Module) -> Callable[[Tensor], tuple[Tensor, Tensor]] | None:
    """How to ask a module for its sampling points and the regular ones, in cells of its input."""
    if has(part, "offsets"):
        return partial(_of_gate, part)
    if has(part, "predict") and hasattr(part, "geometry"):
        return partial(_of_convolution, part)
    return None


def _of_gate(part: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    points = part.offsets(x)
    return points, regular_grid(points)


def _of_convolution(part: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Tap k of output position p of a convolution reads p * stride - padding + k * dilation."""
    shift, conv = part.predict(x)[0], part.geometry
    h, w = shift.shape[-2:]
    shift = shift.float().reshape(len(x), -1, 2, h, w)
    taps = torch.arange(conv.kernel, device=x.device) * conv.dilation - conv.padding
    grid = torch.stack(torch.meshgrid(taps, taps, indexing="ij"), dim=-1).reshape(-1, 2)
    grid = grid.repeat(part.offset_groups, 1)[:, :, None, None]
    places = [torch.arange(side, device=x.device) * conv.stride for side in (h, w)]
    regular = grid + torch.stack(torch.meshgrid(*places, indexing="ij"))
    return regular + shift, regular
