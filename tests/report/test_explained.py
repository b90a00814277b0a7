"""The report of where networks look, against folders written by the documented format."""

import io
import re

import pytest
from explained_tools import edited, write_explained
from rich.console import Console
from test_report import Page
from tests_report_tools import write_study

from foveate.report import read_explained, terminal_explanation, write_explain_report, write_report


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


def test_p_values_are_corrected_over_scores_and_networks(tmp_path):
    folder = write_explained(tmp_path / "x", {"none": 0.6, "das": 0.7, "se": 0.6}, images=8)

    def change(tree):
        by_score = tree["summary"]["against"]["stage4"]
        for one in (one for by_network in by_score.values() for one in by_network.values()):
            one["p"] = None
        for turn, name in enumerate(("sfd", "pointing_game", "iou", "sfd:same B", "deletion")):
            by_score[name]["das"]["p"] = 0.006 + turn / 1000
        by_score["sfd"]["se"]["p"] = 0.5

    record = read_explained(edited(folder, change))
    # Six p-values: 0.006 x 6, 0.007 x 5, raised to 0.036 as all that follow, and 0.5 x 1.
    assert record.corrected[("sfd", "das")] == pytest.approx(0.036)
    assert record.corrected[("pointing_game", "das")] == pytest.approx(0.036)
    assert record.corrected[("iou", "das")] == pytest.approx(0.036)
    assert record.corrected[("sfd", "se")] == 0.5
    assert record.corrected[("iou", "se")] is None
    text = page_of(folder).text
    assert "over the 6 tests of this table" in text and "p 0.036" in text
    assert "not tested:" in text and "p not known: too few images" in text
    assert "Not significantly different from none: se (" in text


def test_a_deletion_that_falls_is_better_and_a_score_that_falls_worse(tmp_path):
    folder = write_explained(tmp_path / "x", {"none": 0.7, "das": 0.5}, images=20)
    text = page_of(folder).text
    assert "Significantly less on the object than none: das (\N{MINUS SIGN}" in text
    assert "deletion (lower is better) worse: +" in text and "better: " not in text


def test_what_is_not_known_is_said_with_its_reason(tmp_path):
    every = ("sfd", "sfd:same B", "pointing_game", "iou", "deletion")
    folder = write_explained(
        tmp_path / "none", base=None, missing=every, pictures=0, images=6, labels=False
    )
    page = page_of(edited(folder, lambda tree: tree.pop("left_out")))
    assert "No image has an sfd: no mask." in page.text and page.images == []
    assert "There are no pictures." in page.text and "not known" in page.text
    assert "None" not in page.text and "nan" not in page.text
    assert "commit not known" in page.text and "Every image could be read." in page.text

    def change(tree):
        one = tree["summary"]["scores"]["stage4"]["sfd"]["das"]
        tree["summary"]["scores"]["stage4"]["iou"]["das"].update(mean=None, low=None, high=None)
        one.update(chance=None, low=None, high=None)
        tree["summary"]["flags"]["stage4"]["das"] = {"no region": 7}
        tree["health"]["das"][0]["verdict"] = None
        del tree["conditions"], tree["about"], tree["scores"]["iou"]

    folder = edited(write_explained(tmp_path / "some", images=6), change)
    mean = read_explained(folder).score("sfd", "das")["mean"]
    text = page_of(folder).text
    assert f"{shown(mean)}, chance not known" in text and "- (no image has it: no region)" in text
    assert "None" not in text


def test_without_a_base_nothing_is_tested_and_without_seeds_nothing_is_spread(tmp_path):
    folder = write_explained(
        tmp_path / "x", {"das": 0.7, "se": 0.6}, base=None, seeds=(None,), images=8, constant=2
    )
    text = page_of(folder).text
    assert "No network was named as the base" in text and "Difference to" not in text
    assert "Over seeds" not in text and "One seed: what another training" in text
    # A constant map is no score, and is counted.
    assert "without scores: constant map" in text and "By sfd at stage4 over 6 images" in text
    assert "das is never below se in the 54 settings (3 layers)" in text


def test_a_turned_order_is_said_and_where(tmp_path):
    text = page_of(write_explained(tmp_path / "x", images=6, turns=True)).text
    assert "The order turns: das is below none in 18 of the 54 settings (3 layers)" in text
    assert "(all of stage3); their difference runs from \N{MINUS SIGN}0." in text

    def change(tree):
        by_score = tree["summary"]["scores"]["stage4:before"]
        for name in [name for name in by_score if name.startswith("sfd base=e")][:5]:
            by_score[name]["das"]["mean"] = 0.0

    text = page_of(edited(write_explained(tmp_path / "y", images=6), change)).text
    assert "in 5 of the 54 settings (3 layers) (stage4:before, base e, shift 0, threshold" in text
    assert " and 2 more)" in text


def test_seeds_can_take_a_finding_back(tmp_path):
    def change(tree):
        seeds = tree["summary"]["scores"]["stage4"]["sfd"]["das"]["seeds"]
        seeds.update({"0": 0.9, "1": 0.6, "2": 0.62})

    text = page_of(edited(write_explained(tmp_path / "x"), change)).text
    assert "Significantly more on the object than none: das" in text
    assert "Over seeds this is not significant for das (p 0." in text


def test_a_lead_that_is_none_over_chance_is_pointed_out(tmp_path):
    def change(tree):
        tree["summary"]["scores"]["stage4"]["sfd"]["das"]["chance"] = 0.65
        tree["summary"]["scores"]["stage4"]["sfd"]["none"]["chance"] = 0.3

    text = page_of(edited(write_explained(tmp_path / "x", images=8), change)).text
    assert "Above its own chance level das has less (+0.0" in text and "the size of B" in text


def test_the_terminal_tells_the_headline_the_scores_and_the_tests(three):
    console = Console(width=80, file=io.StringIO())
    for part in terminal_explanation(three):
        console.print(part, markup=False)
    text = re.sub(r"\s+", " ", console.file.getvalue())
    assert "By sfd at stage4 over 30 images: das 0." in text and "(chance 0.4" in text
    assert "better: +0." in text and "1 image could not be read" in text


@pytest.mark.parametrize(
    ("kind", "said"),
    [("boxes", "Regions are boxes"), ("grounded-sam", "Regions were found by models"),
     ("masks", "")],
)  # fmt: skip
def test_what_the_regions_are_limits_what_is_known(tmp_path, kind, said):
    folder = write_explained(tmp_path / "x", images=3)
    text = page_of(edited(folder, lambda t: t["settings"].update(regions={"kind": kind}))).text
    assert said in text and ("Regions were" in text) + ("Regions are" in text) == bool(said)


def test_scores_at_chance_or_below_it_are_pointed_out(tmp_path):
    def change(tree):
        by_network = tree["summary"]["scores"]["stage4"]["sfd"]
        by_network["das"].update(low=0.5, high=0.6, chance=0.7)
        by_network["none"].update(low=0.5, high=0.6, chance=0.55)

    text = page_of(edited(write_explained(tmp_path / "x", images=6), change)).text
    assert "das is less on the object than a flat map is (0.700)." in text
    assert "The chance level lies within the interval of none (0.550)." in text
