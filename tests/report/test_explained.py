"""The report of where networks look, against folders written by the documented format."""

import re

import pytest
from explained_tools import edited, write_explained
from test_report import Page
from tests_report_tools import write_study

from foveate.report import read_explained, write_explain_report, write_report


def page_of(folder):
    return Page(write_explain_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Two networks of three seeds: das is better."""
    return write_explained(tmp_path_factory.mktemp("three") / "explain")


def shown(value, sign=""):
    return f"{value:{sign}.3f}".replace("-", "\N{MINUS SIGN}")


def test_the_page_stands_alone_and_is_accessible(three):
    page = page_of(three)
    text = (three / "report.html").read_text()
    assert page.links == ["viewer.html", "scores.csv", "explain.json"]
    assert not re.search(r"https?://|@import|url\(|<script", text)
    assert len(page.images) == 2
    for image in page.images:
        assert image["src"].startswith("data:image/png;base64,") and image["loading"] == "lazy"
        assert image["alt"].startswith("Maps of val-")
    assert text.count("<svg") == text.count('role="img"') == 9  # Three layers, three bases.
    assert "prefers-color-scheme: dark" in text and 'lang="en"' in text and "viewport" in text


def test_numbers_of_the_page_are_those_of_the_file(three):
    record, text = read_explained(three), page_of(three).text
    for name in ("sfd", "iou", "deletion", "sfd:same B"):
        for network in ("das", "none"):
            one = record.score(name, network)
            ends = f"[{shown(one['low'])}, {shown(one['high'])}], chance {shown(one['chance'])}"
            assert f"{shown(one['mean'])} {ends}" in text
            seeds = ", ".join(shown(value) for value in one["seeds"].values())
            assert f"({seeds})" in text
        gap = record.gap(name, "das")
        ends = f"[{shown(gap['low'], '+')}, {shown(gap['high'], '+')}]"
        assert f"better: {shown(gap['mean'], '+')} {ends}, p <0.001" in text
    accuracy = record.summary["accuracy"]
    assert f"das {100 * accuracy['das']:.2f} 90" in text


def test_a_study_shows_the_same_parts(tmp_path):
    study = write_study(tmp_path / "study")
    assert "was not looked at" in Page(write_report(study).read_text()).text
    folder = write_explained(study / "explain", {"none": 0.6, "das": 0.7, "se": 0.6})
    page = Page(write_report(study).read_text())
    assert page.links == ["explain/viewer.html", "explain/scores.csv", "explain/explain.json"]
    own = page_of(folder).text
    for head in ("Scores of the maps", "Over seeds", "How much hangs on the settings",
                 "Are the gates alive?", "What sfd is"):  # fmt: skip
        assert head in page.text and head in own
    assert read_explained(folder).corrected[("sfd", "das")] < 0.05
    assert "Significantly more on the object than none: das" in page.text
    assert "maps and scores: explained predicted" in page.text and len(page.images) == 2


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"explain\.json"):
        write_explain_report(tmp_path)
    (tmp_path / "explain.json").write_text("{")
    with pytest.raises(ValueError, match=r"valid JSON in .*explain\.json"):
        write_explain_report(tmp_path)
    (tmp_path / "explain.json").write_text('{"summary": {"networks": []}}')
    with pytest.raises(ValueError, match=r"none of networks, layers, scores, images"):
        write_explain_report(tmp_path)


def test_pictures_and_pages_that_are_gone_or_elsewhere_are_left_out(tmp_path):
    folder = write_explained(tmp_path / "x", images=8)
    (tmp_path / "secret.png").write_bytes((folder / "pictures" / "0.png").read_bytes())
    (folder / "viewer.html").unlink()

    def change(tree):
        tree["pictures"][0]["file"] = "../secret.png"
        tree["contact_sheet"] = "gone.html"
        tree["notes"] = ["No map of <se>"]

    page = page_of(edited(folder, change))
    assert len(page.images) == 1 and page.links == ["scores.csv", "explain.json"]
    assert "No map of <se>" in page.text and "cat/7<b>.jpg : empty file" in page.text
    assert "disk <near>" in page.text
