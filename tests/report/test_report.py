"""The report against a study folder written by the documented formats."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console
from tests_report_tools import TOP1, write_run, write_study

from foveate.report import headline, legend, read_study, rows_of, terminal_tables, write_report

VOID = {"meta", "img", "br", "input", "link"}


class Page(HTMLParser):
    """Checks that tags are closed in turn and gathers what a reader depends on."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.links, self.heads, self.words = [], [], [], 0, []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(attributes)
        if tag in ("script", "link", "iframe"):
            self.links.append(tag)
        self.links += [value for key, value in attributes.items() if key in ("href", "srcset")]
        self.heads += tag == "th" and "scope" in attributes

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def page_of(folder):
    return Page(write_report(folder).read_text(encoding="utf-8"))


def row_of(folder, label):
    return next(row for row in rows_of(read_study(folder)) if row.label == label)


def test_rows_hold_the_numbers_of_the_runs(study):
    rows = rows_of(read_study(study))
    assert [row.label for row in rows] == ["none", "das", "se", "wider"]
    das = rows[1]
    assert das.score.mean == pytest.approx(sum(TOP1["das"]) / 3)
    gaps = [0.10, 0.11, 0.10]
    assert das.against_none.difference.mean == pytest.approx(sum(gaps) / 3)
    assert das.against_wider.difference.mean == pytest.approx((0.08 + 0.10 + 0.09) / 3)
    # t = 0.10333 / (0.0057735 / sqrt 3) = 31, p = 1 - 31 / sqrt(963) with two degrees of freedom;
    # the smallest of three p-values is multiplied by three.
    assert das.p_none == pytest.approx(3 * (1 - 31 / 963**0.5), rel=1e-6)
    assert das.verdict == "better than none"
    assert rows[2].verdict == rows[3].verdict == "not significantly different from none"
    assert rows[0].verdict == "the plain network" and rows[0].against_none is None


def test_the_correction_can_take_a_finding_back(tmp_path):
    # Alone p = 0.035, among three it is not significant.
    top1 = {"none": [0.7, 0.7, 0.7], "das": [0.72, 0.73, 0.74]}
    assert row_of(write_study(tmp_path / "one", top1), "das").verdict == "better than none"
    top1 |= {"se": [0.7, 0.72, 0.69], "wider": [0.71, 0.69, 0.7]}
    row = row_of(write_study(tmp_path / "three", top1), "das")
    assert row.against_none.p < 0.05 < row.p_none
    assert row.verdict == "not significantly different from none"


def test_worse_is_said(tmp_path):
    top1 = {"none": [0.8, 0.82, 0.81], "das": [0.60, 0.63, 0.6]}
    study = write_study(tmp_path / "s", top1)
    assert row_of(study, "das").verdict == "worse than none"
    assert headline(rows_of(read_study(study))).startswith(
        "Significantly worse than the plain network: das."
    )


def test_the_csv_is_the_table(study):
    write_report(study)
    records = list(csv.DictReader(io.StringIO((study / "results.csv").read_text())))
    das = records[1]
    assert [record["label"] for record in records] == ["none", "das", "se", "wider"]
    assert float(das["top1_mean"]) == pytest.approx(0.8233333)
    assert float(das["difference_none"]) == pytest.approx(0.1033333)
    assert int(das["params"]) == 11_930_000 and int(das["params_published"]) == 11_310_000
    assert float(das["forward_ratio"]) == 1.62
    assert float(das["difference_none_low"]) < 0.1033 < float(das["difference_none_high"])
    assert records[0]["difference_none"] == ""


def test_the_page_stands_alone_and_is_accessible(study):
    page = page_of(study)
    assert page.links == []
    text = (study / "report.html").read_text()
    assert not re.search(r"https?://|@import|url\(", text)
    assert page.images == []
    assert page.heads >= 4 + 9 and "prefers-color-scheme: dark" in text
    assert text.count("<svg") == 4 + 2 and text.count('role="img"') == 6
    assert 'lang="en"' in text and "viewport" in text


def test_the_page_says_what_came_out(study):
    text = page_of(study).text
    assert "Significantly better than the plain network: das." in text
    assert "Not significantly different from it: se." in text
    assert "With 3 seeds a difference under 1.43 to 5.17 points" in text
    assert "cannot be told from noise, before the correction for 2 tests." in text
    assert "+10.33 [+8.90, +11.77]" in text and "82.33 ± 5.17" in text
    assert "1.62 (1.59..1.67)" in text and "11.31 / 0.160" in text
    assert "one image moves top-1 by 0.25 points" in text
    assert "2.15.0" in text and "foveate compare scenes" in text and "median of 20" in text


def test_no_significant_difference_is_said_plainly(tmp_path):
    top1 = {"none": [0.70, 0.72, 0.74], "se": [0.71, 0.70, 0.76]}
    rows = rows_of(read_study(write_study(tmp_path / "s", top1)))
    assert headline(rows) == (
        "No attention differs significantly from the plain network. "
        "With 3 seeds a difference under 5.17 points cannot be told from noise."
    )


def test_one_seed_has_no_interval_and_no_test(tmp_path):
    study = write_study(tmp_path / "s", {"none": [0.5], "das": [0.9]}, seeds=(4,))
    assert "Only one seed" in headline(rows_of(read_study(study)))
    text = page_of(study).text
    assert "One seed: no interval and no test is possible." in text
    assert "not tested: one seed" in text and "+40.00" in text and "±" not in text


def test_an_unfinished_study_says_what_is_missing(tmp_path):
    top1 = {"none": [0.5, 0.6, 0.55], "das": [0.7, 0.72]}
    study = write_study(tmp_path / "s", top1)
    write_run(study, "das", 2, 0.7, finished=False)
    (study / "costs.json").unlink()
    row = row_of(study, "das")
    assert (row.runs, row.wanted) == (2, 3) and row.against_none.difference.count == 2
    text = page_of(study).text
    assert "2 of 3" in text and "Runs not finished: das (1)" in text
    empty = write_study(tmp_path / "empty", {})
    assert "nothing to compare with yet" in page_of(empty).text


def test_variants_stand_after_the_attentions_and_are_spelled_out(tmp_path):
    folder = write_study(tmp_path / "s", {"none": [0.7], "thin": [0.8]}, seeds=(0,))
    (folder / "study.toml").write_text(
        'attentions = ["none", "se"]\nseeds = [0]\n[variants.thin]\nattention = "das"\n'
        'where = ["layer3", "layer4"]\n[variants.thin.options]\nalpha = 0.02\nrounding = "ceil"\n'
        '[variants.same]\nattention = "das"\n'
    )
    study = read_study(folder)
    assert study.labels == ["none", "se", "thin", "same"]
    said = ["thin is das with alpha = 0.02 and rounding = ceil at layer3, layer4.", "same is das."]
    assert legend(study) == said
    page = write_report(folder).read_text()
    assert f"<p>{' '.join(said)}</p>" in page


def test_a_missing_control_is_explained(tmp_path):
    study = write_study(tmp_path / "s", {"none": [0.5, 0.6], "das": [0.7, 0.72]}, seeds=(0, 1))
    costs = json.loads((study / "costs.json").read_text())
    costs["_conditions"]["wider"] = "vgg11 has no width to choose"
    (study / "costs.json").write_text(json.dumps(costs))
    text = page_of(study).text
    assert "no parameter-matched control: vgg11 has no width to choose" in text
    assert "worse than wider" not in text and "better than wider" not in text


def test_unreadable_images_are_listed_once(tmp_path):
    study = write_study(tmp_path / "s", {"none": [0.5], "das": [0.6]}, seeds=(0,))
    bad = [{"name": "cat/7.jpg", "reason": "empty file"}]
    write_run(study, "se", 0, 0.5, unreadable=bad)
    write_run(study, "eca", 0, 0.5, unreadable=bad)
    text = page_of(study).text
    assert "1 in all" in text and text.count("cat/7.jpg") == 1 and "empty file" in text
    assert "None." in page_of(write_study(tmp_path / "t", {"none": [0.5]}, seeds=(0,))).text


def test_the_terminal_tables_fit_80_columns_and_hold_the_numbers(study):
    console = Console(width=80, file=io.StringIO())
    for table in terminal_tables(rows_of(read_study(study))):
        console.print(table)
    text = console.file.getvalue()
    assert "…" not in text
    for word in ("82.33 ± 5.17", "+10.33 [+8.90, +11.77]", "1.88 (1.82..1.96)", "11.93", "0.160"):
        assert word in text, word
    wide = Console(width=130, file=io.StringIO())
    wide.print(*terminal_tables(rows_of(read_study(study)), wide=True))
    assert "not significantly different from none" in wide.file.getvalue()


def test_writing_twice_gives_the_same_and_leaves_no_temporary_file(study):
    first = write_report(study).read_bytes()
    assert write_report(study).read_bytes() == first
    assert not [path for path in study.iterdir() if path.name.startswith(".")]


def test_wrong_folders_and_damaged_files_are_named(tmp_path, study):
    with pytest.raises(FileNotFoundError, match=r"study\.toml"):
        write_report(tmp_path / "nowhere")
    (study / "costs.json").write_text("{")
    with pytest.raises(ValueError, match=r"valid JSON in .*costs\.json"):
        write_report(study)
    (study / "study.toml").write_text("a = = 1")
    with pytest.raises(ValueError, match=r"study\.toml expects valid TOML"):
        write_report(study)


def test_networks_near_chance_are_pointed_out(tmp_path):
    top1 = {"none": [0.13, 0.14], "das": [0.15, 0.18]}
    study = write_study(tmp_path / "s", top1, seeds=(0, 1))
    assert "near chance" not in page_of(study).text  # The runs do not say how many classes.
    for path in study.glob("runs/*/result.json"):
        result = json.loads(path.read_text()) | {"classes": list("abcdefgh")}
        path.write_text(json.dumps(result))
    text = page_of(study).text
    assert "All networks are near chance (12.50 %)" in text and "Chance is 12.50 %." in text
    rows = rows_of(read_study(study))
    assert "near chance" in headline(rows, 8) and "near chance" not in headline(rows, 12)


def test_conditions_that_differ_between_runs_are_shown(study):
    path = study / "runs" / "se-seed1" / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"threads": 16}))
    text = page_of(study).text
    assert "threads 2; in other runs: 16" in text
