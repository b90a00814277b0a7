"""Any inserted network comes back from its folder, in another process, bit for bit."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import nets_of_others
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import foveate
from foveate.surgery import inserted, set_openness_
from support import TinyResNet

HERE = Path(__file__).parent
SMALL = torch.zeros(1, 3, 64, 64)
MAKE_NET = "nets_of_others:make_net"


def shaken(model):
    """Move every weight and statistic off its start, the gates' openness too."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator).to(tensor)
                tensor.mul_(1 + 0.1 * noise).add_(0.01 * noise)
    return model.eval()


def identity():
    model = foveate.create_model("resnet18", "das", start="identity", num_classes=4, width=0.25)
    set_openness_(model, 0.6)
    return model, {}


def mobile():
    model = foveate.create_model("mobilenetv2_050", "se", num_classes=4)
    return model, {}


def twice():
    model = foveate.create_model("resnet10t", "das", "block_input", num_classes=4, width=0.25)
    foveate.insert_(model, "se", "post_norm", example=SMALL)
    foveate.insert_(model, "eca", "blocks", position="before", example=SMALL, kernel=3)
    foveate.remove_(model.layer2)
    foveate.insert_(model.layer2[0], "cbam", ["conv2"], example=torch.zeros(1, 16, 16, 16))
    return model, {}


def foreign():
    model = nets_of_others.make_net(width=6, classes=5)
    foveate.insert_(model, "das", ["first.1", "sec*"], example=SMALL)
    return model, {"base": MAKE_NET, "base_kwargs": {"width": 6, "classes": 5}}


def replaced():
    model = foveate.create_model("resnet10t", num_classes=4, width=0.25)
    foveate.insert_(model, "dcnv2", "replace_conv2:last@-1", example=SMALL)
    foveate.insert_(model, "dcn", "replace_conv2@2", start="identity", example=SMALL)
    return model, {}


def second_order():
    model = foveate.create_model("resnet18", "gsop", network="net2", num_classes=4, width=0.25)
    return model, {}


def memory():
    model = foveate.create_model("resnet18", "emca", num_classes=4, width=0.25)
    return model, {}


def by_name():
    import timm

    model = timm.create_model("resnet10t", num_classes=4)
    foveate.insert_(model, "triplet", example=SMALL)
    return model, {"base": "resnet10t", "base_kwargs": {"num_classes": 4}}


CASES = (identity, mobile, twice, foreign, replaced, second_order, memory, by_name)

FRESH = """
import sys
from pathlib import Path
import torch, foveate
from safetensors.torch import load_file, save_file
torch.set_num_threads(1)
root = Path(sys.argv[1])
x = load_file(root / "image.safetensors")["x"]
found = {}
for case in sys.argv[2:]:
    trust = "nets_of_others:make_net" if case == "foreign" else ()
    found[case] = foveate.load(root / case, trust=trust)(x).detach()
save_file(found, root / "found.safetensors")
"""


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory):
    """The outputs of every case, here and in a fresh process that has only its folders."""
    root = tmp_path_factory.mktemp("saved")
    torch.manual_seed(5)
    x = torch.rand(2, 3, 64, 64)
    save_file({"x": x}, root / "image.safetensors")
    here = {}
    for case in CASES:
        model, arguments = case()
        foveate.save(shaken(model), root / case.__name__, **arguments)
        here[case.__name__] = model(x).detach()
    command = [sys.executable, "-c", FRESH, str(root), *here]
    paths = os.pathsep.join([str(HERE), str(Path(foveate.__file__).parents[1])])
    alone = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, env=alone)
    assert done.returncode == 0, done.stderr
    return root, here, load_file(root / "found.safetensors")


@pytest.mark.parametrize("case", [case.__name__ for case in CASES])
def test_a_fresh_process_computes_the_same_bits(everywhere, case):
    _, here, there = everywhere
    assert torch.equal(there[case], here[case])
    assert there[case].abs().sum() > 0


def test_the_folder_says_what_it_holds(everywhere):
    root = everywhere[0]
    tree = json.loads((root / "twice" / "model.json").read_text())
    assert (tree["format"], tree["foveate"]) == (2, foveate.__version__)
    assert tree["model"]["name"] == "resnet10t"
    assert [one["attention"] for one in tree["insertions"]] == ["das", "cbam", "se", "eca"]
    before = tree["insertions"][3]
    assert (before["position"], before["options"]) == ("before", {"kernel": 3})
    assert [site["path"] for site in before["sites"]] == ["layer1.0", "layer3.0", "layer4.0"]
    assert tree["insertions"][1]["sites"][0]["path"] == "layer2.0.conv2"
    weights = (root / "twice" / "model.safetensors").read_bytes()
    assert tree["weights"]["bytes"] == len(weights)
    assert {"torch", "timm"} <= set(tree["versions"])


def test_what_was_loaded_can_be_saved_copied_and_emptied(everywhere, tmp_path):
    root, here, _ = everywhere
    x = load_file(root / "image.safetensors")["x"]
    for case in ("twice", "memory", "replaced", "foreign"):
        model = foveate.load(root / case, trust=MAKE_NET)
        foveate.save(copy.deepcopy(model), tmp_path / case)
        again = foveate.load(tmp_path / case, trust=MAKE_NET)
        assert torch.equal(again(x), here[case])
        texts = [(where / case / "model.json").read_text() for where in (root, tmp_path)]
        assert texts[0] == texts[1]
        foveate.remove_(again)
        assert inserted(again) == {}


def test_only_the_same_shared_memory_is_shared_again(tmp_path):
    model, _ = memory()
    foveate.save(model, tmp_path)
    found = inserted(foveate.load(tmp_path)).values()
    assert len({id(one.memory) for one in found}) == 1
    tree = json.loads((tmp_path / "model.json").read_text())
    assert {s["fitted"]["memory"] for one in tree["insertions"] for s in one["sites"]} == {0}


def test_types_layouts_and_what_is_frozen_come_back(tmp_path):
    model = foveate.create_model("resnetblur18", "se", num_classes=4)
    model.to(memory_format=torch.channels_last).double()
    model.conv1.weight.requires_grad_(False)
    model.layer1[0].bn2.foveate.attention.layer.fc1.bias.requires_grad_(False)
    model.fc.half()
    foveate.save(shaken(model), tmp_path)
    loaded = foveate.load(tmp_path)
    for name, value in model.state_dict(keep_vars=True).items():
        other = loaded.state_dict(keep_vars=True)[name]
        assert torch.equal(other, value) and other.dtype == value.dtype
        assert other.stride() == value.stride()
        assert other.requires_grad == value.requires_grad
    # A filter of this network is no weight, and follows its type all the same.
    filters = [name for name, _ in model.named_buffers() if name not in model.state_dict()]
    assert filters
    for name in filters:
        assert loaded.get_buffer(name).dtype == torch.float64
    assert not any(module.training for module in loaded.modules())


def test_tied_weights_stay_tied_and_are_stored_once(tmp_path):
    model = nets_of_others.make_net(tied=True)
    foveate.insert_(model, "se", ["first"], example=SMALL)
    arguments = {"base": nets_of_others.make_net, "base_kwargs": {"tied": True}}
    foveate.save(shaken(model.half()), tmp_path, **arguments)
    loaded = foveate.load(tmp_path, trust=[MAKE_NET])
    assert loaded.second[0].weight is loaded.first_twin
    assert loaded.alias is loaded.second
    names = load_file(tmp_path / "model.safetensors")
    assert sum(value.shape == (8, 8, 3, 3) for value in names.values()) == 1
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True)
    )


def test_the_caller_may_hand_the_network_over(tmp_path):
    model = TinyResNet()
    foveate.insert_(model, "das", "blocks", start="identity", example=SMALL)
    x = torch.rand(2, 3, 16, 16)
    want = shaken(model)(x)
    with pytest.raises(ValueError, match=r"create_model, or base=; got TinyResNet; pass base="):
        foveate.save(model, tmp_path)
    foveate.save(model, tmp_path, base="given")
    with pytest.raises(ValueError, match=r"attentions and weights of a TinyResNet alone"):
        foveate.load(tmp_path)
    for base in (TinyResNet(), TinyResNet, lambda: TinyResNet(), copy.deepcopy(model)):
        assert torch.equal(foveate.load(tmp_path, base=base)(x), want)
    with pytest.raises(ValueError, match=r"weights that fit model\.json; got stem\.weight"):
        foveate.load(tmp_path, base=TinyResNet(width=8))
    with pytest.raises(ValueError, match="modules of Plain"):
        foveate.load(tmp_path, base=nets_of_others.Plain)


def test_nothing_is_imported_without_consent(tmp_path):
    model = nets_of_others.make_net()
    foveate.insert_(model, "se", ["first"], example=SMALL)
    foveate.save(model, tmp_path, base=MAKE_NET)
    called = len(nets_of_others.CALLS)
    for trust in (
        (),
        "nets_of_others:Plain",
        ["nets_of_others", MAKE_NET + ".x"],
        "nets_of_others",
    ):
        with pytest.raises(
            ValueError, match=r"runs the code .* pass trust='nets_of_others:make_net'"
        ):
            foveate.load(tmp_path, trust=trust)
    assert len(nets_of_others.CALLS) == called
    foveate.load(tmp_path, trust=MAKE_NET)
    foveate.load(tmp_path, base=nets_of_others.make_net)
    assert len(nets_of_others.CALLS) == called + 2


def test_what_cannot_be_rebuilt_is_refused_before_anything_is_written(tmp_path):
    model = nets_of_others.make_net(width=4)
    foveate.insert_(model, "se", ["first"], example=SMALL)
    refused = [
        ({"base": MAKE_NET}, "its base and its insertions rebuild; got first.0.weight"),
        ({"base": "nets_of_others:not_a_net"}, "returns a torch.nn.Module; got str"),
        ({"base": "nets_of_others:NUMBER"}, "something to call"),
        ({"base": "__main__:make"}, "other processes find"),
        ({"base": "a b:c"}, "an import path"),
        ({"base": "resnet18", "base_kwargs": {"pretrained": True}}, "got 'pretrained'"),
        ({"base": "resnet1"}, "did you mean"),
        ({"base": "given", "base_kwargs": {"width": 4}}, "no base_kwargs"),
        ({"base_kwargs": {"width": 4}}, "together with base"),
    ]
    for arguments, words in refused:
        with pytest.raises(ValueError, match=words):
            foveate.save(model, tmp_path / "model", **arguments)
    with pytest.raises(ImportError, match="nothing of that name"):
        foveate.save(model, tmp_path / "model", base="nets_of_others:nothing")
    with pytest.raises(TypeError, match=r"base_kwargs\) expects texts"):
        foveate.save(model, tmp_path / "model", base=MAKE_NET, base_kwargs={"width": nn.ReLU})
    with pytest.raises(TypeError, match="base as a name"):
        foveate.save(model, tmp_path / "model", base=TinyResNet())
    callable_ = TinyResNet()
    foveate.insert_(callable_, nn.BatchNorm2d, "blocks", example=SMALL)
    with pytest.raises(ValueError, match="by registry name; got BatchNorm2d at layer1"):
        foveate.save(callable_, tmp_path / "model", base="given")
    with pytest.raises(TypeError, match=r"save expects an unwrapped model; got DataParallel; take"):
        foveate.save(torch.nn.DataParallel(model), tmp_path / "model", base=MAKE_NET)
    changed = foveate.create_model("resnet10t", num_classes=4, width=0.25)
    changed.fc = nn.Linear(128, 9)
    with pytest.raises(ValueError, match=r"rebuild; got fc\.weight \(9, 128\) where.*base_kwargs="):
        foveate.save(changed, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_what_was_tied_or_untied_after_building_is_refused(tmp_path):
    untied = nets_of_others.make_net(tied=True)
    untied.second[0].weight = nn.Parameter(untied.second[0].weight.detach() + 1)
    tied = nets_of_others.make_net(width=3)
    tied.second[0].weight = tied.first[0].weight
    for model, arguments in ((untied, {"tied": True}), (tied, {"width": 3})):
        with pytest.raises(ValueError, match="its base and its insertions rebuild"):
            foveate.save(model, tmp_path / "model", base=MAKE_NET, base_kwargs=arguments)
        folder = foveate.save(model, tmp_path / "given", base="given")
        with pytest.raises(ValueError, match="weights that fit"):
            foveate.load(folder, base=nets_of_others.make_net(**arguments))
        assert torch.equal(
            foveate.load(folder, base=copy.deepcopy(model)).second[0].weight,
            model.second[0].weight,
        )


def test_another_layer_of_the_same_weights_is_refused(tmp_path):
    def stride(model):
        model.layer2[0].conv1.stride = (1, 1)

    def activation(model):
        model.layer1[0].act1 = nn.SiLU()

    def epsilon(model):
        model.bn1.eps = 0.1

    for change in (stride, activation, epsilon, lambda net: net.reset_classifier(4, "max")):
        model = foveate.create_model("resnet10t", "das", num_classes=4, width=0.25)
        change(model)
        with pytest.raises(ValueError, match="its base and its insertions rebuild; got"):
            foveate.save(model, tmp_path / "model")
    model = foveate.create_model("resnet10t", "das", num_classes=4, width=0.25)
    model.layer1[0].act1.inplace, model.bn1.momentum = False, 0.2  # Not of the output.
    foveate.load(foveate.save(model, tmp_path / "model"))


def test_a_classifier_that_timm_replaced_comes_back(tmp_path):
    """Fine-tuning begins with ``reset_classifier``, after which the network says so itself."""
    model = foveate.create_model("resnet10t", "das", num_classes=4, width=0.25)
    model.reset_classifier(9)
    again = foveate.load(foveate.save(model, tmp_path / "model"))
    assert torch.equal(again.fc.weight, model.fc.weight)
    by_hand = foveate.create_model("resnet10t", "das", num_classes=4, width=0.25)
    by_hand.fc = nn.Linear(128, 9)
    kwargs = {"num_classes": 9, "width": 0.25}
    foveate.save(by_hand, tmp_path / "model", base="resnet10t", base_kwargs=kwargs)
    assert foveate.load(tmp_path / "model").fc.out_features == 9


def test_saving_and_loading_leave_the_random_state(tmp_path):
    model = foveate.create_model("resnet10t", "das", num_classes=4, width=0.25)
    torch.manual_seed(11)
    want = torch.rand(3)
    torch.manual_seed(11)
    foveate.save(model, tmp_path)
    foveate.load(tmp_path)
    assert torch.equal(torch.rand(3), want)


def test_the_first_format_still_loads(tmp_path):
    """A folder as the first version of the format was, word for word."""
    text = """{
  "format": 1,
  "model": {
    "name": "resnet10t",
    "attention": "das",
    "where": ["layer3", "layer4"],
    "start": "identity",
    "position": "after",
    "network": null,
    "host": null,
    "num_classes": 4,
    "stem": "small",
    "width": 0.25,
    "in_chans": 3,
    "example": [1, 3, 32, 32],
    "options": {"alpha": 0.5},
    "sites": ["layer3", "layer4"]
  }
}"""
    model = foveate.create_model(
        "resnet10t",
        "das",
        ["layer3", "layer4"],
        start="identity",
        num_classes=4,
        stem="small",
        width=0.25,
        alpha=0.5,
    )
    x = torch.rand(2, 3, 32, 32)
    want = shaken(model)(x)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "model.json").write_text(text)
    loaded = foveate.load(tmp_path)
    assert torch.equal(loaded(x), want)
    assert inserted(loaded)["layer3"].squeezed == 32
    older = json.loads(text)
    del older["model"]["example"], older["model"]["network"], older["model"]["host"]
    (tmp_path / "model.json").write_text(json.dumps(older))
    assert torch.equal(foveate.load(tmp_path)(x), want)
    # Loading and saving is the way to the format of today.
    foveate.save(foveate.load(tmp_path), tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["format"] == 2
    assert torch.equal(foveate.load(tmp_path)(x), want)
