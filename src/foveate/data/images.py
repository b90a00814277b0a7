"""Read image files of every usual kind into one form, or say why not."""

from __future__ import annotations

import errno
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.core import require
from foveate.core.reading import NotRegularError, read_file

EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""What a file may hold, whatever its name: Pillow's other readers start programs (PostScript) or
serve formats that nobody trains on."""
MAX_BYTES = 1 << 30
"""Of one image file."""

_NAMELESS = "a name that no file can have"


class UnreadableImageError(ValueError):
    """A file that is no readable image; its text is the reason, without the path."""


def image_bytes(path: Path) -> bytes:
    """Return what an image file holds.

    Raises:
        UnreadableImageError: If it is no regular file, larger than ``MAX_BYTES``, or of a name that
            no file can have.
        OSError: If it is missing or cannot be read.
    """
    try:
        return read_file(path, MAX_BYTES)
    except UnicodeEncodeError as error:
        raise UnreadableImageError(_NAMELESS) from error
    except ValueError as error:
        raise UnreadableImageError(f"larger than {MAX_BYTES} bytes") from error
    except NotRegularError as error:
        raise UnreadableImageError("no regular file") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UnreadableImageError(_NAMELESS) from error
        raise


def open_image(source: Path | bytes) -> Any:
    """Open and decode a file, or what one held, completely with Pillow, upright by its EXIF tag.

    Raises:
        UnreadableImageError: If it is missing, empty, broken, truncated, or larger than
            ``PIL.Image.MAX_IMAGE_PIXELS`` (a decompression bomb).
    """
    pillow = require("PIL.Image", "models", "reading image files")
    ops = require("PIL.ImageOps", "models", "reading image files")
    try:
        content = source if isinstance(source, bytes) else image_bytes(source)
        if not content:
            raise UnreadableImageError("empty file (0 bytes)")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(io.BytesIO(content), formats=FORMATS) as image:
                image.load()
                return ops.exif_transpose(image)
    except UnreadableImageError:
        raise
    except FileNotFoundError:
        raise UnreadableImageError("no such file") from None
    except pillow.UnidentifiedImageError:
        raise UnreadableImageError("not an image") from None
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError) as error:
        raise UnreadableImageError(f"too large: {error}") from error
    # Pillow's plug-ins answer broken files with whatever went wrong inside them.
    except Exception as error:
        raise UnreadableImageError(str(error) or type(error).__name__) from error


def _to_eight_bits(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Map 16-bit integers or floats in [0, 1] or [0, 255] to 0..255.

    Raises:
        UnreadableImageError: If the values have no such range.
    """
    if values.size and not np.isfinite(values).all():
        raise UnreadableImageError("pixels that are not finite")
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if np.issubdtype(values.dtype, np.floating):
        scale, top = (255.0, 1.0) if high <= 1 else (1.0, 255.0)
    else:
        scale, top = 255.0 / 65535.0, 65535.0
    if low < 0 or high > top:
        raise UnreadableImageError(f"pixels in [{low:g}, {high:g}], beyond [0, {top:g}]")
    return np.rint(values * scale).astype(np.uint8)


def to_tensor(image: Any) -> Tensor:
    """Turn a Pillow image of any mode into a (3, H, W) uint8 tensor.

    Grey is repeated, palette and CMYK are converted, transparent pixels show white, 16-bit grey
    is scaled by 255/65535.

    Raises:
        UnreadableImageError: If 32-bit pixels have no plain range.
    """
    pillow = require("PIL.Image", "models", "reading image files")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = _to_eight_bits(np.asarray(image))
        return torch.from_numpy(grey).expand(3, *grey.shape).contiguous()
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = pillow.new("RGBA", clear.size, (255, 255, 255, 255))
        image = pillow.alpha_composite(white, clear)
    pixels = np.array(image.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def read_image(source: Path | bytes) -> Tensor:
    """Read a file, or what one held, as a (3, H, W) uint8 tensor of its own size.

    Raises:
        UnreadableImageError: If it cannot be read; the text is the reason.
    """
    return to_tensor(open_image(source))
