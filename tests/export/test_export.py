"""Files of other runtimes: what they hold, that they agree with PyTorch, and what is refused."""

import json
import os
import subprocess
import sys

import pytest
import torch
from exporting import files, images, tiny
from torch import nn

from foveate.core.files import write_json
from foveate.export import LIMITS, Preparation, Subject, export_model, load_exported
from foveate.export import check as checking
from foveate.export.program import trace
from foveate.export.record import record_path
from support import assert_same

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("torchvision")

ORT = """
import json, sys
import numpy as np, onnxruntime
file, given = sys.argv[1:]
session = onnxruntime.InferenceSession(file)
told = json.load(open(file + ".json"))
out = session.run(told["outputs"], {told["input"]["name"]: np.load(given)})[0]
assert not {"torch", "foveate"} & set(sys.modules)
print(json.dumps(out.tolist()))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """One ONNX file with open axes; tracing is what takes its time."""
    folder = tmp_path_factory.mktemp("exported")
    about = Subject("tiny", "das", None, ("a", "b", "c", "d"), Preparation(17, (0.5,), (0.2,)))
    return export_model(tiny(), folder / "net", images(), subject=about, names=["logits"])


def test_an_onnx_file_runs_without_torch_and_without_this_package(exported, tmp_path):
    import numpy as np

    x = images(3, 19, 30)
    np.save(tmp_path / "x.npy", x.numpy())
    environment = {**os.environ, "PYTHONPATH": ""}
    words = [sys.executable, "-c", ORT, str(exported.file), str(tmp_path / "x.npy")]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert_same(torch.tensor(json.loads(done.stdout)), tiny()(x))


def test_the_graph_holds_one_native_node_and_open_axes(exported):
    import onnx

    model = onnx.load(exported.file)
    onnx.checker.check_model(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("DeformConv") == 1 and "GridSample" not in kinds
    assert {one.version for one in model.opset_import if one.domain == ""} == {20}
    axes = model.graph.input[0].type.tensor_type.shape.dim
    assert [one.dim_param or one.dim_value for one in axes] == ["batch", 3, "height", "width"]
    assert not (exported.file.parent / "net.onnx.data").exists()


def test_the_record_says_how_to_feed_it(exported):
    told = json.loads((exported.file.parent / "net.onnx.json").read_text())
    assert told["input"] == {
        "name": "images",
        "shape": ["batch", 3, "height", "width"],
        "layout": "NCHW, RGB",
        "dtype": "float32",
    }
    assert told["preparation"] == {"size": 17, "mean": [0.5], "std": [0.2], "resize": None}
    assert (told["classes"], told["outputs"]) == (["a", "b", "c", "d"], ["logits"])
    assert (told["deform"], told["precision"], told["runtime"]) == ("deformconv", "float32", "onnx")
    assert told["check"]["relative"] == exported.check.relative <= told["check"]["limit"] == 1e-4
    assert told["check"]["images"] == "seeded noise" and told["latency"] == "not measured"
    assert told["versions"]["onnxruntime"]


def test_it_is_checked_on_several_batches_and_sizes(exported):
    shapes = [one.shape for one in exported.check.cases]
    assert shapes == [(1, 3, 17, 22), (3, 3, 49, 22), (2, 3, 28, 46)]
    assert 0 < exported.check.absolute < 1e-4 and exported.check.agree == 1


def test_a_loaded_file_gives_what_the_network_gives(exported):
    run = load_exported(exported.file, threads=1)
    x = images(2, 21, 18)
    assert run.outputs == ("logits",) and run.precision == "float32"
    assert_same(run(x)[0], tiny()(x))
    with pytest.raises(ValueError, match=r"ONNX Runtime .* expects images that the exported"):
        run(torch.zeros(1, 4, 9, 9))


@pytest.mark.parametrize(
    ("to", "options"),
    [
        ("torch-export", {"deform": "deformconv"}),
        ("onnx", {"deform": "gridsample", "opset": 18}),
        ("onnx", {"half": True}),
        ("openvino", {"deform": "deformconv"}),
    ],
)
def test_each_runtime_agrees_with_fixed_axes(to, options, tmp_path):
    if to == "openvino":
        pytest.importorskip("openvino")
    net, x = tiny(), images(2)
    done = export_model(net, tmp_path / "net", x, to=to, dynamic=(), **options)
    want = "float16" if options.get("half") else "float32"
    assert done.record["precision"] == want and done.check.limit == LIMITS[want]
    assert done.record["deform"] == options.get("deform", "deformconv")
    assert [one.shape for one in done.check.cases] == [(2, 3, 17, 22)]
    got = load_exported(done.file)(x)[0]
    assert_same(got, net(x), limit=1e-2 if want == "float16" else None)
    assert set(files(tmp_path)) == {one.name for one in done.files}
    assert next(net.parameters()).dtype == torch.float32


class Broken(nn.Module):
    """A network whose traced graph differs from it: the check's reason to exist."""

    def __init__(self):
        super().__init__()
        self.net = tiny("se")

    def forward(self, x):
        out = self.net(x)
        return out + 1e-3 if torch.compiler.is_exporting() else out


@pytest.mark.parametrize("to", ["onnx", "torch-export"])
def test_a_difference_over_the_limit_leaves_no_file(to, tmp_path):
    with pytest.raises(ValueError, match="expects outputs within 1e-04 of PyTorch's; got"):
        export_model(Broken().eval(), tmp_path / "net", images(2), to=to, dynamic=())
    assert files(tmp_path) == []
    done = export_model(
        Broken().eval(), tmp_path / "net", images(2), to="torch-export", dynamic=(), check=False
    )
    assert done.check is None and done.record["check"] == "not run"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_result_that_is_no_number_does_not_pass(bad):
    net, x = tiny(), images(2)

    def runner(batch):
        out = net(batch).detach().clone()
        out[-1, -1] = bad
        return (out,)

    found = checking.compare(net, runner, [x, x[:1]], limit=1e-4, images="noise")
    assert not found.passed

    def short(batch):
        return (net(batch).detach()[:, :2],)

    assert not checking.compare(net, short, [x], limit=1e-4, images="noise").passed


@pytest.mark.parametrize("moment", ["write", "check"])
def test_ctrl_c_leaves_no_file(moment, tmp_path, monkeypatch):
    from foveate.export import export, torch_export

    def stop(*_, **__):
        raise KeyboardInterrupt

    if moment == "write":
        monkeypatch.setattr(torch_export, "write", stop)
    else:
        monkeypatch.setattr(export, "compare", stop)
    with pytest.raises(KeyboardInterrupt):
        export_model(tiny("se"), tmp_path / "net", images(2), to="torch-export", dynamic=())
    assert files(tmp_path) == []


def test_what_is_there_stays_unless_it_is_forced(tmp_path):
    (tmp_path / "net.pt2").write_text("mine")
    options = {"to": "torch-export", "dynamic": (), "check": False}
    with pytest.raises(FileExistsError, match=r"net\.pt2'; choose another name, or pass --force"):
        export_model(tiny("se"), tmp_path / "net", images(2), **options)
    assert (tmp_path / "net.pt2").read_text() == "mine" and files(tmp_path) == ["net.pt2"]
    export_model(tiny("se"), tmp_path / "net", images(2), force=True, **options)
    assert files(tmp_path) == ["net.pt2", "net.pt2.json"]


def test_what_lies_beside_the_file_stays_too(tmp_path):
    for beside, to in (
        ("net.bin", "openvino"),
        ("net.xml.json", "openvino"),
        ("net.pt2.json", "torch-export"),
    ):
        (tmp_path / beside).write_text("mine")
        with pytest.raises(FileExistsError, match=beside):
            export_model(tiny("se"), tmp_path / "net", images(2), to=to, dynamic=())
        assert (tmp_path / beside).read_text() == "mine"
        (tmp_path / beside).unlink()
    (tmp_path / "net.pt2.json").mkdir()
    with pytest.raises(IsADirectoryError, match=r"net\.pt2\.json"):
        export_model(tiny("se"), tmp_path / "net", images(2), to="torch-export", force=True)


def test_what_cannot_be_run_is_refused_at_once(tmp_path):
    def export(model=None, example=None, **options):
        options = {"to": "torch-export", "dynamic": (), **options}
        given = images(2) if example is None else example
        return export_model(model or tiny("se"), tmp_path / "net", given, **options)

    with pytest.raises(ValueError, match="takes images of 2 x 1 x 17 x 22"):
        export(example=images(2)[:, :1])
    with pytest.raises(TypeError, match=r"an example in float32; got torch\.float64"):
        export(example=images(2).double())
    with pytest.raises(ValueError, match=r"images \(N, C, H, W\), one or more"):
        export(images=images(2)[:0])
    with pytest.raises(ValueError, match=r"images \(N, C, H, W\), one or more"):
        export(images=images(1)[0])
    with pytest.raises(TypeError, match="an unwrapped model; got DataParallel"):
        export(torch.nn.DataParallel(tiny("se")))
    assert files(tmp_path) == []


def test_a_name_is_opened_by_what_wrote_it(tmp_path):
    done = export_model(
        tiny("se"), tmp_path / "n.aoti.pt2", images(2), to="torch-export", dynamic=(), check=False
    )
    assert done.file.name == "n.aoti.pt2.pt2"
    x = images(2)
    assert torch.allclose(load_exported(done.file)(x)[0], tiny("se")(x), atol=1e-5)
    for wrong in ({"dtype": "floot16"}, {"outputs": 5}, {"dtype": []}):
        write_json(record_path(done.file), {**done.record, **wrong})
        with pytest.raises(ValueError, match="in the JSON beside it"):
            load_exported(done.file)


def test_an_opset_without_deformconv_is_refused_with_the_way_round(tmp_path):
    with pytest.raises(
        ValueError, match=r"opset of 19 or more for DeformConv; got 18; .*gridsample"
    ):
        export_model(tiny(), tmp_path / "net", images(2), dynamic=(), opset=18)
    with pytest.raises(ValueError, match="opset from 18 to"):
        export_model(tiny("se"), tmp_path / "net", images(2), dynamic=(), opset=11)
    assert files(tmp_path) == []


class Square(nn.Module):
    """Bound to the size of its images."""

    def forward(self, x):
        return x.reshape(-1, 3 * 17 * 22)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"to": "onxx"}, ValueError, "did you mean 'onnx'"),
        ({"to": "aoti", "deform": "deformconv"}, ValueError, "one of gridsample, gather for AOTI"),
        ({"dynamic": ("sizes",)}, ValueError, "did you mean 'size'"),
        ({"example": torch.zeros(3, 8, 8)}, ValueError, r"example \(N, C, H, W\)"),
        ({"names": ["a", "b"]}, ValueError, "1 names of outputs"),
        ({"model": tiny("se").double()}, TypeError, "network in float32; got .* in torch.float64"),
        ({"model": Square()}, ValueError, "--dynamic batch, or fix every shape: --fixed"),
    ],
)
def test_what_cannot_be_is_one_clear_error(change, error, said, tmp_path):
    options = {"to": "torch-export", "dynamic": ("batch", "size"), **change}
    model, example = options.pop("model", tiny("se")), options.pop("example", images(2))
    with pytest.raises(error, match=said):
        export_model(model, tmp_path / "net", example, **options)
    assert files(tmp_path) == []


def test_a_detector_is_told_to_hand_over_its_backbone():
    class Lists(nn.Module):
        def forward(self, x):
            return [{"boxes": x}]

    with pytest.raises(TypeError, match="of a detector export the backbone"):
        trace(Lists(), images())


def test_a_file_of_no_runtime_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.onnx, \.xml, \.pt2, \.aoti\.pt2"):
        load_exported(tmp_path / "net.bin")
    with pytest.raises(FileNotFoundError, match="an exported file"):
        load_exported(tmp_path / "net.onnx")
    (tmp_path / "net.pt2").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"a readable torch\.export file"):
        load_exported(tmp_path / "net.pt2")
    (tmp_path / "net.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="ONNX Runtime"):
        load_exported(tmp_path / "net.onnx")


def test_relu6_is_a_clamp_in_the_graph_where_nobody_else_reads_what_went_in():
    class Clamped(nn.Module):
        def forward(self, x):
            first = nn.functional.hardtanh(3 * x, -2.0, 1.5, inplace=True)
            seen = 5 * x
            nn.functional.hardtanh(seen.flatten(1), inplace=True)  # Through a view.
            return first + nn.functional.hardtanh(x) + seen

    model, given = Clamped().eval(), images(2)
    graph = trace(model, given).graph
    called = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    assert called.count("aten.clamp.default") == 2 and called.count("aten.hardtanh_.default") == 1
    assert_same(graph.module()(given)[0], model(given))
