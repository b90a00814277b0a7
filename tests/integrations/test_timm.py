"""Gated networks in timm's registry: made, listed, cut into features, saved and loaded its way."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import foveate
from foveate.surgery import inserted, set_openness_

timm = pytest.importorskip("timm")
registry = pytest.importorskip("timm.models._registry")
gated = pytest.importorskip("foveate.integrations.timm")

IMAGE = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
SCRIPTS = os.environ.get("FOVEATE_TIMM_SCRIPTS", "")


@pytest.fixture(scope="module", autouse=True)
def small():
    """A small network of timm with the gate."""
    assert gated.register("resnet10t", "das") == ["resnet10t.das"]


def made(name, seed=0, **arguments):
    torch.manual_seed(seed)
    return timm.create_model(name, **arguments).eval()


def outputs(model):
    with torch.no_grad():
        return model(IMAGE)


def same_weights(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_names_are_listed_and_the_networks_of_timm_stay_what_they_are():
    listed = timm.list_models("*das*")
    for base in gated.NETWORKS:
        assert {f"{base}_das", f"{base}_das_lite"} <= set(listed)
        assert timm.is_model(f"{base}.das") and timm.is_model(f"{base}_das")
        assert f"{base}.das" in timm.list_models(f"{base}.das*", include_tags=True)
    assert set(listed) <= set(timm.list_models(module="foveate"))
    assert "foveate" in timm.models.list_modules()
    assert timm.models.model_entrypoint("resnet50_das").__name__ == "resnet50_das"
    assert timm.list_pretrained("*das*") == []
    plain = timm.models.resnet.resnet10t
    torch.manual_seed(0)
    want = plain()
    got = made("resnet10t")
    assert same_weights(got, want) and not inserted(got)
    assert got.pretrained_cfg == want.pretrained_cfg
    assert timm.models.model_entrypoint("resnet10t").__name__ == "resnet10t"
    assert timm.get_pretrained_cfg("resnet50").hf_hub_id.startswith("timm/resnet50.")


@pytest.mark.parametrize("name", ["resnet10t.das", "resnet10t_das", "resnet10t_das.c3_in1k"])
def test_a_name_makes_the_network_with_the_attention(name):
    torch.manual_seed(0)
    want = timm.models.resnet.resnet10t(num_classes=5, in_chans=3)
    foveate.insert_(want, "das")
    got = made(name, num_classes=5)
    assert same_weights(got, want)
    assert torch.equal(outputs(got), outputs(want.eval()))
    assert got.pretrained_cfg["architecture"] == "resnet10t_das"
    assert not any(got.pretrained_cfg.get(key) for key in ("url", "hf_hub_id", "file"))


def test_the_arguments_of_timm_and_those_of_the_attention_are_kept_apart():
    model = made(
        "resnet10t.das",
        num_classes=7,
        in_chans=1,
        drop_rate=0.3,
        global_pool="max",
        where="stages@2..3",
        start="identity",
        attention_options={"alpha": 0.5},
    )
    assert list(inserted(model)) == ["layer2", "layer3"]
    assert model.drop_rate == 0.3 and model.global_pool.pool_type == "max"
    assert model(IMAGE[:, :1]).shape == (2, 7)
    wide = foveate.create_model("resnet10t", "das", "stages@2..3", start="identity", alpha=0.5)
    gates = [name for name in wide.state_dict() if "foveate" in name]
    assert [n for n in model.state_dict() if "foveate" in n] == gates
    assert all(wide.state_dict()[n].shape == model.state_dict()[n].shape for n in gates)
    model.reset_classifier(3)
    assert model(IMAGE[:, :1]).shape == (2, 3)
    bare = made("resnet10t.das", num_classes=0)
    assert bare(IMAGE).shape == (2, bare.num_features)
    assert torch.equal(bare.forward_head(bare.forward_features(IMAGE)), bare(IMAGE))


def test_what_timm_says_of_the_images_is_that_of_the_base():
    keys = ("input_size", "mean", "std", "crop_pct", "interpolation")
    want = timm.data.resolve_model_data_config(made("mobilenetv2_100"))
    got = timm.data.resolve_model_data_config(made("mobilenetv2_100.das"))
    assert {key: got[key] for key in keys} == {key: want[key] for key in keys}


@pytest.mark.parametrize("kind", [None, "dict", "hook", "getter"])
def test_features_are_the_maps_behind_the_gates(kind):
    chosen = {"feature_cls": kind} if kind else {}
    full = made("resnet10t.das")
    features = made("resnet10t.das", features_only=True, out_indices=(1, 3, 4), **chosen)
    prefix = {"hook": "body.", "getter": "model."}.get(kind, "")
    weights = {f"{prefix}{key}": value for key, value in full.state_dict().items()}
    features.load_state_dict({key: weights[key] for key in features.state_dict()})
    seen = {}
    for number in (1, 3, 4):
        stage = full.get_submodule(f"layer{number}")
        stage.register_forward_hook(lambda *three, key=number: seen.update({key: three[2]}))
    outputs(full)
    maps = outputs(features)
    maps = list(maps.values()) if isinstance(maps, dict) else maps
    assert len(maps) == 3
    assert all(map(torch.equal, maps, seen.values()))
    assert features.feature_info.channels() == [one.shape[1] for one in maps]
    foveate.remove_(features)
    shut = outputs(features)
    shut = list(shut.values()) if isinstance(shut, dict) else shut
    assert not any(map(torch.equal, maps, shut))


def test_features_of_mobilenet_are_behind_the_gates():
    features = made("mobilenetv2_100.das", features_only=True, out_indices=(2, 4))
    seen = {}
    for number in (2, 6):
        stage = features.get_submodule(f"blocks.{number}")
        stage.register_forward_hook(lambda *three, key=number: seen.update({key: three[2]}))
    maps = outputs(features)
    assert all(map(torch.equal, maps, seen.values()))
    assert {"blocks.2", "blocks.6"} <= set(inserted(features))


def test_features_by_graph_would_lose_the_gates_and_are_refused():
    with pytest.raises(ValueError, match=r"a feature_cls that runs the modules .*; got fx; take"):
        made("resnet10t.das", features_only=True, feature_cls="fx")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The published weights of the small network, in a file of this machine."""
    base = made("resnet10t", seed=5)
    save_file(base.state_dict(), tmp_path / "published.safetensors")
    for name in ("resnet10t", "resnet10t.c3_in1k"):
        config = registry._model_pretrained_cfgs[name].to_dict(remove_source=True)
        config["file"] = str(tmp_path / "published.safetensors")
        monkeypatch.setitem(
            registry._model_pretrained_cfgs, name, timm.models.PretrainedCfg(**config)
        )
    return base


@pytest.mark.parametrize("name", ["resnet10t.das", "resnet10t_das", "resnet10t_das.c3_in1k"])
def test_pretrained_loads_the_weights_of_the_base_under_closed_gates(published, name):
    model = made(name, pretrained=True)
    assert torch.equal(outputs(model), outputs(published))
    set_openness_(model, 1.0)
    assert not torch.equal(outputs(model), outputs(published))
    paper = made(name, pretrained=True, start="paper")
    assert not torch.equal(outputs(paper), outputs(published))
    assert torch.equal(paper.conv1[0].weight, published.conv1[0].weight)
    fine = made(name, pretrained=True, num_classes=4)
    assert outputs(fine).shape == (2, 4)
    assert torch.equal(fine.conv1[0].weight, published.conv1[0].weight)


def test_tags_that_the_base_has_not_are_refused():
    for name in ("resnet10t.dass", "resnet10t_das.dass"):
        with pytest.raises(RuntimeError, match="Invalid pretrained tag"):
            timm.create_model(name)


def test_weights_of_ones_own_load_with_gates_or_without(tmp_path):
    trained = made("resnet10t.das", seed=7, num_classes=5)
    save_file(trained.state_dict(), tmp_path / "own.safetensors")
    own = {"file": str(tmp_path / "own.safetensors"), "num_classes": 5}
    model = made("resnet10t.das", pretrained=True, pretrained_cfg_overlay=own, num_classes=5)
    assert same_weights(model, trained)
    # As timm's training script does it: whatever the head was, it is made anew.
    own["num_classes"] = -1
    fresh = made("resnet10t_das", pretrained=True, pretrained_cfg_overlay=own, num_classes=3)
    gates = [name for name in fresh.state_dict() if "foveate" in name]
    assert all(torch.equal(fresh.state_dict()[n], trained.state_dict()[n]) for n in gates)
    path = tmp_path / "own.safetensors"
    assert same_weights(made("resnet10t.das", num_classes=5, checkpoint_path=path), trained)


@pytest.mark.parametrize("start", ["paper", "identity"])
def test_a_folder_that_timm_wrote_is_read_by_timm(tmp_path, start):
    trained = made("resnet10t.das", seed=7, num_classes=5, start=start)
    hub = pytest.importorskip("timm.models._hub")
    hub.save_for_hf(trained, tmp_path, safe_serialization=True)
    again = made(f"local-dir:{tmp_path}", pretrained=True)
    assert same_weights(again, trained)
    assert torch.equal(outputs(again), outputs(trained))


def test_it_is_saved_and_loaded_as_any_gated_network(tmp_path):
    model = made("resnet10t.das", num_classes=5, in_chans=1, attention_options={"alpha": 0.5})
    again = foveate.load(foveate.save(model, tmp_path))
    assert torch.equal(again(IMAGE[:, :1]), model(IMAGE[:, :1]))


def test_registering_takes_patterns_and_refuses_what_it_cannot_name():
    assert gated.register("resnet14*", ["se", "das"]) == ["resnet14t.se", "resnet14t.das"]
    names = timm.list_models("*resnet14t*")
    assert gated.register(["resnet14t"], ["se", "se"]) == ["resnet14t.se"]
    assert timm.list_models("*resnet14t*") == names
    assert list(inserted(made("resnet14t.se")))
    with pytest.raises(
        ValueError, match=r"architectures of timm .*; got 'resnet14x'; did you mean"
    ):
        gated.register("resnet14x")
    with pytest.raises(ValueError, match="did you mean 'das'"):
        gated.register("resnet14t", "dass")


def test_a_name_that_timm_has_is_not_taken(monkeypatch):
    monkeypatch.setitem(registry._model_entrypoints, "resnet26_eca", timm.models.resnet.resnet26)
    with pytest.raises(ValueError, match="free in timm's registry; got resnet26_eca, which timm"):
        gated.register("resnet26", "eca")
    assert not hasattr(registry._model_entrypoints["resnet26"], "gates")


SCRIPT = """
import sys, timm, beside
model = timm.create_model(sys.argv[2])
print(__name__, sys.argv[1:], sum('foveate' in name for name in model.state_dict()) > 0)
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "count.py").write_text(SCRIPT)
    (tmp_path / "beside.py").touch()
    return str(tmp_path / "count.py")


def test_the_runner_registers_what_the_arguments_name_and_runs_the_script(
    script, monkeypatch, capsys
):
    runner = pytest.importorskip("foveate.integrations.timm.__main__")
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    runner.main([script, "--model", "resnet14t_eca.c3_in1k"])
    assert capsys.readouterr().out == "__main__ ['--model', 'resnet14t_eca.c3_in1k'] True\n"


@pytest.mark.slow
def test_the_runner_is_a_module(script):
    run = [sys.executable, "-m", "foveate.integrations.timm", script, "--model", "resnet18.das"]
    result = subprocess.run(run, capture_output=True, text=True, timeout=200)
    assert result.stdout == "__main__ ['--model', 'resnet18.das'] True\n", result.stderr


def test_the_runner_says_what_it_wants(monkeypatch):
    runner = pytest.importorskip("foveate.integrations.timm.__main__")
    with pytest.raises(SystemExit, match=r"the path of a script before its arguments; got no.py"):
        runner.main(["no.py"])
    with pytest.raises(SystemExit, match="timm's own training"):
        runner.main([])
    assert runner.register_named(["resnet18", "resnet18.a1_in1k", "x=1", "photos.zip"]) == []


@pytest.mark.slow
@pytest.mark.skipif(
    not (Path(SCRIPTS) / "train.py").is_file() or not SCRIPTS,
    reason="FOVEATE_TIMM_SCRIPTS does not name a checkout of timm: its wheel has no train.py",
)
@pytest.mark.timeout(900)
def test_the_training_and_the_validation_script_of_timm_run(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for split, count in (("train", 16), ("validation", 8)):
        for kind, red in (("dark", 40), ("light", 200)):
            (tmp_path / "data" / split / kind).mkdir(parents=True)
            for number in range(count):
                picture = image.new("RGB", (40, 40), (red, 90, 5 * number))
                picture.save(tmp_path / "data" / split / kind / f"{number}.png")
    python = [sys.executable, "-m", "foveate.integrations.timm"]
    common = ["--num-classes", "2", "--input-size", "3", "64", "64", "-b", "8", "--workers", "0"]
    common += ["--device", "cpu", "--model", "resnet10t.das"]

    def run(script, *words):
        command = [*python, str(Path(SCRIPTS) / script), str(tmp_path / "data"), *words, *common]
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, timeout=600, check=False
        )
        assert result.returncode == 0, result.stderr[-2000:]
        return result.stdout + result.stderr

    run("train.py", "--epochs", "1", "--warmup-epochs", "0", "--output", "out", "--experiment", "e")
    best = tmp_path / "out" / "e" / "model_best.pth.tar"
    kept = torch.load(best, weights_only=False)["state_dict"]
    fresh = made("resnet10t.das", num_classes=2)
    assert set(kept) == set(fresh.state_dict())
    gate = next(n for n in kept if "foveate" in n and kept[n].dim() == 4)
    assert not torch.equal(kept[gate], fresh.state_dict()[gate])
    run("validate.py", "--checkpoint", str(best), "--results-file", "found.csv")
    with (tmp_path / "found.csv").open() as file:
        (found,) = csv.DictReader(file)
    assert found["model"] == "resnet10t.das" and float(found["param_count"]) == 5.67
