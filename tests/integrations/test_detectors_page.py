"""What docs/detectors.md says of one's own detector is run, in its order."""

import contextlib
import io
import sys

import pytest
import torch
from detectors_page import FILES, SNIPPETS
from safetensors.torch import load_model, save_model

import foveate


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The names that the page has made when it ends, and what each snippet printed."""
    names, printed = {}, []
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        for code in SNIPPETS:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(code, "docs/detectors.md", "exec"), names)
            printed.append(out.getvalue())
    return names, printed


def after(page, words):
    """What the snippet that holds ``words`` printed."""
    return page[1][next(n for n, code in enumerate(SNIPPETS) if words in code)]


def test_an_identity_start_changes_no_detection(page):
    printed = after(page, "fasterrcnn_resnet50_fpn")
    assert "inserted das at 4 sites of IntermediateLayerGetter" in printed
    assert printed.endswith("True\n")
    assert len(page[0]["before"]["boxes"]) > 0


def test_the_plain_detector_is_gated_at_its_levels(page):
    printed = after(page, "class Yolo")
    assert "would insert das at 4 sites of Yolo" in printed
    assert printed.endswith("True\n")
    assert list(foveate.surgery.inserted(page[0]["yolo"])) == ["p3", "p4", "p5"]


def test_every_level_passes_a_gate_but_the_smallest_of_ssd(page):
    assert after(page, "levels_that_move") == "".join(
        f"{moved}\n" for moved in ([True] * 5, [True] * 5, [True] * 6, [True] * 3)
    )


def test_a_stage_end_misses_a_level_of_ssd_as_the_page_says(page):
    network, example = page[0]["ssd"].backbone, page[0]["example"]
    paths = foveate.surgery.stage_ends(network, example).values()
    assert "features.22" in paths
    assert not any(path.startswith("extra.0") for path in paths)


def test_both_phases_train_what_they_say(page):
    names = page[0]
    losses = [float(after(page, "def step")[:-1].splitlines()[n]) for n in (0, 1)]
    assert all(loss > 0 for loss in losses)
    assert len(names["first"].param_groups[1]["params"]) >= 4
    decays = {
        id(weight): group["weight_decay"]
        for group in names["second"].param_groups
        for weight in group["params"]
    }
    openness = [w for n, w in names["detector"].named_parameters() if n.endswith("openness")]
    assert [decays[id(weight)] for weight in openness] == [0.0] * 4
    # The gates learned in the first phase already, the rest in the second.
    assert all(weight.item() != pytest.approx(0.1, abs=1e-9) for weight in openness)
    assert "4 gates in the average" in after(page, "AveragedModel")


def test_what_was_saved_comes_back_and_an_older_file_loads(page, tmp_path):
    names = page[0]
    state, again = names["yolo"].state_dict(), names["again"].state_dict()
    assert all(torch.equal(again[key], state[key]) for key in state)
    older = names["Yolo"]()
    save_model(older, str(tmp_path / "older.safetensors"))
    assert load_model(names["again"], str(tmp_path / "older.safetensors")) == (set(), [])
    foveate.insert_(older, "das", ["p3"], start="identity")
    save_model(older, str(tmp_path / "other.safetensors"))
    with pytest.raises(RuntimeError, match="Missing key"):
        load_model(names["again"], str(tmp_path / "other.safetensors"))


def test_compiled_networks_are_refused(page):
    assert "insert or remove first, then wrap or compile" in after(page, "yolo.compile")


def test_gates_fit_the_outputs_of_a_pyramid(page):
    where = ["fpn.layer_blocks.?"]
    example = torch.zeros(1, 3, 64, 64)
    done = foveate.plan(page[0]["detector"].backbone, "das", where, example=example)
    assert len(done.sites) == 4


def test_the_stand_in_for_compiled_operators_finds_boxes_and_says_what_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "mmcv._ext", None)
    monkeypatch.delitem(sys.modules, "mmcv._ext")
    exec(compile(FILES["mmcv_ops.py"], "mmcv_ops.py", "exec"), {"__name__": "mmcv_ops"})
    operators = sys.modules["mmcv._ext"]
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
    kept = operators.nms(boxes, torch.tensor([0.5, 0.9, 0.3]), iou_threshold=0.7, offset=0)
    assert kept.tolist() == [1, 2]
    assert operators.__spec__.name == "mmcv._ext" and not hasattr(operators, "__path__")
    with pytest.raises(NotImplementedError, match="operator softnms is not installed"):
        operators.softnms(boxes)


@pytest.mark.slow
def test_the_compiled_detector_is_the_plain_one(page):
    names = page[0]
    want = names["again"](names["picture"])
    got = names["yolo"](names["picture"])
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
