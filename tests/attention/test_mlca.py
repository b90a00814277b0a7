"""Mixed local channel attention against its formula, written out cell by cell."""

import pytest
import torch

from foveate.attention import MixedLocalChannelAttention, attention_spec
from recording import fill_, wave
from support import assert_same, gradients_of


def bins(length, count):
    """First and last + 1 of each of ``count`` overlapping parts of a line."""
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def resized(x, height, width):
    """Means over the parts of both sides."""
    rows = [x[..., a:b, :].mean(-2) for a, b in bins(x.shape[-2], height)]
    lines = torch.stack(rows, -2)
    return torch.stack([lines[..., a:b].mean(-1) for a, b in bins(x.shape[-1], width)], -1)


def sliding(line, kernel):
    """A correlation of a line with a kernel, zeros beyond both ends."""
    reach = len(kernel) // 2
    return torch.stack(
        [
            sum(
                kernel[k] * line[at + k - reach]
                for k in range(len(kernel))
                if 0 <= at + k - reach < len(line)
            )
            for at in range(len(line))
        ]
    )


def plain(x, weights, grid, mix):
    images = []
    for image in x:
        cells = resized(image, grid, grid)
        overall = sliding(cells.mean((1, 2)), weights["overall.weight"].flatten())
        # Cell after cell in one sequence, the channels of each side by side.
        sequence = torch.cat([cells[:, i, j] for i in range(grid) for j in range(grid)])
        local = sliding(sequence, weights["local.weight"].flatten())
        gate = torch.empty_like(cells)
        for number, part in enumerate(local.split(len(image))):
            i, j = divmod(number, grid)
            gate[:, i, j] = mix * part.sigmoid() + (1 - mix) * overall.sigmoid()
        images.append(image * resized(gate, *image.shape[1:]))
    return torch.stack(images)


@pytest.mark.parametrize(
    ("size", "options"), [((7, 12), {}), ((3, 2), {}), ((7, 4), {"grid": 3, "mix": 0.2})]
)
def test_mlca_is_its_formula(size, options):
    # Five cells per side and both gates alike where nothing is said.
    grid, mix = options.get("grid", 5), options.get("mix", 0.5)
    module = MixedLocalChannelAttention(6, kernel=3, **options)
    module = fill_(module.double())
    inputs = {"x": 2 + 3 * wave((2, 6, *size)), **dict(module.named_parameters())}

    def ours(x, **given):
        return torch.func.functional_call(module, given, (x,))

    got, got_grads = gradients_of(ours, inputs)
    want, want_grads = gradients_of(lambda x, **given: plain(x, given, grid, mix), inputs)
    assert_same(got, want)
    for key in inputs:
        assert_same(got_grads[key], want_grads[key], key)


def test_its_size_is_two_kernels_of_efficient_channel_attention():
    params = attention_spec("mlca").params
    assert [params(c) for c in (64, 256, 2048)] == [6, 10, 14]
    assert params(64, kernel=9) == 18


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="odd kernel; got 4"):
        MixedLocalChannelAttention(8, kernel=4)
    with pytest.raises(ValueError, match="grid >= 1; got 0"):
        MixedLocalChannelAttention(8, grid=0)
    with pytest.raises(ValueError, match=r"mix in \(0, 1\]; got 1.5"):
        MixedLocalChannelAttention(8, mix=1.5)
