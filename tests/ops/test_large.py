"""More than 2^31 elements: in the map, in its rows of channels, in the result. Needs 10 GB free."""

import os

import pytest
import torch
from operator_cases import leaf_gradients

from foveate.ops import deform_conv2d
from support import assert_same

LIMIT = 1 << 31
# N, C, H, W, offset groups: over 2^31 rows, whose numbers need 64 bits; over 2^31 elements alone.
MAPS = {"rows": (2, 1, 32768, 32800, 1), "elements": (1, 64, 5800, 5802, 4)}


@pytest.fixture(autouse=True)
def _memory():
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 10e9:
        pytest.skip("needs 10 GB of free memory")


@pytest.mark.slow
@pytest.mark.parametrize("name", MAPS)
def test_a_huge_map_is_read_to_its_last_corner(name):
    """Rows of pixels are all alike and lie in the memory of one; only the framed copy is huge.

    Then a sample is a blend of two pixels of that row, less what hangs out above or below.
    """
    batch, channels, height, width, groups = MAPS[name]
    assert batch * channels * height * width > LIMIT
    row = torch.randn(batch, channels, 1, width)
    steps = ((height - 1) // 2, (width - 1) // 2)  # nine output pixels: corners, edges, middle
    shifts = torch.randint(-90, 90, (batch, 2 * groups, 3, 3)) | 1
    tensors = {
        "offset": shifts / 64,  # exact in float32 at either end of the map
        "weight": torch.randn(2, channels, 1, 1),
        "mask": torch.rand(batch, groups, 3, 3),
    }
    map_ = row.expand(-1, -1, height, -1)
    got = leaf_gradients(lambda **t: deform_conv2d(map_, stride=steps, **t), tensors)

    def formula(offset, weight, mask):
        down, along = offset.unflatten(1, (groups, 2)).unbind(2)
        y = torch.arange(3)[:, None] * steps[0] + down
        x = torch.arange(3) * steps[1] + along
        inside = torch.minimum(y + 1, height - y).clamp(0, 1)
        left = x.detach().floor()
        padded = torch.nn.functional.pad(row[:, :, 0].double(), (3, 3))
        padded = padded.unflatten(1, (groups, -1))

        def pixels(column):
            index = (column + 3).long().flatten(2)[:, :, None].expand(-1, -1, padded.shape[2], -1)
            return padded.gather(3, index).unflatten(3, (3, 3))

        part = (x - left)[:, :, None]
        blend = pixels(left) * (1 - part) + pixels(left + 1) * part
        taken = (blend * (inside * mask)[:, :, None]).flatten(1, 2)
        return torch.einsum("ncyx,oc->noyx", taken, weight[:, :, 0, 0])

    want = leaf_gradients(formula, {name: one.double() for name, one in tensors.items()})
    assert_same(got[0], want[0])
    for key, grad in want[1].items():
        assert_same(got[1][key], grad, key)


@pytest.mark.slow
def test_a_huge_result_is_written_to_its_last_corner():
    size, channels = (2050, 2050), 512
    assert size[0] * size[1] * channels > LIMIT
    x = torch.randn(1, 8, *size).bfloat16().contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, 8, 1, 1).bfloat16()
    offset = torch.zeros(1, 2, *size)
    offset[:, 1] = -1.0  # one pixel to the left
    out = deform_conv2d(x, offset, weight)
    for place in ((0, 1), (1023, 1024), (2049, 1), (2049, 2049)):
        want = weight[:, :, 0, 0].float() @ x[0, :, place[0], place[1] - 1].float()
        assert_same(out[0, :, place[0], place[1]], want.bfloat16())
    assert not out[0, :, 2049, 0].any()
