"""Maps of disparity: PFM, PNG as KITTI has them, masks of what is hidden."""

import contextlib
import io

import numpy as np
from harness import reader
from hypothesis import strategies as st
from mutations import chosen, damaged
from PIL import Image

from foveate.stereo.data.formats import DisparityError, pfm_bytes, read_disparity, read_mask

MAP = np.linspace(0.5, 9.0, 35, dtype=np.float32).reshape(5, 7)
PFM = pfm_bytes(MAP)


def _png():
    kept = io.BytesIO()
    Image.fromarray((MAP * 256).astype(np.uint16)).save(kept, "png")
    return kept.getvalue()


PNG = _png()
HEADS = chosen(
    *(b"Pf\n%d %d\n%s\n" % (wide, high, scale) for wide, high, scale in (
        (10**9, 10**9, b"-1"), (-1, 5, b"-1"), (7, 5, b"nan"), (7, 5, b"0"), (7, 5, b"1e999"),
        (0, 0, b"-1"), (7, 5, b"-1"),
    )),
    b"PF\n7 5\n-1\n", b"Pf\n" + b"9" * 5000 + b" 5\n-1\n", b"",
)  # fmt: skip


@reader(
    "disparity as PFM",
    "stereo folders",
    PFM,
    damaged(PFM, text=True) | HEADS.map(lambda h: h + PFM),
)
def read_pfm(content, folder):
    (folder / "a.pfm").write_bytes(content)
    with contextlib.suppress(DisparityError):  # A reason, which the data set puts behind the path.
        read_disparity(folder / "a.pfm")


@reader("disparity as PNG", "stereo folders", PNG, damaged(PNG) | chosen(PFM, b""))
def read_png(content, folder):
    (folder / "a.png").write_bytes(content)
    with contextlib.suppress(DisparityError):
        read_disparity(folder / "a.png")


@reader("masks of stereo folders", "stereo folders", PNG, damaged(PNG) | st.binary(max_size=99))
def read_hidden(content, folder):
    (folder / "a.png").write_bytes(content)
    with contextlib.suppress(DisparityError):
        read_mask(folder / "a.png")
