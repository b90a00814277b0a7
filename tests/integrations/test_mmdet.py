"""Gates in MMDetection: the configs of docs/detectors.md are built, trained for a step, saved.

All but the last two need mmengine, mmcv and mmdet; docs/detectors.md says how they install.
"""

import copy
import importlib.util
import sys
import types
import warnings
from collections import OrderedDict

import pytest
import torch
from detectors_page import FILES
from torch import nn

import foveate
from foveate.core import MissingExtraError

ABSENT = [name for name in ("mmengine", "mmcv", "mmdet") if not importlib.util.find_spec(name)]
needs_mmdet = pytest.mark.skipif(
    bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)} (docs/detectors.md says how)"
)
# Theirs, about packages and operators of their time.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """The configs of the page by name, read from files; what they download is left out."""
    folder = tmp_path_factory.mktemp("configs")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.syspath_prepend(str(folder))
        from mmengine.config import Config

        read = {
            name.removesuffix(".py"): Config.fromfile(folder / name)
            for name in FILES
            if name != "mmcv_ops.py"
        }
        from mmengine.registry import init_default_scope

        init_default_scope("mmdet")
    for config in read.values():
        backbone = config.model.backbone
        backbone.get("base", backbone).init_cfg = None
    return read


def build(config):
    from mmengine.registry import MODELS

    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    return model


def a_batch():
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    shape = (96, 96)
    facts = dict.fromkeys(("img_shape", "ori_shape", "batch_input_shape", "pad_shape"), shape)
    samples = []
    for label in (3, 7):
        sample = DetDataSample(metainfo={**facts, "scale_factor": (1.0, 1.0)})
        boxes = torch.tensor([[10.0, 12.0, 70.0, 90.0]])
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([label]))
        samples.append(sample)
    images = [torch.randint(0, 256, (3, *shape), dtype=torch.uint8) for _ in samples]
    return {"inputs": images, "data_samples": samples}


def gate_weights(model):
    return {name: w for name, w in model.named_parameters() if "foveate" in name}


@needs_mmdet
@pytest.mark.parametrize(("name", "gates"), [("das_r18", 2), ("das_r50", 4), ("se_r50", 13)])
def test_faster_rcnn_trains_one_step_and_predicts(configs, name, gates):
    from mmengine.optim import build_optim_wrapper

    config = configs[name]
    model = build(config)
    openness = {n: w for n, w in model.named_parameters() if n.endswith("openness")}
    assert len(openness) == gates
    assert all(weight == 0 for weight in openness.values())
    with torch.no_grad():
        for weight in openness.values():
            weight.fill_(0.5)
    model.train()
    assert all(weight.requires_grad for weight in gate_weights(model).values())
    own = [(n, m) for n, m in model.backbone.named_modules() if "foveate" not in n]
    assert not any(m.training for n, m in own if isinstance(m, nn.BatchNorm2d))
    assert not model.backbone.layer1[0].conv1.weight.requires_grad
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    before = copy.deepcopy(model.state_dict())
    losses = model.train_step(a_batch(), wrapper)
    assert {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox"} <= set(losses)
    assert torch.isfinite(losses["loss"])
    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    still = {n for n in gate_weights(model) if n not in changed}
    # Behind a ReLU or a norm a bias may have no gradient; gates must learn all the same.
    assert set(openness) <= changed
    assert len(still) < 0.2 * len(gate_weights(model)), still
    assert not any(n.startswith("backbone.layer1.0.conv") for n in changed)
    assert "backbone.layer4.0.conv1.weight" in changed
    if "custom_keys" in config.optim_wrapper.get("paramwise_cfg", {}):
        decays = {
            id(weight): group["weight_decay"]
            for group in wrapper.param_groups
            for weight in group["params"]
        }
        assert all(decays[id(weight)] == 0 for weight in openness.values())
        assert decays[id(model.backbone.layer4[0].conv1.weight)] > 0
    model.eval()
    with torch.no_grad():
        found = model.test_step(a_batch())
    assert len(found) == 2 and found[0].pred_instances.bboxes.shape[1] == 4


@needs_mmdet
def test_a_gated_detector_starts_as_the_published_one_and_loads_its_checkpoint(configs, tmp_path):
    from mmengine.registry import MODELS
    from mmengine.runner import load_checkpoint

    config = copy.deepcopy(configs["das_r50"])
    gated = build(config)
    config.model.backbone = config.model.backbone.base
    plain = MODELS.build(config.model)
    assert {k for k in gated.state_dict() if "foveate" not in k} == set(plain.state_dict())
    with torch.no_grad():
        for weight in plain.parameters():
            weight.uniform_(-0.03, 0.03)
    torch.save({"state_dict": plain.state_dict()}, tmp_path / "detector.pth")
    load_checkpoint(gated, str(tmp_path / "detector.pth"), map_location="cpu", strict=True)
    x = torch.rand(1, 3, 96, 96)
    plain.eval(), gated.eval()
    for one, other in zip(gated.extract_feat(x), plain.extract_feat(x), strict=True):
        assert torch.equal(one, other)
    # And so by init_cfg of the backbone.
    weights = {k.removeprefix("backbone."): v for k, v in plain.state_dict().items()}
    torch.save(weights, tmp_path / "backbone.pth")
    checkpoint = {"type": "Pretrained", "checkpoint": str(tmp_path / "backbone.pth")}
    again = copy.deepcopy(configs["das_r50"])
    again.model.backbone.base.init_cfg = checkpoint
    model = build(again)
    model.eval()
    assert all(map(torch.equal, model.backbone(x), plain.backbone(x)))


@needs_mmdet
def test_initialising_spares_gates_and_plugins(configs):
    for name in ("das_r50", "se_r50"):
        config = copy.deepcopy(configs[name])
        if name == "se_r50":
            config.model.backbone.plugins[0].cfg.type = "foveate_das"
        model = build(config)
        offsets = {n: w for n, w in model.named_parameters() if "foveate" in n and "offset" in n}
        assert len(offsets) >= 4
        assert not any(weight.any() for weight in offsets.values())


@needs_mmdet
@pytest.mark.parametrize(
    ("base", "count"),
    [
        ({"type": "MobileNetV2"}, 7),
        ({"type": "mmdet.CSPDarknet", "deepen_factor": 0.33, "widen_factor": 0.25}, 4),
        ({"type": "RegNet", "arch": "regnetx_400mf"}, 4),
    ],
)
def test_other_backbones_take_gates_with_no_scope_set(configs, monkeypatch, base, count):
    from mmengine.registry import MODELS, DefaultScope

    # As in a script that never set a scope.
    monkeypatch.setattr(DefaultScope, "_instance_dict", OrderedDict())
    config = {"type": "FoveateBackbone", "base": base, "where": "stages", "start": "identity"}
    backbone = MODELS.build(config)
    assert len(foveate.surgery.inserted(backbone)) == count
    assert type(backbone).__name__ == f"Gated{base['type'].split('.')[-1]}"


@needs_mmdet
def test_rates_by_name_reach_backbone_gates_and_openness(configs):
    from mmengine.optim import build_optim_wrapper

    model = build(configs["slow_r50"])
    groups = build_optim_wrapper(model, configs["slow_r50"].optim_wrapper).param_groups
    settings = {
        id(weight): (group["lr"], group["weight_decay"])
        for group in groups
        for weight in group["params"]
    }
    layer = model.backbone.layer3[-1]
    assert settings[id(layer.conv1.weight)] == (pytest.approx(0.002), 1e-4)
    assert settings[id(layer.foveate.attention.ln_weight)] == (0.02, 1e-4)
    assert settings[id(layer.foveate.openness)] == (0.02, 0.0)
    assert settings[id(model.neck.lateral_convs[0].conv.weight)] == (0.02, 1e-4)


@needs_mmdet
def test_averages_copy_the_gates(configs):
    from mmengine.model import ExponentialMovingAverage

    model = build(configs["das_r18"])
    average = ExponentialMovingAverage(model, momentum=0.5)
    foveate.surgery.set_openness_(model, 1.0)
    average.update_parameters(model)  # the first one copies
    foveate.surgery.set_openness_(model, 0.0)
    average.update_parameters(model)
    gates = [w for n, w in average.named_parameters() if n.endswith("openness")]
    assert [weight.item() for weight in gates] == [0.5, 0.5]
    average.train()  # it is frozen, and being set to training must not thaw its gates
    assert not any(weight.requires_grad for weight in gate_weights(average).values())


class _Registry(dict):
    """A little of mmengine's: names, and building by them."""

    def register_module(self, name, force, module):
        self[name] = module

    def build(self, config):
        arguments = dict(config)
        self.scope = arguments.pop("_scope_", None)
        return self[arguments.pop("type")](**arguments)


def _import_with(monkeypatch, registry):
    """Import the integration anew, against a stand-in for mmengine or without it."""
    engine = types.ModuleType("mmengine.registry") if registry is not None else None
    if engine is not None:
        engine.MODELS = registry
        engine.DefaultScope = types.SimpleNamespace(get_current_instance=lambda: None)
    monkeypatch.setitem(sys.modules, "mmengine", engine and types.ModuleType("mmengine"))
    monkeypatch.setitem(sys.modules, "mmengine.registry", engine)
    monkeypatch.delitem(sys.modules, "foveate.integrations.mmdet", raising=False)
    return importlib.import_module("foveate.integrations.mmdet")


def test_a_registry_of_any_make_builds_gated_backbones(monkeypatch):
    from torchvision.models import resnet18

    registry = _Registry(ResNet=resnet18)
    _import_with(monkeypatch, registry)
    assert {"foveate_das", "foveate_cbam", "FoveateBackbone"} < set(registry)
    base = {"type": "ResNet", "num_classes": 7}
    config = {"type": "FoveateBackbone", "base": base, "attention": "se", "where": "blocks:last"}
    backbone = registry.build({**config, "stages": (False, False, True, True)})
    assert list(foveate.surgery.inserted(backbone)) == ["layer3.1", "layer4.1"]
    assert backbone.fc.out_features == 7
    assert registry.scope == "mmdet"
    assert base == {"type": "ResNet", "num_classes": 7}
    for wrong in ("ResNet", {"depth": 18}):
        with pytest.raises(TypeError, match="FoveateBackbone expects base as the config"):
            registry.build({"type": "FoveateBackbone", "base": wrong})


def test_its_absence_says_where_to_read(monkeypatch):
    with pytest.raises(MissingExtraError, match=r"mmcv and mmdet, .*see docs/detectors.md"):
        _import_with(monkeypatch, None)
