"""Disparities in files: PFM (32-bit floats) and 16-bit PNG as KITTI has them.

Sources: the Portable FloatMap layout of Netpbm's pages; the development kit of KITTI Stereo 2015.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.core import Words, expected, require
from foveate.core.files import write_bytes
from foveate.data.images import UnreadableImageError, open_image

EXTENSIONS = (".pfm", ".png")
_HEAD = re.compile(rb"(P[fF])\s+(\d{1,6})\s+(\d{1,6})\s+([-+]?[0-9.]+(?:[eE][-+]?\d{1,3})?)\s")
_KITTI = 256.0
Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


class DisparityError(ValueError):
    """A file that holds no readable disparity; its text is the reason, without the path."""


def read_disparity(path: Path) -> tuple[Plane, Mask]:
    """Read a disparity of the left view.

    Args:
        path: ``.pfm``: one channel of floats; what is not finite is not known. ``.png``: 16-bit
            gray, value / 256 pixels, 0 where nothing is known.

    Returns:
        The disparity in pixels (H, W), 0 where it is not known, and where it is known.

    Raises:
        DisparityError: If the file is missing, broken, of another kind, or negative somewhere.
    """
    kind = path.suffix.lower()
    if kind == ".png":
        return _read_png(path)
    if kind != ".pfm":
        raise DisparityError(f"expects one of {', '.join(EXTENSIONS)}; got {kind or path.name!r}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DisparityError(error.strerror or str(error)) from error
    values = parse_pfm(content)
    known = np.isfinite(values)
    if (values[known] < 0).any():
        lowest = float(values[known].min())
        raise DisparityError(
            f"expects disparities of 0 or more, right = left - disparity; got {lowest:g}"
        )
    return np.where(known, values, np.float32(0)), known


def parse_pfm(content: bytes) -> Plane:
    r"""Read what a PFM file holds, whose rows run from the lowest up, as (H, W) from the top down.

    The sign of its scale tells the order of the bytes; its size is left alone.

    Raises:
        DisparityError: If it is no PFM of one channel, or its length is not that of its head.

    Example:
        >>> parse_pfm(b"Pf\n1 2\n-1.0\n" + np.array([1, 2], "<f4").tobytes()).tolist()
        [[2.0], [1.0]]
    """
    head = _HEAD.match(content)
    if head is None:
        raise DisparityError("not a PFM: expects Pf, width, height, scale")
    kind, columns, rows, sign = head.groups()
    if kind == b"PF":
        raise DisparityError("a PFM of three colors (PF); expects one channel (Pf)")
    width, height = int(columns), int(rows)
    try:
        scale = float(sign)
    except ValueError:
        raise DisparityError(f"expects a number as scale; got {sign.decode()}") from None
    if not width or not height or not math.isfinite(scale) or scale == 0:
        raise DisparityError(f"a head that makes no sense: {width}x{height}, scale {scale:g}")
    data = content[head.end() :]
    wanted = 4 * width * height
    if len(data) == wanted + 1 and content[head.end() - 1 : head.end() + 1] == b"\r\n":
        data = data[1:]
    if len(data) != wanted:
        raise DisparityError(f"expects {wanted} bytes for {width}x{height} floats; got {len(data)}")
    values = np.frombuffer(data, "<f4" if scale < 0 else ">f4").reshape(height, width)
    return np.ascontiguousarray(values[::-1]).astype(np.float32)


def pfm_bytes(disparity: Plane, known: Mask | None = None) -> bytes:
    """Return a disparity (H, W) as PFM, infinite where it is not known."""
    values = disparity if known is None else np.where(known, disparity, np.float32(np.inf))
    height, width = values.shape
    return f"Pf\n{width} {height}\n-1.0\n".encode() + values[::-1].astype("<f4").tobytes()


def write_pfm(path: Path, disparity: Plane, known: Mask | None = None) -> None:
    """Write a disparity (H, W) as PFM, whole or not at all.

    Raises:
        ValueError: If it is no plane.
        OSError: If it cannot be written.
    """
    if disparity.ndim != 2:
        raise ValueError(expected("write_pfm", "a plane (H, W)", disparity.shape))
    write_bytes(path, pfm_bytes(disparity, known))


def read_mask(path: Path) -> Mask:
    """Read a mask: what is not black.

    Raises:
        DisparityError: If the file cannot be read.
    """
    try:
        image = open_image(path)
    except UnreadableImageError as error:
        raise DisparityError(str(error)) from error
    found: Mask = np.asarray(image.convert("L")) > 0
    return found


def write_mask(path: Path, mask: Mask) -> None:
    """Write a mask as 8-bit PNG, 255 where it is true, whole or not at all."""
    write_bytes(path, png_bytes(np.where(mask, 255, 0).astype(np.uint8)))


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Return gray (H, W) or colored (H, W, 3) pixels as PNG."""
    import io

    pillow: Any = require("PIL.Image", "models", "writing images")
    out = io.BytesIO()
    pillow.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _read_png(path: Path) -> tuple[Plane, Mask]:
    try:
        image = open_image(path)
    except UnreadableImageError as error:
        raise DisparityError(str(error)) from error
    if not image.mode.startswith("I"):
        got = Words(f"mode {image.mode}")
        raise DisparityError(f"expects 16-bit gray (value / 256 pixels, 0 not known); got {got}")
    values = np.asarray(image).astype(np.int64)
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise DisparityError("expects 16-bit gray; got 32-bit values beyond it")
    return (values / _KITTI).astype(np.float32), values > 0
