"""One form for every kind of image file, and a reason for every broken one."""

import numpy as np
import pytest
from PIL import Image

from foveate.data.images import UnreadableImageError, read_image


def pixels(path):
    return read_image(path).permute(1, 2, 0).tolist()


def test_grey_is_repeated(tmp_path):
    Image.fromarray(np.array([[0, 77]], dtype=np.uint8)).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png") == [[[0, 0, 0], [77, 77, 77]]]


def test_one_bit_becomes_black_and_white(tmp_path):
    Image.new("1", (1, 1), 1).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png") == [[[255, 255, 255]]]


def test_a_palette_is_looked_up(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png") == [[[10, 20, 30], [40, 50, 60]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_clear_pixels_show_white(tmp_path, mode):
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((0, 0), (90, 90, 90, 255))
    if mode == "P":
        image = Image.new("P", (2, 1))
        image.putpalette([90, 90, 90, 0, 0, 0])
        image.putpixel((1, 0), 1)
        image.save(tmp_path / "a.png", transparency=1)
    else:
        image.convert(mode).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png") == [[[90, 90, 90], [255, 255, 255]]]


def test_half_clear_pixels_mix_with_white(tmp_path):
    Image.new("RGBA", (1, 1), (255, 0, 0, 128)).save(tmp_path / "a.png")
    assert np.abs(np.array(pixels(tmp_path / "a.png")) - [255, 127, 127]).max() <= 1


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    values = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values).save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        assert [p[0] for p in pixels(tmp_path / name)[0]] == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "want"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 10.0, 255.0], [0, 10, 255])]
)
def test_floats_in_a_plain_range_are_scaled(tmp_path, values, want):
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "a.tif")
    assert [p[0] for p in pixels(tmp_path / "a.tif")[0]] == want


@pytest.mark.parametrize("values", [[-1.0, 1.0], [0.0, 300.0], [0.0, float("nan")]])
def test_floats_without_a_plain_range_are_unreadable(tmp_path, values):
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImageError, match=r"pixels (in|that are not finite)"):
        read_image(tmp_path / "a.tif")


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    assert np.abs(read_image(tmp_path / "a.jpg")[:, 4, 4].numpy() - [254.0, 0, 0]).max() <= 4


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (4, 2), "black")
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right to see it upright
    image.save(tmp_path / "a.png", exif=exif)
    read = read_image(tmp_path / "a.png")
    assert read.shape == (3, 4, 2)
    assert read[0].nonzero().tolist() == [[0, 1]]


@pytest.mark.parametrize("kind", ["jpg", "png", "bmp", "webp", "tif"])
def test_every_truncated_file_is_unreadable(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = tmp_path / f"a.{kind}"
    Image.fromarray(noise).save(file)
    assert read_image(file).shape == (3, 64, 64)
    whole = file.read_bytes()
    for share in (0.01, 0.5, 0.9):
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UnreadableImageError):
            read_image(file)


def test_a_decompression_bomb_is_unreadable_and_does_not_warn(tmp_path, monkeypatch):
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    for limit in (800, 400):  # beyond the limit Pillow warns, beyond twice the limit it raises
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(UnreadableImageError, match="too large"):
            read_image(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    assert read_image(tmp_path / "a.png").shape == (3, 30, 30)


def test_a_folder_named_like_an_image_is_unreadable(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UnreadableImageError):
        read_image(tmp_path / "a.png")
