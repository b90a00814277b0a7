"""Writing the viewer: numbers packed small, one HTML file that needs no network."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name every torch reader knows

from foveate.core import expected, require
from foveate.core.files import write_bytes
from foveate.explain.figures import STAGES
from foveate.explain.viewer.record import ViewedGate, ViewedImage, ViewedNetwork
from foveate.explain.viewer.words import health_tables

_WHO = "write_viewer"
_CAM_SIDE = 48
"""Longest side of a stored Grad-CAM map: finer than any last stage, and small."""
_FIELD_SIDE = 24
_INT16 = 32767


def write_viewer(
    path: str | Path, images: Sequence[ViewedImage], *, title: str = "Where the gates look"
) -> Path:
    """Write one HTML file that shows, image by image, what several networks look at.

    It holds all pictures, numbers, styles and scripts, opens from a disk without a network, and
    takes up to 1.5 MB for an image of 224 pixels and four networks of four gates.

    Args:
        path: The file to write.
        images: What ``viewed`` saw, at least one image with at least one network each.
        title: Heading of the page.

    Returns:
        The path.

    Raises:
        ValueError: If there is nothing to show, or an image or a region has the wrong shape.
        ImportError: If Pillow is missing.
    """
    if not images or not all(image.networks for image in images):
        raise ValueError(expected(_WHO, "images with a network each", len(images)))
    here = files("foveate.explain.viewer")
    data = {
        "markers": [list(stage) for stage in STAGES],
        "images": [_image(image) for image in images],
    }
    # In a script element only "<" can do harm.
    packed = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = {
        "TITLE": escape(title),
        "STYLE": (here / "viewer.css").read_text("utf-8"),
        "HEALTH": health_tables(images),
        "SCRIPT": "\n".join(
            (here / name).read_text("utf-8") for name in ("unpack.js", "draw.js", "viewer.js")
        ),
        "DATA": packed,  # last: names in it may look like a mark
    }
    page = (here / "viewer.html").read_text("utf-8")
    for name, content in parts.items():
        page = page.replace(f"@@{name}@@", content)
    target = Path(path)
    write_bytes(target, page.encode())
    return target


def _image(image: ViewedImage) -> dict[str, Any]:
    shown = image.shown
    if shown.dtype != torch.uint8 or shown.dim() != 3 or shown.shape[0] != 3:
        got = f"{tuple(shown.shape)} {shown.dtype}"
        raise ValueError(expected(_WHO, "an image (3, H, W) of uint8", got))
    height, width = shown.shape[1:]
    return {
        "name": image.name,
        "caption": image.caption,
        "height": height,
        "width": width,
        "png": _png(shown),
        "region": None if image.region is None else _runs(image.region, (height, width)),
        "networks": [_network(network) for network in image.networks],
    }


def _network(network: ViewedNetwork) -> dict[str, Any]:
    return {
        "label": network.label,
        "says": network.says,
        "share": round(network.share, 3),
        "right": network.right,
        "explained": network.explained,
        "cams": [
            {
                "name": cam.name,
                "side": cam.side,
                "constant": cam.constant,
                **_bytes(_small(cam.map, _CAM_SIDE), 0.0, 1.0),
            }
            for cam in network.cams
        ],
        "gates": [_gate(gate) for gate in network.gates],
        "places": None if network.places is None else network.places.tolist(),
        "notes": list(network.notes),
    }


def _gate(gate: ViewedGate) -> dict[str, Any]:
    packed: dict[str, Any] = {"site": gate.site, "points": None, "receptive": None}
    for name, values in (("mean", gate.mean), ("passed", gate.passed)):
        packed[name] = None
        if values is not None:
            known = values.float().nan_to_num()
            packed[name] = _bytes(known, float(known.min()), float(known.max()))
    if gate.field is not None:
        points = gate.field.points[0].permute(2, 3, 0, 1)  # (h, w, P, 2)
        points = points.float().nan_to_num().cpu()
        scale = max(float(points.abs().max()), 1.0) / _INT16
        whole = (points / scale).round().to(torch.int16)
        h, w, taps, _ = points.shape
        packed["points"] = {
            "height": h, "width": w, "taps": taps, "scale": scale,
            "data": _base64(whole.contiguous().numpy().astype("<i2").tobytes()),
        }  # fmt: skip
    if gate.receptive is not None:
        # The root of the share of the largest: the wide and faint parts are what is asked for.
        maps = _small(gate.receptive, _FIELD_SIDE)
        peak = maps.flatten(1).amax(1).clamp_min(1e-30)[:, None, None]
        packed["receptive"] = _bytes((maps / peak).sqrt(), 0.0, 1.0)
    return packed


def _small(maps: Tensor, side: int) -> Tensor:
    """Maps (..., H, W) with the longer side at most ``side``, each cell a mean."""
    height, width = maps.shape[-2:]
    shrink = min(1.0, side / max(height, width))
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    flat = maps.float().reshape(1, -1, height, width)
    return F.interpolate(flat, size, mode="area").reshape(*maps.shape[:-2], *size)


def _bytes(maps: Tensor, low: float, high: float) -> dict[str, Any]:
    """Values between ``low`` and ``high`` in one byte each."""
    span = high - low if high > low else 1.0
    whole = ((maps.float() - low) / span * 255).round().clamp(0, 255).to(torch.uint8)
    height, width = maps.shape[-2:]
    data = _base64(whole.contiguous().cpu().numpy().tobytes())
    return {"height": height, "width": width, "low": low, "high": high, "data": data}


def _runs(region: Tensor, size: tuple[int, int]) -> list[int]:
    """Lengths of runs, row by row, beginning with those outside."""
    if region.dtype != torch.bool or tuple(region.shape) != size:
        got = f"{tuple(region.shape)} {region.dtype}"
        raise ValueError(expected(_WHO, f"a region {size} of bool", got))
    flat = torch.cat([torch.zeros(1, dtype=torch.bool), region.flatten().cpu()])
    values, lengths = torch.unique_consecutive(flat, return_counts=True)
    lengths[0] -= 1
    runs: list[int] = lengths.tolist()
    return runs if len(values) else []


def _png(image: Tensor) -> str:
    buffer = BytesIO()
    pixels = image.permute(1, 2, 0).contiguous().cpu().numpy()
    require("PIL.Image", "train", _WHO).fromarray(pixels).save(buffer, format="png", optimize=True)
    return _base64(buffer.getvalue())


def _base64(content: bytes) -> str:
    return b64encode(content).decode()
