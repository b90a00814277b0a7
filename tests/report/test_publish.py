"""A finished study as numbers, epochs, plot and page, and the plots by their content."""

import json
import math

import pytest
from tests_report_tools import cost, write_run, write_study

from foveate.report.kept import anonymous, keep, metrics_csv
from foveate.report.markdown import table
from foveate.report.pictures import described, figure_of, shape_of
from foveate.report.publish import draw_missing, page_of, pages_of, publish

PNG = b"\x89PNG\r\n\x1a\n"


def write_variants(path, labels, top1, options=None):
    """A study of das under several labels; every one 0.01 better than the one before."""
    write_study(path, {"none": top1})
    costs = {"none": cost(1_000_000, 10_000_000, 1.0, 1.0)}
    text = 'attentions = ["none"]\nseeds = [0, 1, 2]\n'
    for turn, label in enumerate(labels, 1):
        for seed, value in enumerate(top1):
            write_run(path, label, seed, value + 0.01 * turn * (1 + 0.1 * seed))
        costs[label] = cost(1_000_000 * turn, 10_000_000 * turn, 1 + turn, 1 + 2 * turn)
        text += f'[variants."{label}"]\nattention = "das"\n'
        given = (options or {}).get(label, {})
        text += f'[variants."{label}".options]\n'
        text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in given.items())
    text += '[recipe.data]\nsource = "scenes"\n[recipe.model]\nname = "resnet18"\n'
    (path / "study.toml").write_text(text)
    (path / "costs.json").write_text(json.dumps({**costs, "_conditions": {"threads": 1}}))
    return path


def test_a_study_becomes_four_files_and_its_page_comes_from_the_numbers_alone(study, tmp_path):
    folder = tmp_path / "results"
    page = publish(study, folder, "fake", "A title", "One machine only.")
    assert sorted(path.name for path in folder.iterdir()) == [
        "fake.csv", "fake.json", "fake.md", "fake.png",
    ]  # fmt: skip
    text = page.read_text()
    assert text.count("\n# ") == 1 and "# A title\n" in text
    assert "| das | 82.33 ± 5.17 | +10.33 [+8.90, +11.77] | 0.003 | 11.93 |" in text
    assert "Significantly better than the plain network: das." in text
    assert "](fake.png)" in text and "](fake.csv)" in text and "](fake.json)" in text
    assert "- One machine only.\n" in text and "freedom" in text
    assert 'source = "scenes"' in text and "torch 2.15.0" in text
    # das is in the study as the paper has it, so the others are compared with it too.
    assert "## Against das" in text and "| se | \N{MINUS SIGN}10.00 [" in text
    assert (folder / "fake.png").read_bytes().startswith(PNG)
    page.unlink()
    assert pages_of(folder)[page] == page_of(folder / "fake.json") == text
    index = pages_of(folder)[folder / "README.md"]
    assert "| [fake](fake.md) | A title | 3 | Significantly better" in index
    (folder / "fake.png").unlink()
    assert draw_missing(folder) == [folder / "fake.png"] and draw_missing(folder) == []


def test_an_older_file_without_the_newer_keys_gets_a_page_and_a_plot_too(study, tmp_path):
    publish(study, tmp_path, "old")
    numbers = json.loads((tmp_path / "old.json").read_text())
    for key in ("title", "legend", "options", "against", "starts", "limits", "note", "seeds",
                "commits", "study"):  # fmt: skip
        del numbers[key]
    (tmp_path / "old.json").write_text(json.dumps(numbers))
    text = page_of(tmp_path / "old.json")
    assert "# resnet18 on scenes\n" in text and "| seeds | 0, 1, 2 |" in text
    assert "Against" not in text and "## Limits" not in text
    assert shape_of(numbers) == "rows" and figure_of(numbers)


def test_every_epoch_of_every_run_is_kept(study):
    lines = metrics_csv(study).splitlines()
    assert (
        lines[0] == "label,seed,epoch,lr,train_loss,train_top1,val_loss,val_top1,val_top5,seconds"
    )
    assert len(lines) == 1 + 4 * 3 * 8
    label, seed, epoch, *_, top1, top5, seconds = lines[8].split(",")
    assert (label, seed, epoch, top5, seconds) == ("none", "0", "8", "0.95", "1.5")
    assert math.isclose(float(top1), 0.70)


def test_an_unfinished_study_is_not_kept(study, tmp_path):
    (study / "runs" / "se-seed1" / "result.json").unlink()
    with pytest.raises(ValueError, match="no finished run of every seed for se"):
        publish(study, tmp_path / "results", "fake")
    assert not (tmp_path / "results").exists()


def test_the_title_and_the_note_of_the_study_s_own_summary_are_taken_over(study, tmp_path):
    publish(study, study, title="Its title", note="Its note.")
    text = publish(study, tmp_path, "copy", note="Mine.").read_text()
    assert "# Its title\n" in text and "- Its note. Mine.\n" in text


def test_no_place_of_the_machine_is_kept():
    said = anonymous(
        "x cifar100:/data/c --recipe /home/me/a/b.toml --out runs/y -v a=das:alpha=0.1"
    )
    assert said == "x cifar100:ROOT --recipe b.toml --out runs/y -v a=das:alpha=0.1"
    assert (
        anonymous('weights = "/tmp/s/base/runs/none-seed{seed}"') == 'weights = "none-seed{seed}"'
    )
    assert anonymous("https://example.org/a/b and 1/2") == "https://example.org/a/b and 1/2"


def test_rows_show_the_mean_the_interval_and_every_seed(study):
    kept = keep(study)
    assert shape_of(kept) == "rows"
    (ax,) = figure_of(kept).axes
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["none", "das", "se", "wider"]
    points = {tuple(line.get_xdata()) for line in ax.lines}
    assert any(sorted(seeds) == pytest.approx([80.0, 83.0, 84.0]) for seeds in points)
    middle, ends = ax.containers[1].lines[0], ax.containers[1].lines[2][0].get_segments()[0]
    assert middle.get_xdata() == pytest.approx([82.333], abs=1e-3)
    assert [x for x, _ in ends] == pytest.approx([77.16, 87.50], abs=0.01)


def test_numbers_of_one_name_are_a_sweep_on_a_log_axis(tmp_path):
    labels = [f"alpha-{value}" for value in (0.2, 0.01, 1)]
    options = {label: {"alpha": float(label.split("-")[1])} for label in labels}
    kept = keep(write_variants(tmp_path / "s", labels, [0.5, 0.6, 0.55], options))
    assert shape_of(kept) == "sweep" and kept["against"]["label"] == "alpha-0.2"
    top, bottom = figure_of(kept).axes
    assert bottom.get_xscale() == "log"
    assert [text.get_text() for text in bottom.get_xticklabels()] == ["0.01", "0.2", "1"]
    means = top.containers[0].lines[0]
    assert list(means.get_xdata()) == [0.01, 0.2, 1.0]
    assert list(means.get_ydata()) == pytest.approx([57.2, 56.1, 58.3])
    costs = {line.get_label(): list(line.get_ydata()) for line in bottom.lines}
    assert costs["MACs"] == [2.0, 1.0, 3.0] and costs["training step"] == [5.0, 3.0, 7.0]
    assert {text.get_text() for text in top.get_legend().get_texts()} == {"none", "with gates"}


def test_all_pairs_of_words_are_a_grid_with_the_gate_framed(tmp_path):
    pairs = [(a, b) for a in ("instance", "none") for b in ("none", "layer")]
    options = {f"{a}-{b}": {"norm_before": a, "norm_after": b} for a, b in pairs}
    kept = keep(write_variants(tmp_path / "s", list(options), [0.5, 0.6, 0.55], options))
    kept["against"] = {"label": "instance-layer", "rows": []}
    assert shape_of(kept) == "grid"
    ax = figure_of(kept).axes[0]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("norm_before", "norm_after")
    assert ax.images[0].get_array().tolist() == [
        pytest.approx([56.1, 57.2]), pytest.approx([58.3, 59.4]),
    ]  # fmt: skip
    assert {text.get_text()[:4] for text in ax.texts} == {"56.1", "57.2", "58.3", "59.4"}
    (frame,) = ax.patches
    assert frame.get_xy() == (0.5, -0.5)
    short = {key: kept["top1_by_seed"][key] for key in list(kept["top1_by_seed"])[:-1]}
    assert shape_of({**kept, "top1_by_seed": short}) == "rows"
    assert described(kept).endswith("heat map")


@pytest.mark.parametrize(
    "labels",
    [["alpha-0.1", "alpha-0.2", "alpha-1"], ["a-a", "a-b", "b-a", "b-b"], ["p", "q"]],
    ids=["sweep", "grid", "rows"],
)
def test_one_seed_shows_no_interval_of_width_0(tmp_path, labels):
    kept = keep(write_variants(tmp_path / "s", labels, [0.5, 0.6, 0.55]))
    for one in kept["estimates"].values():
        one["half_width"] = None
    figure = figure_of(kept)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    assert not any("\N{PLUS-MINUS SIGN}" in text.get_text() for text in [ax.title, *ax.texts])
    for drawn in ax.containers:
        (bars,) = drawn.lines[2]
        assert not any(segment.size for segment in bars.get_segments())


@pytest.mark.parametrize("said", ['start = "identity"', 'position = "before"', 'where = "blocks"'])
def test_a_gate_that_the_recipe_changes_is_not_called_the_published_one(study, said):
    path = study / "study.toml"
    path.write_text(path.read_text().replace("[recipe.model]", f"[recipe.model]\n{said}"))
    assert said in path.read_text()
    assert keep(study)["against"] is None


def test_the_limits_tell_of_intervals_and_of_a_task_that_is_too_easy(tmp_path):
    text = " ".join(keep(write_variants(tmp_path / "a", ["x", "y"], [0.5, 0.6, 0.55]))["limits"])
    assert "Intervals are not corrected" in text and "Every image" not in text
    kept = keep(write_study(tmp_path / "b", {"none": [0.5, 0.6, 0.55], "das": [1.0, 1.0, 1.0]}))
    assert "Every image was right in every run of das: this task" in " ".join(kept["limits"])


def test_a_table_with_sentences_is_set_left():
    assert table(["a", "b"], [["x", "1.0"]]) == "| a | b |\n|---|---:|\n| x | 1.0 |"
    assert "|---|---|" in table(["a", "b"], [["x", "word " * 12]])
