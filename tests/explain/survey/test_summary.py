"""The summary of a table: means, seeds, chance and tests against numbers by hand."""

import math
from weakref import WeakSet

import pytest

from foveate.explain.statistics import bootstrap, paired
from foveate.explain.survey import summarize
from foveate.explain.survey import summary as module
from foveate.explain.survey.ledger import Ledger, read_rows
from foveate.explain.survey.summary import OVER

# By network, seed and image: sfd.
SCORES = {
    ("none", 0): [0.2, 0.5, 0.6],
    ("none", 1): [0.4, 0.2, math.nan],
    ("das", 0): [0.9, 0.7, 0.8],
    ("das", 1): [0.7, 0.9, math.nan],
}


def rows(scores=SCORES, flag="constant map"):
    for image in range(3):
        for (network, seed), values in scores.items():
            value = values[image]
            yield {
                "index": image,
                "image": f"{image}.png",
                "network": network,
                "seed": seed,
                "layer": "stage4",
                "truth": image,
                "said": image if network == "das" else 0,
                "explained": 0,
                "flag": flag if math.isnan(value) else "",
                "sfd": value,
                "sfd:chance": 0.25 if not math.isnan(value) else math.nan,
                "sfd base=2 shift=0 threshold=0.5": value / 2,
                "deletion": math.nan,
            }


@pytest.fixture
def folder(tmp_path):
    Ledger(tmp_path, {}, 4).add(list(rows()))
    return tmp_path


def test_an_image_counts_once_however_many_seeds(folder):
    found = summarize(folder, "none")
    none, das = (found["scores"]["stage4"]["sfd"][name] for name in ("none", "das"))
    assert none["mean"] == pytest.approx((0.3 + 0.35 + 0.6) / 3)
    assert das["mean"] == pytest.approx(0.8)
    assert none["seeds"] == {"0": pytest.approx(1.3 / 3), "1": pytest.approx(0.3)}
    assert none["chance"] == pytest.approx(0.25) and none["count"] == 3
    want = bootstrap([(0.2 + 0.4) / 2, (0.5 + 0.2) / 2, 0.6])
    assert (none["low"], none["high"]) == (pytest.approx(want.low), pytest.approx(want.high))
    assert found["images"] == 3 and found["seeds"] == {"none": ["0", "1"], "das": ["0", "1"]}


def test_differences_are_paired_by_image(folder):
    found = summarize(folder, "none")["against"]["stage4"]["sfd"]
    want = paired([0.8, 0.8, 0.8], [0.3, 0.35, 0.6])
    assert list(found) == ["das"]
    assert found["das"]["mean"] == pytest.approx(0.8 - 1.25 / 3)
    assert found["das"]["p"] == pytest.approx(want.p) and found["das"]["count"] == 3


def test_accuracy_and_reasons_are_counted(folder):
    found = summarize(folder)
    assert found["accuracy"] == {"none": pytest.approx(1 / 3), "das": 1.0}
    assert found["flags"]["stage4"] == {"none": {"constant map": 1}, "das": {"constant map": 1}}
    assert found["base"] is None and found["against"]["stage4"] == {}


def test_a_score_that_no_image_has_is_left_out(folder):
    found = summarize(folder)["scores"]["stage4"]
    assert "deletion" not in found
    assert found["sfd base=2 shift=0 threshold=0.5"]["das"]["mean"] == pytest.approx(0.4)


def test_sfd_less_chance_is_taken_image_by_image(folder):
    found = summarize(folder, "none")
    over = found["scores"]["stage4"][OVER]
    assert over["das"]["mean"] == pytest.approx(0.8 - 0.25) and over["das"]["chance"] == 0.0
    want = bootstrap([0.05, 0.1, 0.35])
    assert over["none"]["low"] == pytest.approx(want.low)
    gain = found["against"]["stage4"][OVER]["das"]["mean"]
    assert gain == pytest.approx(0.8 - 1.25 / 3)


def test_a_network_without_any_score_is_told_as_nothing(tmp_path):
    empty = {**SCORES, ("das", 0): [math.nan] * 3, ("das", 1): [math.nan] * 3}
    Ledger(tmp_path, {}, 4).add(list(rows(empty)))
    found = summarize(tmp_path, "none")
    das = found["scores"]["stage4"]["sfd"]["das"]
    assert das["mean"] is None and das["count"] == 0 and das["chance"] is None
    assert found["against"]["stage4"]["sfd"]["das"]["p"] is None


def test_a_long_table_is_read_row_by_row(folder, monkeypatch):
    class Row(dict):
        __hash__ = object.__hash__

    alive, most = WeakSet(), []

    def reading(path):
        for row in read_rows(path):
            one = Row(row)
            del row
            alive.add(one)
            most.append(len(alive))
            yield one
            del one

    want = summarize(folder, "none")
    monkeypatch.setattr(module, "read_rows", reading)
    assert summarize(folder, "none") == want
    assert len(most) >= 12 and max(most) <= 3, "rows are text, which takes ten times their numbers"


def test_what_cannot_be_summarized_is_said(folder, tmp_path):
    with pytest.raises(ValueError, match=r"one of the networks \['none', 'das'\]; got 'se'"):
        summarize(folder, "se")
    with pytest.raises(ValueError, match="at least one image"):
        summarize(tmp_path / "nothing")
