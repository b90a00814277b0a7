"""The table on disk: appended, resumed, repaired, and never mixed with other settings."""

import math

import pytest

from foveate.explain.survey.ledger import KEYS, Ledger, as_number, read_rows


def rows(index, score=0.5, networks=("a", "b")):
    return [
        {
            "index": index,
            "image": f"photo, {index}.png",
            "network": network,
            "seed": None,
            "layer": "stage4",
            "truth": 1,
            "said": 1,
            "explained": 1,
            "flag": "",
            "sfd": score,
            "sfd:chance": math.nan,
        }
        for network in networks
    ]


def test_rows_come_back_as_they_were(tmp_path):
    ledger = Ledger(tmp_path, {"base": 10.0}, 2)
    ledger.add(rows(0))
    ledger.add(rows(3, 0.25))
    found = list(read_rows(tmp_path / "scores.csv"))
    assert [row["index"] for row in found] == ["0", "0", "3", "3"]
    assert tuple(found[0])[: len(KEYS)] == KEYS
    assert found[2]["image"] == "photo, 3.png"
    assert as_number(found[2]["sfd"]) == 0.25 and math.isnan(as_number(found[2]["sfd:chance"]))
    assert Ledger(tmp_path, {"base": 10.0}, 2).done == {0, 3}


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_what_a_kill_cut_off_is_done_again(tmp_path, cut):
    Ledger(tmp_path, {}, 2).add([*rows(0), *rows(1)])
    path = tmp_path / "scores.csv"
    path.write_bytes(path.read_bytes()[:-cut])
    ledger = Ledger(tmp_path, {}, 2)
    assert ledger.done == {0}
    ledger.add(rows(1))
    assert [row["index"] for row in read_rows(path)] == ["0", "0", "1", "1"]
    assert all(row["sfd"] == "0.5" for row in read_rows(path))


def test_a_file_cut_in_its_first_line_begins_anew(tmp_path):
    Ledger(tmp_path, {}, 2).add(rows(0))
    path = tmp_path / "scores.csv"
    path.write_bytes(path.read_bytes()[:9])
    ledger = Ledger(tmp_path, {}, 2)
    assert ledger.done == set()
    ledger.add(rows(0))
    assert len(list(read_rows(path))) == 2


def test_other_settings_are_refused_by_name(tmp_path):
    Ledger(tmp_path, {"base": 10.0, "layers": ("stage4",)}, 1)
    Ledger(tmp_path, {"base": 10.0, "layers": ["stage4"]}, 1)
    with pytest.raises(ValueError, match=r"base: 10.0 there, 2.0 asked; choose another folder"):
        Ledger(tmp_path, {"base": 2.0, "layers": ("stage4",)}, 1)


def test_what_cannot_be_read_is_listed_once(tmp_path):
    for _ in range(2):
        Ledger(tmp_path, {}, 1).leave_out({4: ("a.png", "empty file (0 bytes)")})
    ledger = Ledger(tmp_path, {}, 1)
    assert ledger.left_out == [{"image": "a.png", "reason": "empty file (0 bytes)"}]
