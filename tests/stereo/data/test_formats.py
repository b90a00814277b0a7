"""Files of disparities: what they mean, and that broken ones are told apart and nothing else."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from foveate.stereo.data.formats import (
    DisparityError,
    parse_pfm,
    pfm_bytes,
    read_disparity,
    write_pfm,
)

MAP = np.array([[0.5, 1.25, 3.0], [7.0, 0.0, 2.5]], np.float32)


def test_pfm_runs_from_the_lowest_row_up_in_the_order_its_scale_tells():
    upward = MAP[::-1]
    assert (parse_pfm(b"Pf\n3 2\n-1.0\n" + upward.astype("<f4").tobytes()) == MAP).all()
    assert (parse_pfm(b"Pf\n3 2\n1.0\n" + upward.astype(">f4").tobytes()) == MAP).all()
    assert (parse_pfm(b"Pf\r\n3 2\r\n-1\r\n" + upward.astype("<f4").tobytes()) == MAP).all()
    assert pfm_bytes(MAP)[:12] == b"Pf\n3 2\n-1.0\n"


def test_pfm_comes_back_with_what_is_not_known(tmp_path):
    known = np.array([[True, False, True], [True, True, True]])
    write_pfm(tmp_path / "one.pfm", MAP, known)
    found, there = read_disparity(tmp_path / "one.pfm")
    assert (there == known).all() and found[0, 1] == 0
    assert (found[known] == MAP[known]).all()


def test_png_is_a_256th_of_its_value_and_0_is_not_known(tmp_path):
    Image.fromarray(np.array([[0, 256], [640, 65535]], np.uint16)).save(tmp_path / "one.png")
    found, known = read_disparity(tmp_path / "one.png")
    assert found.tolist() == [[0.0, 1.0], [2.5, 65535 / 256]]
    assert known.tolist() == [[False, True], [True, True]]


def _with(content, kind=".pfm"):
    def make(folder):
        (folder / f"one{kind}").write_bytes(content)
        return folder / f"one{kind}"

    return make


def _gray():
    out = io.BytesIO()
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(out, "PNG")
    return out.getvalue()


DATA = MAP.astype("<f4").tobytes()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (_with(b"PF\n1 2\n-1.0\n" + DATA), "three colors"),
        (_with(b"Pf\n3 2\n-1.0\n" + DATA[:-1]), "expects 24 bytes.*got 23"),
        (_with(b"Pf\n3 2\n-1.0\n" + DATA + b"1"), "got 25"),
        (_with(b"Pf\n3 2\n0\n" + DATA), "makes no sense"),
        (_with(b"Pf\n0 2\n-1\n"), "makes no sense"),
        (_with(b"Pf\n3 2\n1.2.3\n" + DATA), "a number as scale"),
        (_with(b"P5\n3 2\n255\n" + DATA), "not a PFM"),
        (_with(b""), "not a PFM"),
        (_with(b"Pf\n3 2\n-1.0\n" + (-MAP).tobytes()), "0 or more"),
        (_with(_gray(), ".png"), "16-bit gray"),
        (_with(_gray()[:30], ".png"), "."),
        (_with(DATA, ".npy"), "one of .pfm, .png"),
        (lambda folder: folder / "none.pfm", "No such file"),
    ],
)
def test_what_is_no_disparity_says_why(tmp_path, make, text):
    with pytest.raises(DisparityError, match=text):
        read_disparity(make(tmp_path))


def test_damaged_files_raise_nothing_else(tmp_path):
    whole = pfm_bytes(np.arange(12, dtype=np.float32).reshape(3, 4))
    draws = random.Random(0)
    read = 0
    for _ in range(400):
        broken = bytearray(whole)
        for _ in range(draws.randint(1, 4)):
            at = draws.randrange(len(broken))
            if draws.random() < 0.3:
                del broken[at:]
                break
            broken[at] = draws.randrange(256)
        path = tmp_path / "one.pfm"
        path.write_bytes(bytes(broken))
        try:
            found, known = read_disparity(path)
        except DisparityError:
            continue
        assert np.isfinite(found).all() and found.shape == known.shape
        read += 1
    assert 0 < read < 400
