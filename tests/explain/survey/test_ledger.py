"""The table on disk: appended, resumed, repaired, and never mixed with other settings."""

import math

import pytest

from foveate.explain.survey.ledger import KEYS, Ledger, as_number, printable, read_rows


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


def test_a_batch_that_was_cut_is_done_again_whole(tmp_path):
    def opened():
        return Ledger(tmp_path, {}, 2, batch=2, images=5)

    opened().add([*rows(0), *rows(1), *rows(2)])
    ledger = opened()
    assert ledger.done == {0, 1}, "the company of an image decides its last digit"
    assert [row["index"] for row in read_rows(tmp_path / "scores.csv")] == ["0", "0", "1", "1"]
    ledger.add([*rows(2), *rows(4)])
    assert opened().done == {0, 1, 4}, "the last batch is short"
    ledger.add(rows(2))
    ledger.leave_out({3: ("b.png", "empty file")})
    assert opened().done == {0, 1, 2, 4}, "an image that cannot be read is done with as well"


def test_an_image_that_was_mended_is_no_longer_left_out(tmp_path):
    ledger = Ledger(tmp_path, {}, 2)
    ledger.leave_out({0: ("a.png", "empty file"), 4: ("b.png", "empty file")})
    ledger.add(rows(4))
    for one in (ledger, Ledger(tmp_path, {}, 2)):
        assert one.left_out == [{"image": "a.png", "reason": "empty file"}]
    ledger.add(rows(0))
    assert Ledger(tmp_path, {}, 2).left_out == []


def test_a_number_that_was_cut_is_no_number(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("index,flag,sfd\n0,,0.5\n1,,0.4")
    assert list(read_rows(path)) == [{"index": "0", "flag": "", "sfd": "0.5"}]


@pytest.mark.parametrize("name", ["scores.csv", "left-out.csv", "config.toml", "study.toml"])
def test_a_folder_of_something_else_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"a folder of its own; got one with {name}"):
        Ledger(tmp_path, {}, 1)
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(ValueError, match="a folder of its own; got a file"):
        Ledger(tmp_path / "x", {}, 1)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"prints": 3}'])
def test_damaged_settings_are_said(tmp_path, content):
    (tmp_path / "survey.json").write_text(content)
    with pytest.raises(ValueError, match=r"its settings; got a damaged .*survey\.json"):
        Ledger(tmp_path, {}, 1)


def test_what_changed_under_its_name_is_refused(tmp_path):
    def opened(**prints):
        return Ledger(tmp_path, {}, 1, prints=prints)

    opened(weights="a", pixels="b")
    opened(weights="a", pixels="b")
    with pytest.raises(ValueError, match="got weights changed; choose another folder"):
        opened(weights="c", pixels="b")
    opened(weights="a", more="d")  # An image may have been unreadable then, or be so now.


def test_names_are_printable():
    assert printable("a\nb\x1b\x7f\udcff.png") == "a\\nb\\x1b\\x7f\\udcff.png"
    assert printable("Übung \N{CAT}.png") == "Übung \N{CAT}.png"
