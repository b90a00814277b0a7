"""What one network was seen to do with one image, ready to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from foveate.core import MissingExtraError, expected
from foveate.explain.grad_cam import grad_cam
from foveate.explain.health import SiteHealth
from foveate.explain.observe import undisturbed
from foveate.explain.receptive import receptive_grid
from foveate.explain.sampling import SiteField, gate_maps, site_fields
from foveate.explain.targets import CamTarget, cam_targets
from foveate.surgery import inserted

_WHO = "viewed"


@dataclass(frozen=True)
class CamMap:
    """Grad-CAM by one map of the network.

    Attributes:
        name: The stage or the site of the gate.
        side: ``"before"`` or ``"after"`` the gate at that place; ``""`` where there is none.
        map: (H, W) in [0, 1].
        constant: Whether the map is the same everywhere, and so points nowhere.
    """

    name: str
    side: str
    map: Tensor
    constant: bool


@dataclass(frozen=True)
class ViewedGate:
    """One inserted attention on one image.

    Attributes:
        site: Name of the place.
        mean: (h, w) mean of the gate over its channels; None where it has no map. A norm over
            channels pins it: then it hardly varies, whatever the gate does.
        passed: (h, w), |f(x)| / |x| over channels at each place: what the attention passes on;
            0 where x is 0; None where it changes the shape of its map.
        field: Sampling points, of a batch of this one image; None where it samples nothing.
        receptive: (K, H, W) receptive fields at the network's places; None if not asked for.
    """

    site: str
    mean: Tensor | None
    passed: Tensor | None
    field: SiteField | None
    receptive: Tensor | None


@dataclass(frozen=True)
class ViewedNetwork:
    """One network on one image.

    Attributes:
        label: Its name on the page, for example the name of its attention.
        says: The predicted class in words.
        share: The softmax probability of that class.
        right: Whether that is the true class; None where that is unknown.
        explained: The class that Grad-CAM explains, in words.
        cams: Grad-CAM maps.
        gates: Inserted attentions in the order of the network.
        places: (K, 2) positions (y, x) in pixels that receptive fields were measured at, or None.
        health: What ``GateHealth`` reported over many images; empty if not measured.
        notes: What is missing and why.
    """

    label: str
    says: str
    share: float
    right: bool | None
    explained: str
    cams: tuple[CamMap, ...]
    gates: tuple[ViewedGate, ...]
    places: Tensor | None = None
    health: tuple[SiteHealth, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ViewedImage:
    """One image as several networks see it.

    Attributes:
        name: Its name.
        shown: (3, H, W) uint8.
        networks: At least one.
        caption: One line about it, for example its class.
        region: (H, W) bool, the object that should be looked at; drawn as an outline.
    """

    name: str
    shown: Tensor
    networks: tuple[ViewedNetwork, ...]
    caption: str = ""
    region: Tensor | None = None


def viewed(
    model: nn.Module,
    shown: Tensor,
    ready: Tensor,
    *,
    label: str,
    classes: Sequence[str] = (),
    truth: int | None = None,
    explain: int | None = None,
    grid: int = 5,
    at: Tensor | None = None,
    health: Sequence[SiteHealth] = (),
) -> ViewedNetwork:
    """Look at one image through one network; the network is left as it was.

    Args:
        model: A classifier, with or without inserted attentions.
        shown: (3, H, W) uint8, the image as it is to be drawn.
        ready: (3, H, W) floating, the same image as the network takes it.
        label: Name of the network on the page.
        classes: Names of the classes; without, numbers are shown.
        truth: The true class, if it is known.
        explain: The class for Grad-CAM; None for the predicted one.
        grid: Receptive fields are measured at grid x grid places; 0 leaves them out. That takes
            most of the time: two passes back per place and gate.
        at: (K, 2) positions (y, x) in pixels to measure them at instead, for example the middle of
            the object.
        health: The report of ``GateHealth`` over many images, for the table of the page.

    Raises:
        ValueError: If ``shown`` is not (3, H, W) uint8 or ``ready`` has another size, or
            if a position lies outside.
    """
    if shown.dtype != torch.uint8 or shown.dim() != 3 or shown.shape[0] != 3:
        got = f"{tuple(shown.shape)} {shown.dtype}"
        raise ValueError(expected(_WHO, "an image (3, H, W) of uint8", got))
    if ready.dim() != 3 or ready.shape[1:] != shown.shape[1:]:
        rule = f"a prepared image (C, {shown.shape[1]}, {shown.shape[2]})"
        raise ValueError(expected(_WHO, rule, tuple(ready.shape)))
    images = ready[None]
    passed: dict[str, Tensor] = {}
    with torch.no_grad(), undisturbed(model):
        for site, attention in inserted(model).items():
            attention.register_forward_hook(partial(_keep_passed, passed, site))
        shares = model(images)[0].float().softmax(0)
    guess = int(shares.argmax())
    chosen = guess if explain is None else explain

    def word(index: int) -> str:
        return classes[index] if index < len(classes) else str(index)

    notes: list[str] = []
    cams: tuple[CamMap, ...] = ()
    try:
        cams = tuple(_cams(model, images, chosen))
    except MissingExtraError as error:
        notes.append(f"Grad-CAM is left out: {error}")
    places, receptive = None, {}
    if (grid or at is not None) and inserted(model):
        places, maps = receptive_grid(model, images, grid if at is None else at)
        receptive = {site: one[0].cpu() for site, one in maps}
    means = {gate.site: gate.gate[0].cpu() for gate in gate_maps(model, images)}
    fields = {field.site: field for field in site_fields(model, images)}
    return ViewedNetwork(
        label=label,
        says=word(guess),
        share=float(shares[guess]),
        right=None if truth is None else guess == truth,
        explained=word(chosen),
        cams=cams,
        gates=tuple(
            ViewedGate(
                site, means.get(site), passed.get(site), fields.get(site), receptive.get(site)
            )
            for site in inserted(model)
        ),
        places=None if places is None else places.cpu(),
        health=tuple(health),
        notes=tuple(notes),
    )


def _keep_passed(
    kept: dict[str, Tensor], site: str, _: nn.Module, inputs: tuple[Tensor, ...], out: Tensor
) -> None:
    x = inputs[0]
    if out.shape == x.shape:
        size = x[0].float().norm(dim=0)
        kept[site] = (out[0].float().norm(dim=0) / size.clamp_min(1e-12)).cpu()


def _cams(model: nn.Module, images: Tensor, chosen: int) -> list[CamMap]:
    found = []
    for target in worth_showing(cam_targets(model, images)):
        cam = grad_cam(model, images, target.name, chosen)
        name = target.name.removesuffix(f":{target.side}")
        found.append(CamMap(name, target.side, cam.maps[0].cpu(), bool(cam.constant[0])))
    return found


def worth_showing(targets: dict[str, CamTarget]) -> list[CamTarget]:
    """Every map once: stages without a gate at their end, and both sides of every gate."""
    sided = {target.path for target in targets.values() if target.side}
    found: dict[tuple[str, str], CamTarget] = {}
    for target in targets.values():
        if target.side or target.path not in sided:
            found.setdefault((target.gate or target.path, target.side), target)
    return list(found.values())
