"""The parts of the head against loops, constants and literals."""

import pytest
import torch

from foveate.stereo import sequence_loss
from foveate.stereo.model.correlation import first_guess, lookup, pooled, row_correlation
from foveate.stereo.model.update import ConvGRU
from foveate.stereo.model.upsampling import convex_upsample
from support import assert_same


def test_correlations_are_products_within_a_row():
    left, right = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 3, 4)
    found = row_correlation(left, right)
    assert found.shape == (2, 3, 4, 4)
    one = sum(left[1, c, 2, 3] * right[1, c, 2, 0] for c in range(5)) / 5**0.5
    assert_same(found[1, 2, 3, 0], one)


def test_lookup_reads_the_row_around_the_match():
    """Against a loop over pixels, levels and steps, in double precision."""
    volume = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    disparity = 6 * torch.rand(2, 1, 3, 9, dtype=torch.float64) - 1
    levels, radius = pooled(volume, 3), 2
    assert [one.shape[-1] for one in levels] == [9, 4, 2]
    found = lookup(levels, disparity, radius)
    wanted = torch.zeros_like(found)
    for n, i, j in torch.cartesian_prod(*(torch.arange(size) for size in (2, 3, 9))):
        place = float(j - disparity[n, 0, i, j])
        for level in range(3):
            row = [volume[n, i, j, c : c + 2**level].mean() for c in range(0, 9, 2**level)]
            row = row[: 9 // 2**level]
            for step in range(-radius, radius + 1):
                # In columns of the first level: cell k of this one has its center at
                # (k + 1/2) 2**level - 1/2.
                at = (place + 0.5) / 2**level - 0.5 + step
                value = sum(
                    max(0.0, 1 - abs(at - column)) * number for column, number in enumerate(row)
                )
                wanted[n, level * 5 + step + radius, i, j] = value
    assert_same(found, wanted)


def test_the_lookup_peaks_at_the_true_disparity():
    """Features of the right view are those of the left one, two cells further left."""
    left = torch.randn(1, 64, 2, 12)
    right = left.roll(-2, dims=3)
    levels = pooled(row_correlation(left, right), 1)
    found = lookup(levels, torch.zeros(1, 1, 2, 12), 3)[..., 3:]
    assert (found.argmax(1) - 3 == -2).all(), "the match lies to the left"
    again = lookup(levels, torch.full((1, 1, 2, 12), 2.0), 3)[..., 3:]
    assert (again.argmax(1) == 3).all()


def test_the_first_guess_is_a_mean_over_matches_to_the_left():
    volume = torch.randn(1, 2, 5, 5, dtype=torch.float64)
    found = first_guess(volume, reach=3)
    wanted = torch.zeros(1, 1, 2, 5, dtype=torch.float64)
    for i in range(2):
        for j in range(5):
            weights = [float(volume[0, i, j, k].exp()) for k in range(j + 1) if j - k <= 3]
            gaps = [j - k for k in range(j + 1) if j - k <= 3]
            total = sum(weight * gap for weight, gap in zip(weights, gaps, strict=True))
            wanted[0, 0, i, j] = total / sum(weights)
    assert_same(found, wanted)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_constant_map_stays_constant_to_its_edges(factor):
    weights = 3 * torch.randn(2, 9 * factor**2, 3, 5)
    fine = convex_upsample(torch.full((2, 1, 3, 5), 1.5), weights, factor)
    assert fine.shape == (2, 3 * factor, 5 * factor)
    assert_same(fine, torch.full_like(fine, 1.5 * factor))


def test_a_fine_pixel_is_a_sum_of_the_cells_around_its_own():
    factor, coarse = 2, torch.randn(1, 1, 3, 4)
    weights = torch.randn(1, 36, 3, 4)
    fine = convex_upsample(coarse, weights, factor)
    shares = weights.reshape(9, factor, factor, 3, 4).softmax(0)
    wanted = torch.zeros(1, 6, 8)
    for y in range(6):
        for x in range(8):
            for k in range(9):
                i = min(max(y // 2 + k // 3 - 1, 0), 2)
                j = min(max(x // 2 + k % 3 - 1, 0), 3)
                share = shares[k, y % 2, x % 2, y // 2, x // 2]
                wanted[0, y, x] += share * factor * coarse[0, 0, i, j]
    assert_same(fine, wanted)


def test_the_unit_is_its_formula():
    unit = ConvGRU(2, 3)
    state, x = torch.randn(1, 2, 4, 5), torch.randn(1, 3, 4, 5)
    both = torch.cat([state, x], 1)
    conv = torch.nn.functional.conv2d
    z = torch.sigmoid(conv(both, unit.gates.weight[:2], unit.gates.bias[:2], padding=1))
    r = torch.sigmoid(conv(both, unit.gates.weight[2:], unit.gates.bias[2:], padding=1))
    q = torch.tanh(
        conv(torch.cat([r * state, x], 1), unit.candidate.weight, unit.candidate.bias, padding=1)
    )
    assert_same(unit(state, x), (1 - z) * state + z * q)


def test_the_loss_weighs_later_steps_more_and_counts_known_pixels():
    truth = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    known = torch.tensor([[[True, True], [False, True]]])
    steps = [truth + 3, truth - 2, truth + torch.tensor([[1.0, 0.0], [9.0, 2.0]])]
    found = sequence_loss(steps, truth, known, gamma=0.8)
    assert float(found) == pytest.approx(0.64 * 3 + 0.8 * 2 + (1 + 0 + 2) / 3)
    wrong = torch.full_like(truth, torch.nan)
    assert float(sequence_loss([truth + 1], torch.where(known, truth, wrong), known)) == 1
    assert float(sequence_loss(steps, truth, torch.zeros_like(known))) == 0
