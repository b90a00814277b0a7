"""`foveate compare` and `foveate report`, from the words typed to the files written."""

import csv
import json
import shlex
import sys
from functools import partial
from pathlib import Path

import pytest

from foveate.attention import list_attentions
from foveate.cli import main
from foveate.cli._words import options_of, seeds_of, slug, variants_of, where_of
from foveate.training import costs

pytest.importorskip("lightning")
TINY = shlex.split(
    "compare scenes --model resnet10t --attentions none,das --seeds 2 --epochs 1 --size 32"
    " --batch-size 8 --limit-train 16 --limit-val 8 --stem small --images 1 --scored 4 --no-control"
    " --quiet"
)


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code or 0


def quickly(latency, *words, **options):
    """Time a few rounds only: how sure a time is, others test."""
    return latency(*words, **{**options, "repeats": 5, "warmup": 1})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "latency", partial(quickly, costs.latency))
        patch.setattr("foveate.explain.showing.GRID", 1)
        # Without captum all the rest must be there; with it, the same command adds what is missing.
        with pytest.MonkeyPatch.context() as without:
            without.setitem(sys.modules, "captum.attr", None)
            assert run(*TINY, "--option", "das.alpha=0.1", "--out", folder) == 0
        assert (folder / "report.html").is_file()
        assert not (folder / "explain/explain.json").exists()
        assert run(*TINY, "--option", "das.alpha=0.1", "--out", folder) == 0
    return folder


def test_a_study_ends_in_a_table_and_a_report(study):
    with (study / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["none", "das"]
    assert all(int(row["runs"]) == 2 for row in rows)
    assert int(rows[1]["params"]) > int(rows[0]["params"]) > 0
    assert float(rows[1]["forward_ratio"]) > 0
    for row in rows:
        kept = [
            json.loads((study / "runs" / f"{row['label']}-seed{seed}" / "result.json").read_text())
            for seed in (0, 1)
        ]
        assert float(row["top1_mean"]) == pytest.approx(sum(one["top1"] for one in kept) / 2)
    config = (study / "runs" / "das-seed1" / "config.toml").read_text()
    assert "alpha = 0.1" in config and "seed = 1" in config and 'stem = "small"' in config
    page = (study / "report.html").read_text()
    assert "resnet10t on scenes" in page


def test_what_the_networks_look_at_is_scored_over_all_seeds_and_told(study):
    found = json.loads((study / "explain" / "explain.json").read_text())
    summary = found["summary"]
    assert summary["base"] == "none" and summary["images"] == 4
    assert summary["seeds"] == {"none": ["0", "1"], "das": ["0", "1"]}
    page = (study / "report.html").read_text()
    one = summary["scores"]["stage4"]["sfd"]["das"]
    assert one["mean"] is None or f"{one['mean']:.3f}" in page
    assert len(list((study / "explain" / "pictures").iterdir())) == 1
    assert (study / "explain" / "viewer.html").is_file()


@pytest.mark.slow
def test_all_attentions_run_in_one_table(tmp_path):
    recipe = Path(__file__).parents[2] / "recipes" / "scenes-smoke.toml"
    words = "--attentions all --seeds 1 --no-control --no-explain --quiet --limit-train 32"
    folder = tmp_path / "all"
    assert run("compare", "--recipe", recipe, *shlex.split(words), "--out", folder) == 0
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["none", *list_attentions()]
    assert all(int(row["runs"]) == 1 and float(row["forward_ratio"]) > 0 for row in rows)


def test_the_same_command_again_redoes_nothing_but_the_report(study, capsys):
    drawn = [path for path in study.glob("explain/**/*") if path.is_file()]
    watched = [*study.glob("runs/*/result.json"), *drawn, study / "costs.json"]
    before = {path: path.stat().st_mtime_ns for path in watched}
    assert len(before) >= 4 + 4 + 1
    (study / "report.html").unlink()
    assert run(*TINY, "--option", "das.alpha=0.1", "--out", study) == 0
    assert {path: path.stat().st_mtime_ns for path in watched} == before
    assert str(study / "report.html") in capsys.readouterr().out
    assert (study / "report.html").is_file()


def test_the_report_is_written_again_from_the_folder_alone(study, capsys):
    first = (study / "report.html").read_bytes()
    (study / "report.html").unlink()
    (study / "results.csv").unlink()
    assert run("report", study) == 0
    assert (study / "report.html").read_bytes() == first
    out = capsys.readouterr().out
    assert "das" in out and "results.csv" in out


def test_an_interruption_while_drawing_keeps_the_runs(study, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("foveate.explain.explanation.draw_pictures", stop)
    words = [*TINY, "--option", "das.alpha=0.1", "--out", study]
    words[words.index("--images") + 1] = "2"  # Other pictures than those that are there.
    (study / "report.html").unlink()
    assert run(*words) == 130
    assert "same command again" in capsys.readouterr().err
    assert (study / "report.html").is_file()


def test_another_study_in_the_folder_is_refused(study, capsys):
    assert run(*TINY, "--out", study) == 1
    assert "alpha" in capsys.readouterr().err
    assert run(*TINY, "--option", "das.alpha=0.1", "--no-resume", "--out", study) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--attentions", "none,dass"], "das"),
        (["--attentions", "das"], "none"),
        (["--seeds", "three"], "a number"),
        (["--option", "alpha=0.1"], "das.alpha=0.1"),
        (["--variant", "thin=das:alpha"], "das-thin=das:alpha=0.02"),
        (["--variant", "thin=das", "--variant", "thin=se"], "every label once"),
        (["--variant", "thin=das:alfa=0.1"], "alpha"),
        (["--model", "resnet1818"], "resnet18"),
        (["--optimizer", "adan"], "adamw"),
    ],
)
def test_wrong_words_end_in_one_line(tmp_path, capsys, words, message):
    assert run("compare", "scenes", *words, "--out", tmp_path / "s", "--quiet") == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not list(tmp_path.glob("s/runs/*"))


def test_a_missing_study_is_named(tmp_path, capsys):
    assert run("report", tmp_path) == 1
    assert "study.toml" in capsys.readouterr().err


def test_words_are_read():
    assert seeds_of("3") == 3 and seeds_of("3,5") == [3, 5] and seeds_of("7,") == [7]
    assert options_of(["das.alpha=0.1", "das.rounding=ceil", "se.reduction=8"]) == {
        "das": {"alpha": 0.1, "rounding": "ceil"},
        "se": {"reduction": 8},
    }
    assert variants_of(["a=das", "b = das : alpha=0.1, rounding=ceil,map_size=[7,7]"]) == {
        "a": {"attention": "das", "options": {}},
        "b": {
            "attention": "das",
            "options": {"alpha": 0.1, "rounding": "ceil", "map_size": [7, 7]},
        },
    }
    moved = variants_of(["last=das:where=layer4", 'two=se:where=["layer3","layer4"]'])
    assert moved["last"] == {"attention": "das", "options": {}, "where": ["layer4"]}
    assert moved["two"]["where"] == ["layer3", "layer4"]
    assert where_of("stages") == "stages" and where_of("layer?,stem") == ["layer?", "stem"]
    assert slug("torchvision/resnet18") == "resnet18"
    assert slug("fashion-mnist:/some/where") == "fashion-mnist"
    assert slug("/photos/my cats/") == "my-cats"
