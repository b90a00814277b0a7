"""Errors of disparities, by hand."""

import pytest
import torch

from foveate.stereo import error_sums, scores_of
from foveate.stereo.metrics import Disparities
from foveate.stereo.tallies import PairTallies

TRUTH = torch.tensor([[10.0, 10.0, 100.0, 0.0], [1.0, 2.0, 3.0, 80.0]])
FOUND = torch.tensor([[10.5, 14.0, 104.0, 9.0], [2.0, 2.0, 6.0, 76.0]])
KNOWN = torch.tensor([[True, True, True, False], [True, True, True, True]])
HIDDEN = torch.tensor([[False, True, False, False], [False, False, True, False]])


def test_scores_by_hand():
    found = scores_of([error_sums(FOUND, TRUTH, KNOWN, HIDDEN)])
    # Off by 0.5, 4, 4 (4 % of 100), -, 1, 0, 3, 4 (5 % of 80 exactly).
    assert found["pixels"] == 7
    assert found["epe"] == pytest.approx(16.5 / 7)
    assert found["bad1"] == pytest.approx(4 / 7)
    assert found["bad3"] == pytest.approx(3 / 7)
    assert found["d1"] == pytest.approx(1 / 7)
    assert found["epe_seen"] == pytest.approx(9.5 / 5)
    assert found["bad1_seen"] == pytest.approx(2 / 5)
    assert found["d1_seen"] == 0


def test_pixels_count_and_not_pairs():
    one = error_sums(torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1, 1, dtype=bool))
    many = error_sums(torch.zeros(1, 3), torch.full((1, 3), 5.0), torch.ones(1, 3, dtype=bool))
    found = scores_of([one, many])
    assert found["epe"] == 4 and found["bad3"] == 0.75
    assert found["epe_seen"] is None, "nobody knows what is hidden"


def test_what_is_no_number_is_wrong():
    found = scores_of([error_sums(torch.full_like(FOUND, torch.nan), TRUTH, KNOWN, HIDDEN)])
    assert found["epe"] is None and found["bad1"] == found["bad3"] == found["d1"] == 1


def test_disparities_are_counted_without_being_kept():
    counted = Disparities()
    assert counted.mean_and_spread() == (None, None)
    for values in (TRUTH[0, :3], TRUTH[1]):
        counted.add(values)
    known = TRUTH[KNOWN].double()
    mean, spread = counted.mean_and_spread()
    assert mean == pytest.approx(known.mean().item())
    assert spread == pytest.approx((known - mean).abs().mean().item(), abs=1 / 64)


def test_nothing_known_is_no_score():
    found = scores_of([error_sums(FOUND, TRUTH, torch.zeros_like(KNOWN), HIDDEN)])
    assert found["pixels"] == 0 and found["epe"] is None
    with pytest.raises(ValueError, match="maps of one size"):
        error_sums(FOUND[:1], TRUTH, KNOWN)


def test_tallies_go_on_where_they_were_left():
    whole, half = PairTallies(), PairTallies()
    for loss, pairs in ((2.0, 4), (1.0, 2)):
        whole.trained(torch.tensor(loss), pairs)
    half.trained(torch.tensor(2.0), 4)
    kept = half.states()
    half.forget()
    half.restore(kept)
    half.trained(torch.tensor(1.0), 2)
    assert half.of_training() == whole.of_training() == (6, {"train_loss": pytest.approx(10 / 6)})
    whole.validated(0, error_sums(FOUND, TRUTH, KNOWN))
    count, row = whole.of_validation()
    assert count == 1 and row["val_epe"] == pytest.approx(16.5 / 7)
    assert row["val_epe_seen"] != row["val_epe_seen"]
    assert PairTallies().of_validation() == (0, {})
