"""The report of detectors: AP takes the place of top-1, and what only detectors have."""

import csv
import io
import json

import pytest
from rich.console import Console
from test_report import Page
from tests_detection_tools import AP, write_detection_run, write_detection_study
from tests_report_tools import write_study

from foveate.report import headline, metric_of, plots, read_study, rows_of, terminal_tables
from foveate.report.detected import detected_of
from foveate.report.detected_plots import precision_charts, precision_figure
from foveate.report.html import write_report
from foveate.report.kept import anonymous, keep, metrics_csv
from foveate.report.publish import draw_missing, lacking, page_of, pages_of, publish
from foveate.report.wording import data_name, limits


@pytest.fixture
def study(tmp_path):
    return write_detection_study(tmp_path / "study")


@pytest.fixture
def record(study):
    return read_study(study)


def page_of_study(folder):
    return Page(write_report(folder).read_text(encoding="utf-8"))


def test_average_precision_is_what_is_compared(record):
    rows = rows_of(record)
    das = rows[1]
    assert das.metric.title == "AP" and das.score.mean == pytest.approx(sum(AP["das"]) / 3)
    gaps = [0.06, 0.065, 0.06]
    assert das.against_none.difference.mean == pytest.approx(sum(gaps) / 3)
    # t = 0.061667 / (0.0028868 / sqrt 3) = 37: p = 1 - 37 / sqrt(37^2 + 2), doubled by Holm.
    assert das.p_none == pytest.approx(2 * (1 - 37 / (37**2 + 2) ** 0.5), rel=1e-6)
    assert (das.verdict, rows[2].verdict) == (
        "better than none",
        "not significantly different from none",
    )


def test_further_scores_have_intervals_and_what_is_not_there_has_none(record):
    das = rows_of(record)[1]
    assert das.further["aps"].mean == pytest.approx(sum(AP["das"]) / 3 - 0.15)
    assert das.further_gaps["ap50"].difference.mean == pytest.approx(0.185 / 3)
    assert "apl" not in das.further and "apl" not in das.further_gaps
    assert rows_of(record)[0].further_gaps == {}


def test_the_csv_has_every_score(study):
    write_report(study)
    first, das, _ = csv.DictReader(io.StringIO((study / "results.csv").read_text()))
    assert float(das["ap_mean"]) == pytest.approx(1.115 / 3)
    assert float(das["ap50_mean"]) == pytest.approx(1.115 / 3 + 0.2)
    assert float(das["aps_half_width"]) == pytest.approx(float(das["ap_half_width"]))
    assert das["apl_mean"] == "" and first["difference_none"] == "" and "top1_mean" not in das


def test_the_page_speaks_of_average_precision(study):
    page = page_of_study(study)
    text = page.text
    assert "faster-rcnn with resnet18 at 0.25 of its width on scenes: attentions compared" in text
    assert "Validation AP, mean over seeds" in text and "Average precision against cost" in text
    assert "+6.17 [+5.45, +6.88]" in text and "37.17 ± 2.59" in text
    for word in ("AP50 %", "APs %", "APl %", "Precision over recall", "By class", "star"):
        assert word in text, word
    assert "measured on 50 images with 82 objects" in text and "Only AP is tested" in text
    assert "2 boxes that reach outside their image; cut to it: 7, 9" in text
    for word in ("top-1", "Accuracy", "chance", "foveate explain", "wider"):
        assert word not in text.replace("parameter-matched", ""), word


def test_the_page_holds_its_pictures_and_charts(study):
    (study / "pictures.json").write_text(
        json.dumps(
            [
                {"file": "pictures/00.png", "alt": "a & b"},
                {"file": "pictures/gone.png", "alt": "gone"},
                {"file": "../outside.png", "alt": "outside"},
                "no picture",
            ]
        )
    )
    (study.parent / "outside.png").write_bytes(b"x")
    page = page_of_study(study)
    assert [image["alt"] for image in page.images] == ["a & b"] and page.links == []
    assert page.images[0]["src"].startswith("data:image/png;base64,")
    # Precision over recall and the learning curve of each of three, and two charts of cost.
    assert (study / "report.html").read_text().count("<svg") == 3 + 3 + 2


def test_damaged_pictures_are_named(study):
    (study / "pictures.json").write_text("{")
    with pytest.raises(ValueError, match=r"a list of pictures in .*pictures\.json"):
        write_report(study)


def test_many_classes_are_folded(study):
    for path in study.glob("runs/*/result.json"):
        result = json.loads(path.read_text())
        one = result["per_class"][0]
        result["per_class"] = [{**one, "name": f"class {place}"} for place in range(21)]
        path.write_text(json.dumps(result))
    assert "All 21 classes" in page_of_study(study).text
    assert "<summary>All 21 classes</summary>" in publish(study, study).read_text()


def test_classes_stand_in_rows_and_detectors_in_columns(record):
    classes = detected_of(record)["classes"]
    assert classes["columns"] == ["class", "objects", "none", "das", "se"]
    assert classes["rows"][0][:3] == ["ring", "40", "41.00 ± 2.48"]
    assert [row[0] for row in classes["rows"]] == ["ring", "star", "bar"]


def test_a_class_that_is_not_there_has_no_average_precision(study):
    path = study / "runs" / "das-seed0" / "result.json"
    result = json.loads(path.read_text())
    result["per_class"][2]["ap"] = None
    path.write_text(json.dumps(result))
    row = detected_of(read_study(study))["classes"]["rows"][2]
    # The mean of the two seeds that have it: 0.275 and 0.28.
    assert row[3].startswith("27.75")


def test_bands_run_from_the_lowest_to_the_highest_seed(record):
    curves = detected_of(record)["curves"]
    assert list(curves) == list(AP) and list(curves["das"]) == ["0.50", "0.75"]
    start = {name: line[0] for name, line in curves["das"]["0.50"].items()}
    assert start == pytest.approx({"low": 0.72, "mean": 0.7433, "high": 0.76}, abs=1e-4)
    (_, none), (_, das), _ = precision_charts(curves, plots.styles(record.labels))
    # Two overlaps, each with a band; all but none itself show none in gray.
    assert none.count("<polygon") == das.count("<polygon") == 2
    assert none.count("<polyline") == 2 and das.count("<polyline") == 3
    assert "at an overlap of 0.50 precision is 40.6 % at half recall" in das


def test_the_picture_of_the_curves_has_a_panel_per_overlap(record):
    left, right = precision_figure(detected_of(record)["curves"]).axes
    assert (left.get_title(), right.get_title()) == (
        "at an overlap of 0.50",
        "at an overlap of 0.75",
    )
    das = next(line for line in left.lines if line.get_label() == "das")
    assert (das.get_xdata()[0], das.get_xdata()[-1]) == (0, 100)
    assert das.get_ydata()[0] == pytest.approx(74.33)
    assert [text.get_text() for text in right.get_legend().get_texts()] == list(AP)


def test_learning_curves_show_ap_and_ap50(record):
    label, svg = plots.learning_curves(record)[1]
    assert label == "das" and "AP %" in svg and "in AP50 and" in svg
    last = plots._curve(record, "das")[-1][1]
    assert last["val_ap"] == pytest.approx((0.36, 1.115 / 3, 0.38))
    assert last["val_ap50"][1] == pytest.approx(1.115 / 3 + 0.2)


def test_the_terminal_fits_80_columns(record):
    console = Console(width=80, file=io.StringIO())
    console.print(*terminal_tables(rows_of(record)))
    text = console.file.getvalue()
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    for word in ("Average precision: validation AP", "AP50 %", "APl %", "37.17 ± 2.59", "22.17"):
        assert word in text, word


def test_detectors_that_found_nothing_are_pointed_out(tmp_path):
    study = write_detection_study(tmp_path / "s", {"none": [0.001, 0.002], "das": [0.001, 0.0]})
    said = headline(rows_of(read_study(study)), 3)
    assert "The best detector has an AP of 0.15 %" in said and "chance" not in said


def test_detectors_that_find_all_and_runs_that_are_missing_are_told(tmp_path):
    study = write_detection_study(tmp_path / "s", {"none": [0.5, 0.6], "das": [1.0, 1.0]})
    write_detection_run(study, "das", 2, 0.5, finished=False)
    record = read_study(study)
    said = " ".join(limits(record, rows_of(record)))
    assert "Every object was found exactly in every run of das" in said
    assert "Run `foveate detect compare` again" in said


def test_an_unscored_study_has_no_detectors_to_tell_of(tmp_path):
    study = write_detection_study(tmp_path / "s", {"none": [], "das": []})
    assert detected_of(read_study(study)) is None
    assert "nothing to compare with yet" in page_of_study(study).text
    assert detected_of(read_study(write_study(tmp_path / "t"))) is None


def test_a_study_becomes_a_page_with_its_pictures(study, tmp_path):
    folder = tmp_path / "results"
    page = publish(study, folder, "boxes", "Boxes")
    assert sorted(path.name for path in folder.iterdir()) == [
        "boxes-1.png", "boxes-curves.png", "boxes.csv", "boxes.json", "boxes.md", "boxes.png",
    ]  # fmt: skip
    text = page.read_text()
    assert "| das | 37.17 ± 2.59 | +6.17 [+5.45, +6.88] |" in text
    assert "| das | 57.17 ± 2.59 | 39.17 ± 2.59 | 22.17 ± 2.59 | 42.17 ± 2.59 | - |" in text
    assert "| ring | 40 |" in text and "](boxes-curves.png)" in text
    assert "![0.jpg: 2 (objects) found](boxes-1.png)" in text and "AP of every detector" in text
    assert "## Annotations of val" in text and "top-1" not in text and "top1" not in text
    numbers = json.loads((folder / "boxes.json").read_text())
    assert numbers["task"] == "detection" and numbers["ap_by_seed"]["das"]["0"] == 0.36
    assert pages_of(folder)[page] == page_of(folder / "boxes.json") == text
    assert (
        "| [boxes](boxes.md) | Boxes | 3 | Significantly better"
        in (pages_of(folder)[folder / "README.md"])
    )
    for name in ("boxes.png", "boxes-curves.png", "boxes-1.png"):
        (folder / name).unlink()
    assert [path.name for path in lacking(folder)] == [
        "boxes.png",
        "boxes-curves.png",
        "boxes-1.png",
    ]
    assert [path.name for path in draw_missing(folder)] == ["boxes.png", "boxes-curves.png"]


def test_only_few_and_small_pictures_are_copied(tmp_path):
    study = write_detection_study(tmp_path / "s", pictures=5)
    (study / "pictures" / "01.png").write_bytes(b"x" * 300_000)
    publish(study, tmp_path, "boxes")
    kept = json.loads((tmp_path / "boxes.json").read_text())
    assert [one["alt"][:5] for one in kept["detected"]["pictures"]] == ["0.jpg", "2.jpg", "3.jpg"]
    assert (tmp_path / "boxes-3.png").is_file() and not (tmp_path / "boxes-4.png").exists()


def test_every_epoch_is_kept_with_the_parts_of_the_loss(study):
    lines = metrics_csv(study).splitlines()
    assert lines[0] == (
        "label,seed,epoch,lr,train_loss,val_ap,val_ap50,val_ap75,seconds,loss_classifier,"
        "loss_objectness"
    )
    assert len(lines) == 1 + 3 * 3 * 6 and lines[6].startswith("none,0,6,0.002,1,0.3,0.5,0.3,7.5,")


def test_own_annotation_files_are_named_and_their_places_are_not(study):
    assert data_name("coco:/home/me/trees/val.json:/home/me/img") == "val.json"
    assert anonymous("x coco:/home/me/val.json:/home/me/img -v") == "x coco:ROOT -v"
    for path in study.glob("runs/*/config.toml"):
        path.write_text(path.read_text().replace('"scenes"', '"/home/me/crowns"'))
    kept = keep(study)
    assert kept["data"] == "crowns" and "/home" not in json.dumps(kept)


def test_an_unknown_task_is_refused_with_the_nearest_one(study):
    path = study / "study.toml"
    path.write_text(path.read_text().replace('"detection"', '"detektion"', 1))
    with pytest.raises(ValueError, match="a known task; got 'detektion'; did you mean 'detection'"):
        read_study(study)
    assert metric_of({}).key == "top1"
