"""One picture per image: what each network's last gate changes, and where its gates sample."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from foveate.explain import figures
from foveate.explain.sampling import SitePoints
from foveate.explain.viewer.record import CamMap, ViewedImage, ViewedNetwork

_CELL, _LEFT, _TOP, _FOOT = 2.0, 1.15, 0.5, 0.42
_MAPS = 4  # of gates, in a square of two by two


def draw_overview(image: ViewedImage) -> Any:
    """Draw an image as every network sees it, one row each.

    The columns are the image, Grad-CAM before and after the last gate, what the last four
    attentions pass on of their maps, the sampling points and the receptive field of the last
    gate. Points and field are those of the measured place nearest to the middle of the region, of
    the image without a region; a cross marks it.

    Args:
        image: What ``viewed`` saw.

    Returns:
        A matplotlib figure, for ``figures.png_bytes``.

    Raises:
        ImportError: If matplotlib is missing.
    """
    gated = any(network.gates for network in image.networks)
    titles = ["image", "Grad-CAM"]
    if gated:
        titles = ["image", "Grad-CAM\nbefore the last gate", "Grad-CAM\nafter it",
                  "passed on by\nthe gates, |f(x)| / |x|", "sampling points",
                  "receptive field\nof the last gate, root"]  # fmt: skip
    width = _LEFT + _CELL * len(titles) + 0.1
    height = _TOP + _CELL * len(image.networks) + _FOOT
    figure = figures.new_figure(width, height, dpi=110)
    handles: dict[str, Any] = {}
    for row, network in enumerate(image.networks):
        axes = [
            figure.add_axes(
                (
                    (_LEFT + column * _CELL + 0.04) / width,
                    1 - (_TOP + (row + 1) * _CELL - 0.04) / height,
                    (_CELL - 0.08) / width,
                    (_CELL - 0.08) / height,
                )
            )
            for column in range(len(titles))
        ]
        if row == 0:
            for ax, title in zip(axes, titles, strict=True):
                ax.set_title(title, fontsize=8)
        outcome = {None: "", True: "\n(right)", False: "\n(wrong)"}[network.right]
        middle = 1 - (_TOP + (row + 0.5) * _CELL) / height
        text = f"{network.label}\n\nsays {network.says}\n{network.share:.0%}{outcome}"
        figure.text(0.08 / width, middle, text, fontsize=8, va="center")
        _draw_row(axes, image, network, gated)
        handles.update(zip(*axes[-2].get_legend_handles_labels()[::-1], strict=True))
    if handles:
        figure.legend(
            list(handles.values()), list(handles), loc="lower center", ncol=len(handles),
            fontsize=8, frameon=False,
        )  # fmt: skip
    figures.take_literally(figure)
    return figure


def _draw_row(axes: list[Any], image: ViewedImage, network: ViewedNetwork, gated: bool) -> None:
    figures.draw_image(axes[0], image.shown)
    _outline(axes[0], image.region)
    before, after = _last_cams(network)
    if gated:
        _draw_cam(axes[1], image, before)
    _draw_cam(axes[2 if gated else 1], image, after)
    if not gated:
        return
    _draw_passed(axes[3], network)
    place = place_of(image, network)
    points = [
        gate.field.at(place.to(gate.field.points.device)[None])
        for gate in network.gates
        if gate.field is not None
    ]
    if points:
        _draw_points(axes[4], image, points)
    else:
        _nothing(axes[4], "no sampling points")
    last = next((gate for gate in reversed(network.gates) if gate.receptive is not None), None)
    if last is None or last.receptive is None or network.places is None:
        _nothing(axes[5], "no receptive field")
        return
    nearest = int((network.places - place).norm(dim=1).argmin())
    field = last.receptive[nearest]
    figures.draw_heat(axes[5], image.shown, (field / field.max().clamp_min(1e-30)).sqrt())
    _outline(axes[5], image.region)
    y, x = network.places[nearest].tolist()
    for color, size, line in (("black", 10, 3.0), ("white", 9, 1.4)):
        axes[5].plot([x], [y], "+", color=color, markersize=size, markeredgewidth=line)


def place_of(image: ViewedImage, network: ViewedNetwork) -> Tensor:
    """The place (y, x) that points are drawn for: measured, and nearest to the object's middle."""
    height, width = image.shown.shape[1:]
    wanted = torch.tensor([(height - 1) / 2, (width - 1) / 2])
    if image.region is not None and bool(image.region.any()):
        wanted = image.region.nonzero().float().mean(0).cpu()
    if network.places is None:
        return wanted
    return network.places[int((network.places - wanted).norm(dim=1).argmin())]


def _last_cams(network: ViewedNetwork) -> tuple[CamMap | None, CamMap | None]:
    """The maps before and after the last gate; of a plain network its last stage, as after."""
    sided = [cam for cam in network.cams if cam.side]
    if not sided:
        return None, network.cams[-1] if network.cams else None
    name = sided[-1].name
    both = {cam.side: cam for cam in sided if cam.name == name}
    return both.get("before"), both.get("after")


def _draw_cam(ax: Any, image: ViewedImage, cam: CamMap | None) -> None:
    if cam is None:
        _nothing(ax, "no gate here")
        return
    figures.draw_heat(ax, image.shown, cam.map)
    _outline(ax, image.region)
    words = f"{cam.name}: constant, points nowhere" if cam.constant else cam.name
    _note(ax, words)


def _draw_passed(ax: Any, network: ViewedNetwork) -> None:
    maps = [(gate.site, gate.passed) for gate in network.gates if gate.passed is not None]
    if not maps:
        _nothing(ax, "no gates")
        return
    ax.axis("off")
    for number, (site, value) in enumerate(maps[-_MAPS:]):
        inset = ax.inset_axes((0.52 * (number % 2), 0.52 - 0.52 * (number // 2), 0.48, 0.4))
        inset.imshow(value.float().numpy(), cmap="viridis", interpolation="nearest", aspect="auto")
        inset.set_xticks([])
        inset.set_yticks([])
        span = f"{float(value.min()):.2f} to {float(value.max()):.2f}"
        inset.set_title(f"{site}\n{span}", fontsize=5.5, pad=1.5, linespacing=0.95)


def _draw_points(ax: Any, image: ViewedImage, points: list[SitePoints]) -> None:
    lost = figures.draw_points(ax, image.shown, points, 0)
    _outline(ax, image.region)
    if lost:
        total = sum(site.points.shape[1] for site in points)
        _note(ax, f"{lost} of {total} outside the image")


def _note(ax: Any, words: str) -> None:
    """A few words in the lower left corner."""
    box = {"facecolor": "black", "alpha": 0.6, "pad": 1.5, "linewidth": 0}
    ax.text(0.03, 0.03, words, transform=ax.transAxes, fontsize=6.5, color="white", bbox=box)


def _outline(ax: Any, region: Tensor | None) -> None:
    """Draw the edge of the region."""
    if region is None or not bool(region.any()) or bool(region.all()):
        return
    inside = region.float().cpu().numpy()
    for color, line in (("black", 2.2), ("white", 1.0)):
        ax.contour(inside, levels=[0.5], colors=[color], linewidths=line)


def _nothing(ax: Any, why: str) -> None:
    ax.axis("off")
    ax.text(0.5, 0.5, why, ha="center", va="center", fontsize=8, color="#666666")
