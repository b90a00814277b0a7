"""``foveate bench`` from the command line."""

import json

import pytest
import torch

from foveate.bench import session as session_module
from foveate.bench.modules import torchvision_mix
from foveate.bench.variants import VARIANTS, Variant

ONE = ("bench", "gate", "--quick", "--threads", "1", "--vs")


def test_a_quick_run_from_end_to_end(foveate, tmp_path):
    out = tmp_path / "result.json"
    code, text, progress = foveate(
        "bench", "gate", "scaling", "--quick", "--threads", "1", "--out", out
    )
    assert code == 0
    assert "geometric" in text and "toy sizes: no number means anything" in text
    assert f"rows in {out}" in text.replace("\n", "")
    assert "gate 1x16x14x14 float32" in progress
    tree = json.loads(out.read_text())
    assert tree["schema"] == "foveate-bench/1"
    assert {row["status"] for row in tree["rows"]} == {"ok"}
    assert tree["conditions"]["quick"] is True


def test_a_wrong_variant_ends_with_one_and_its_reason(foveate, monkeypatch):
    def shifted(input, offset, mask, weight):
        return torchvision_mix(input, offset, mask, weight).roll(1, -1)

    monkeypatch.setitem(VARIANTS, "wrong", Variant("wrong", shifted, "a mutant"))
    code, text, _ = foveate(*ONE, "torchvision,wrong", "--quiet")
    assert code == 1
    told = text.replace("\n", " ")
    assert "gate wrong at 1x16x14x14: failed: output off by" in told
    assert "gate wrong at 2x20x9x7: failed: output off by" in told


def test_what_cannot_run_here_is_said_and_is_no_error(foveate):
    code, text, _ = foveate(*ONE, "torchvision,deformops", "--quiet")
    assert code == 0
    assert "not run: " in text and "CUDA only" in text.replace("\n", " ")


def test_ctrl_c_shows_the_finished_rows_and_ends_with_130(foveate, monkeypatch, tmp_path):
    real, calls = session_module.compete, []

    def compete(*arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(session_module, "compete", compete)
    code, text, error = foveate(*ONE, "torchvision", "--out", tmp_path / "r.json", "--quiet")
    assert code == 130
    assert "16x14x14" in text and "20x9x7" not in text
    assert "interrupted; the 6 rows above are all that was finished" in error
    assert f"6 rows in {tmp_path / 'r.json.partial'}" in text.replace("\n", "")
    assert len(json.loads((tmp_path / "r.json.partial").read_text())["rows"]) == 6


def test_explain_names_the_chosen_backends_and_times_nothing(foveate):
    code, text, _ = foveate("bench", "--explain", "--dtype", "float32,bfloat16")
    assert code == 0
    for word in ("deform_conv2d", "deform_gate", "chosen", "reference", "bfloat16"):
        assert word in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gat"], "bench expects a known suite; got 'gat'; did you mean 'gate'"),
        (["gate", "--vs", "torchvison"], "did you mean 'torchvision'"),
        (["gate", "--dtype", "float16"], "did you mean 'bfloat16' or 'float32'"),
        (["gate", "--explain", "--dtype", "int"], "known --dtype"),
        (["gate", "--cases", "7x7"], "matches a case of gate; got 7x7; known: 1x256x56x56"),
        (["gate", "--device", "gpu"], "known --device"),
        (["gate", "--device", "cuda"], "a CUDA device for --device cuda; got none"),
    ],
)
def test_wrong_arguments_are_named(foveate, words, message):
    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    code, _, error = foveate("bench", *words)
    assert code == 1
    assert message in error


def test_wrong_usage_ends_with_two(foveate):
    assert foveate("bench", "--threads", "0")[0] == 2
    assert foveate("bench", "--repeat", "none")[0] == 2


def test_help_shows_an_example(foveate):
    code, text, _ = foveate("bench", "--help")
    assert code == 0
    assert "Example:" in text and "foveate bench gate memory --threads 2 --repeat 2" in text


def test_the_default_file_lies_in_the_results_folder_if_there_is_one(tmp_path, monkeypatch):
    from foveate.cli.bench import _default_path

    monkeypatch.chdir(tmp_path)
    assert _default_path(["gate"], "cpu").parent.name == ""
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    path = _default_path(["gate", "memory"], "cpu")
    assert path.parent.name == "results" and path.name.startswith("all--")
