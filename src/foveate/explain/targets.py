"""Where to look at a network: its stages and both sides of its gates, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from foveate.core import expected, suggest
from foveate.models import stage_modules
from foveate.surgery.attach import inserted_at, last_of
from foveate.surgery.holder import INSTEAD, OUTPUT, Inserted, iter_inserted

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class CamTarget:
    """A map inside a network that Grad-CAM can explain a score by.

    Attributes:
        name: What it is called: ``"stage4"``, ``"stage4:before"``, ``"layer4:after"``.
        path: Name of the module whose output it is, or at whose place the gate sits.
        side: ``""`` for the output of the module, gates at its end included; ``"before"`` or
            ``"after"`` for the input or the output of the gate at that place.
        gate: Path of the gate's holder in the network; empty without a side.
    """

    name: str
    path: str
    side: str = ""
    gate: str = ""


def cam_targets(model: nn.Module, example: Any = None) -> dict[str, CamTarget]:
    """Name the maps of a network that are worth explaining.

    ``"stage1"``, ``"stage2"``, ... are the ends of the stages with what was inserted there;
    figure 4 of the DAS paper shows ``"stage3"`` and ``"stage4"``. Where a gate ends a stage,
    ``"stage4:before"`` and ``"stage4:after"`` are its input and its output, and every inserted
    attention has ``"SITE:before"`` and ``"SITE:after"``, by the names of ``foveate.surgery``. One
    that stands in for a convolution has no sides of its own: name the module.

    Args:
        model: A network, gated or not.
        example: Argument of the model for one run that finds its stages; None makes one image.

    Example:
        >>> import foveate
        >>> net = foveate.create_model("resnet10t", "das", num_classes=4)
        >>> list(cam_targets(net))[:4]
        ['stage1', 'stage2', 'stage3', 'stage4']
        >>> cam_targets(net)["stage4:before"].side
        'before'
    """
    stages = {f"stage{i}": path for i, path in enumerate(stage_modules(model, example), start=1)}
    found = {name: CamTarget(name, path) for name, path in stages.items()}
    paths = {holder: path for path, holder in iter_inserted(model)}
    for name, path in stages.items():
        gate = inserted_at(last_of(model.get_submodule(path)), OUTPUT)
        if gate is not None:
            found.update(_sides(name, path, paths[gate]))
    for holder, path in paths.items():
        if holder.at != INSTEAD:
            site = path if f"{holder.site}:{BEFORE}" in found else holder.site
            found.update(_sides(site, holder.site, path))
    return found


def _sides(name: str, path: str, gate: str) -> dict[str, CamTarget]:
    return {
        f"{name}:{side}": CamTarget(f"{name}:{side}", path, side, gate) for side in (BEFORE, AFTER)
    }


def find_target(model: nn.Module, name: str | None, example: Any = None) -> CamTarget:
    """The target of that name, or the module of that name; None is the end of the last stage.

    Raises:
        ValueError: If there is neither, or the network has no known stages.
    """
    modules = dict(model.named_modules())
    known = cam_targets(model, example)
    if name is None:
        last = [target for target in known.values() if target.name.startswith("stage")]
        last = [target for target in last if not target.side]
        if not last:
            got = type(model).__name__
            raise ValueError(
                expected("grad_cam", "a network with known stages", got, "name a module")
            )
        return last[-1]
    if name in known:
        return known[name]
    if name and name in modules:
        return CamTarget(name, name)
    near = suggest(name, [*known, *(path for path in modules if path)])
    raise ValueError(expected("grad_cam", "a stage, a gate's side or a module", name, near))


@contextmanager
def layer_of(model: nn.Module, target: CamTarget) -> Iterator[nn.Module]:
    """A module whose output is the target's map, for as long as the context lasts.

    For the side of a gate that is a probe, through which the map passes: all that reads the map
    reads it behind the probe, the skip of an identity start too, so its gradient is whole.
    """
    if not target.side:
        yield model.get_submodule(target.path)
        return
    holder, probe = model.get_submodule(target.gate), nn.Identity()
    if not isinstance(holder, Inserted):
        raise ValueError(expected("grad_cam", "the place of a gate", target.gate))

    def through(x: Tensor) -> Tensor:
        if target.side == BEFORE:
            return Inserted.apply_to(holder, probe(x))
        out: Tensor = probe(Inserted.apply_to(holder, x))
        return out

    holder.apply_to = through  # type: ignore[method-assign]
    try:
        yield probe
    finally:
        del holder.apply_to
