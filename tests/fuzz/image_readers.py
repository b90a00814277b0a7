"""Images of every kind, and folders of them."""

import io

import numpy as np
from harness import reader
from hypothesis import strategies as st
from mutations import chosen, damaged
from PIL import Image

from foveate.data import open_images
from foveate.data.coco_turns import stored_size
from foveate.data.images import read_image
from foveate.detection.data.headers import read_header
from foveate.explain.regions.pictures import read_mask


def _encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _bomb():
    """A PNG of 20,000 x 20,000 pixels in few bytes."""
    return _encoded(Image.new("1", (20000, 20000)), "png")


def _images():
    """One sound file of every kind."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    color = Image.fromarray(noise)
    palette = color.quantize(7)
    deep = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    floats = Image.fromarray(noise[..., 0].astype(np.float32) / 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        _encoded(color, "png"),
        _encoded(palette, "png", transparency=bytes([0, 9, 255, 255, 3, 2, 1])),
        _encoded(deep, "png"),
        _encoded(color.convert("LA"), "png"),
        _encoded(color.convert("1"), "png"),
        _encoded(color, "jpeg", exif=exif),
        _encoded(color.convert("CMYK"), "jpeg"),
        _encoded(color.convert("L"), "jpeg", progressive=True),
        _encoded(color, "bmp"),
        _encoded(floats, "tiff"),
        _encoded(color, "tiff", compression="tiff_lzw"),
        _encoded(color, "tiff", save_all=True, append_images=[color], exif=exif),
        _encoded(color, "webp", lossless=True, save_all=True, append_images=[color.rotate(90)]),
        _encoded(palette, "gif", save_all=True, append_images=[palette.rotate(180)]),
    ]


SOUND = _images()
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
STRANGE = [_bomb(), POSTSCRIPT, b"", b"\0", b"P6\n9999999 9999999\n255\n"]
FILES = chosen(*SOUND).flatmap(damaged) | chosen(*SOUND, *STRANGE)


@reader(
    "images", "PNG, JPEG, BMP, TIFF, WebP, GIF: pixels, heads, masks drawn by hand", SOUND[0], FILES
)
def read_images(content, folder):
    file = folder / "a.png"
    file.write_bytes(content)
    read_header(file)
    for read in (read_image, stored_size, read_mask):
        try:
            read(content)
        except ValueError as error:
            last = error
        else:
            last = None
    if last is not None:
        raise last


NAMES = st.sampled_from(["a.png", "b.JPG", "c.tiff", "d.webp", "e.bmp"])


@reader(
    "image folders", "folders of images by class, folders without classes", SOUND, st.lists(FILES)
)
def read_folder(contents, folder):
    for place, content in enumerate(contents):
        home = folder / "ab"[place % 2]
        home.mkdir(exist_ok=True)
        (home / f"{place}.png").write_bytes(content)
    (folder / "c.png").symlink_to("/dev/zero")
    dataset = open_images(f"loose:{folder}")
    assert [dataset[place].index for place in range(len(dataset))] == list(range(len(dataset)))
