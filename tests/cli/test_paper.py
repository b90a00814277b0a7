"""``foveate paper`` from the command line, and a recipe of the paper trained by it."""

import json
import random
from pathlib import Path

import pytest
from PIL import Image

from foveate.training import RunFolder

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def away(tmp_path, monkeypatch):
    """Stand in an empty folder, so that there is no folder runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_is_printed_without_any_run(foveate, away):
    code, text, error = foveate("paper", "table1", "--rows", "resnet18")
    assert (code, error) == (0, "")
    assert "72.03 [S]" in text and "not run" in text and "ResNet-50 DAS" not in text
    das = next(line.split() for line in text.splitlines() if line.startswith(" DAS "))
    assert das[-4:] == ["11.82", "1.857", "12.44", "1.947"]


def test_formats(foveate, away):
    code, text, _ = foveate("paper", "sfd", "--format", "md")
    assert code == 0 and "| ResNet-50 + DAS | 0.72 [S] |" in text
    code, text, _ = foveate("paper", "table3", "--format", "json")
    assert code == 0 and len(json.loads(text)["rows"]) == 16


def test_figure_3_is_drawn_where_it_is_told(foveate, away, monkeypatch):
    monkeypatch.setattr("foveate.paper.figure3.ALPHAS", (0.1, 0.2))
    words = ("paper", "figure3", "--rows", "resnet18", "--format", "json", "--out", "plots")
    code, text, error = foveate(*words)
    assert code == 0
    assert len(json.loads(text)["rows"]) == 2
    assert "plot: plots/figure3.png" in error
    assert (away / "plots" / "figure3.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tabel1"], "paper expects a table or an ablation; got 'tabel1'; did you mean 'table1'"),
        (["ablation-desing"], "did you mean 'ablation-design'"),
        (["table1", "--rows", "resnet19"], "did you mean 'resnet18'"),
        (["table1", "--format", "html"], "known --format"),
        (["table1", "--out", "x"], "--out expects an ablation or figure3; got 'table1'"),
        (["table1", "--data", "x"], "--data expects an ablation; got 'table1'"),
        (["figure3", "--recipe", "x.toml"], "--recipe expects an ablation; got 'figure3'"),
        (["sfd", "--seeds", "5"], "--seeds expects an ablation; got 'sfd'"),
        (["ablation-norm", "--rows", "a"], "--rows expects a table; got 'ablation-norm'"),
        (["ablation-norm", "--runs", "."], "--runs expects a table; got 'ablation-norm'"),
        (["ablation-norm", "--format", "md"], "--format expects a table; got 'ablation-norm'"),
        (
            ["table1", "--runs", "absent"],
            "--runs expects a folder of runs or studies; got 'absent'",
        ),
    ],
)
def test_wrong_words_are_named(foveate, away, words, message):
    code, text, error = foveate("paper", *words)
    assert (code, text) == (1, "")
    assert message in error


@pytest.mark.slow
def test_an_ablation_is_run_and_stands_below_its_figure(foveate, away):
    recipe = away / "tiny.toml"
    recipe.write_text(
        """
[data]
source = "scenes"
size = 64
limit_train = 8
limit_val = 4
[model]
name = "resnet14t"
width = 0.125
[train]
epochs = 1
batch_size = 4
"""
    )
    words = ("paper", "ablation-alpha", "--recipe", recipe, "--seeds", "1", "--quiet")
    code, text, error = foveate(*words, "--out", "runs/alpha")
    assert code == 0, error
    assert "alpha-0.01" in text and "plot:" in text
    code, text, _ = foveate("paper", "figure3", "--rows", "resnet18", "--out", "plots")
    assert code == 0
    told = " ".join(text.split())
    assert "Our ablation-alpha on scenes, 64 pixels, resnet14t at 0.125 of its width" in told
    assert "not comparable with the paper: runs/alpha" in told
    assert (away / "plots" / "figure3.png").is_file()


@pytest.fixture
def two_classes(tmp_path):
    """Class folders as those of ImageNet, with two classes of tiny images."""
    for split, count in (("train", 4), ("val", 2)):
        for wnid, level in (("n01440764", 40), ("n01443537", 200)):
            folder = tmp_path / "images" / split / wnid
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = bytes(random.randrange(level, level + 50) for _ in range(3 * 40 * 48))
                image = Image.frombytes("RGB", (48, 40), pixels)
                image.save(folder / f"{wnid}_{number}.JPEG")
    return tmp_path / "images"


@pytest.mark.filterwarnings("default:imagenet has 2 of 1000 classes")
def test_a_recipe_of_the_paper_trains_and_is_no_run_of_its_table(foveate, away, two_classes):
    changes = {
        **{"data.size": 64, "data.workers": 0, "model.width": 0.25},
        **{"train.epochs": 1, "train.batch_size": 4, "train.accelerator": '"cpu"'},
    }
    words = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    recipe = RECIPES / "imagenet" / "resnet50-das.toml"
    code, text, error = foveate("train", recipe, "--data", two_classes, "--quiet", *words)
    assert code == 0, error
    assert "top-1" in text
    assert "imagenet has 2 of 1000 classes" in error
    run = RunFolder("runs/imagenet-resnet50-das-seed0")
    assert run.result["images"] == 4 and len(run.result["classes"]) == 2
    assert run.recipe.data.source == f"imagenet:{two_classes}"
    assert (run.recipe.model.attention, run.recipe.train.lr_batch) == ("das", 256)
    code, text, _ = foveate("paper", "table1", "--rows", "resnet50", "--format", "md")
    assert "not comparable: runs/imagenet-resnet50-das-seed0: " in text
    assert "2 of 1000 classes" in text
