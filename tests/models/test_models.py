"""Networks by name, their stems and widths, saving and loading."""

import json

import pytest
import torch

import foveate
from foveate.models import list_models, stage_modules, widen_to
from foveate.surgery import inserted, set_openness_
from support import assert_same


def make(**kwargs):
    arguments = {"num_classes": 4, **kwargs}
    return foveate.create_model("resnet10t", **arguments).eval()


def test_attentions_go_to_the_site_of_their_own_paper():
    assert list(inserted(make(attention="das"))) == ["layer1", "layer2", "layer3", "layer4"]
    assert list(inserted(make(attention="se"))) == [f"layer{i}.0.bn2" for i in (1, 2, 3, 4)]
    assert inserted(make(attention="none")) == {}
    gated = make(attention="das", where=["layer4"], alpha=0.1)
    assert inserted(gated)["layer4"].squeezed == 51


def test_the_small_stem_keeps_a_map():
    x = torch.rand(2, 3, 32, 32)
    model = foveate.create_model("resnet18", "das", num_classes=4, stem="small").eval()
    assert model.forward_features(x).shape == (2, 512, 4, 4)
    assert make(stem="small", attention="das")(x).shape == (2, 4)
    vision = foveate.create_model("torchvision/resnet18", stem="small")
    assert vision.conv1.stride == (1, 1)
    with pytest.raises(ValueError, match="conv1 and maxpool"):
        foveate.create_model("vgg11", stem="small")
    # 32 pixels through the usual stem end in one pixel, where the gate is undefined.
    small = torch.zeros(1, 3, 32, 32)
    with pytest.raises(ValueError, match=r"2 pixels; got 1x1 at layer4; .*small-image stem"):
        foveate.create_model("resnet18", "das", example=small)
    with pytest.raises(ValueError, match="2 pixels; got 1x1 at layer4"):
        foveate.insert_(foveate.create_model("resnet18"), example=torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize("name", ["resnet18", "torchvision/resnet50"])
def test_a_control_of_equal_size_is_found(name):
    with torch.device("meta"):
        gated = foveate.create_model(name, "das")
    wanted = sum(w.numel() for w in gated.parameters())
    width = widen_to(name, wanted)
    wide = sum(w.numel() for w in foveate.create_model(name, width=width).parameters())
    assert abs(wide - wanted) / wanted < 0.01
    assert width > 1
    with pytest.raises(ValueError, match="a family with a width"):
        widen_to("vgg11", 10_000_000)


@pytest.mark.parametrize("name", foveate.list_attentions())
def test_saved_models_come_back_equal(tmp_path, name):
    model = make(attention=name, start="identity")
    set_openness_(model, 0.7)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.01)
    foveate.save(model, tmp_path / "model")
    loaded = foveate.load(tmp_path / "model")
    x = torch.rand(2, 3, 64, 64)
    assert not loaded.training
    assert torch.equal(loaded(x), model(x))
    stored = json.loads((tmp_path / "model" / "model.json").read_text())
    assert [one["attention"] for one in stored["insertions"]] == [name]


def test_every_type_comes_back_as_it_was_saved(tmp_path):
    model = make(attention="se").double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1e-12)
    model.conv1[0].half()
    foveate.save(model, tmp_path)
    loaded = foveate.load(tmp_path)
    assert loaded.conv1[0].weight.dtype == torch.float16
    state = loaded.state_dict()
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert {key: v.dtype for key, v in state.items()} == {
        key: v.dtype for key, v in model.state_dict().items()
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ge", {"mode": "theta"}),  # weights of the map's size
        ("das", {"ln_axes": "chw"}),
        ("splat", {}),  # weights of the network that stand aside
        ("dcnv2", {}),
        ("emca", {}),
    ],
)
def test_what_depends_on_its_place_comes_back_there(tmp_path, name, options):
    image = torch.rand(2, 3, 96, 64)
    model = make(attention=name, example=image[:1], **options).eval()
    foveate.save(model, tmp_path)
    loaded = foveate.load(tmp_path)
    assert torch.equal(loaded(image), model(image))
    stored = json.loads((tmp_path / "model.json").read_text())["insertions"][0]
    assert stored["example"] == [[1, 3, 96, 64]]


def test_damaged_and_foreign_files_are_refused(tmp_path):
    model = make(attention="das")
    foveate.save(model, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"a folder with model\.json"):
        foveate.load(tmp_path / "nowhere")
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ValueError, match=r"a readable model\.safetensors"):
        foveate.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(weights)
    text = (tmp_path / "model.json").read_text()
    for broken, message in (
        (text[:40], "a readable model.json"),
        (text.replace('"format": 2', '"format": 9'), "format 1 or 2; got 9"),
        (text.replace('"num_classes": 4', '"num_classes": 5'), "weights that fit"),
        (text.replace("resnet10t", "resnet10x"), "did you mean"),
    ):
        (tmp_path / "model.json").write_text(broken)
        with pytest.raises(ValueError, match=message):
            foveate.load(tmp_path)
    with pytest.raises(ValueError, match=r"made by foveate\.create_model"):
        foveate.save(torch.nn.Conv2d(3, 3, 3), tmp_path)


def test_weights_without_gates_do_not_pass_for_a_gated_network(tmp_path):
    foveate.save(make(), tmp_path / "plain")
    foveate.save(make(attention="das"), tmp_path / "gated")
    plain = (tmp_path / "plain" / "model.safetensors").read_bytes()
    (tmp_path / "gated" / "model.safetensors").write_bytes(plain)
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or belongs to another"):
        foveate.load(tmp_path / "gated")


def test_half_precision_comes_back_as_it_was(tmp_path):
    model = make(attention="das").bfloat16()
    foveate.save(model, tmp_path)
    x = torch.rand(2, 3, 64, 64).bfloat16()
    assert torch.equal(foveate.load(tmp_path)(x), model(x))


def test_a_full_disk_leaves_the_previous_model(tmp_path, monkeypatch):
    model = make()
    foveate.save(model, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        foveate.save(make(attention="das"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_stage_modules_end_with_the_gate():
    model = make(attention="das")
    x = torch.rand(1, 3, 64, 64)
    last = stage_modules(model)[-1]
    seen = []
    model.get_submodule(last).register_forward_hook(lambda _m, _a, out: seen.append(out))
    features = model.forward_features(x)
    assert_same(seen[0], features)


def test_unknown_names_list_the_near_ones():
    with pytest.raises(ValueError, match="did you mean 'resnet18'"):
        foveate.create_model("resnet-18")
    with pytest.raises(ValueError, match="did you mean 'resnet18'"):
        foveate.create_model("torchvision/resnt18")
    with pytest.raises(TypeError, match="attention as a string"):
        make(attention=torch.nn.BatchNorm2d)
    with pytest.raises(ValueError, match="known stem"):
        make(stem="tiny")
    with pytest.raises(ValueError, match="options only with an attention"):
        make(alpha=0.1)
    with pytest.raises(ValueError, match="width=1 with pretrained"):
        make(pretrained=True, width=1.1)
    assert "torchvision/resnet18" in list_models("*resnet18")
