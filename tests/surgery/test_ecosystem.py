"""Insertion in the networks people have: timm, torchvision, detectors, DDP."""

import os

import pytest
import timm
import torch
import torchvision

import foveate
from foveate.surgery import inserted
from support import assert_same

SITES = {
    "resnet18": ["layer1", "layer2", "layer3", "layer4"],
    "mobilenetv2_050": [f"blocks.{i}" for i in range(7)],
    "regnetx_002": ["s1", "s2", "s3", "s4"],
    "convnext_atto": [f"stages.{i}" for i in range(4)],
    "vgg11": ["features.1", "features.4", "features.9", "features.14", "features.19"],
    "torchvision/mobilenet_v2": [f"features.{i}" for i in (1, 3, 6, 10, 13, 16, 17)],
    "torchvision/densenet121": [f"features.denseblock{i}" for i in (1, 2, 3, 4)],
    "torchvision/mobilenet_v3_small": [f"features.{i}" for i in (1, 3, 6, 8, 11)],
    "torchvision/mnasnet0_5": [f"layers.{i}" for i in (8, 9, 10, 11, 12, 13)],
    "torchvision/squeezenet1_1": [f"features.{i}" for i in (4, 7, 10, 12)],
    "torchvision/resnext50_32x4d": ["layer1", "layer2", "layer3", "layer4"],
    "torchvision/regnet_y_400mf": [f"trunk_output.block{i}" for i in (1, 2, 3, 4)],
    "torchvision/convnext_tiny": [f"features.{i}" for i in (1, 3, 5, 7)],
}


@pytest.mark.parametrize("name", SITES)
def test_stages_are_found_without_knowing_the_family(name):
    # Their structure is what counts: small images keep it fast.
    model = foveate.create_model(name, num_classes=4)
    done = foveate.plan(model, "das", "stages", example=torch.zeros(1, 3, 96, 96))
    found = [site.name for site in done.sites]
    if name == "torchvision/mobilenet_v3_small":
        assert found == ["features.1", "features.3", "features.6", "features.8", "features.11"]
    assert found == SITES[name]


def test_paper_placements_on_mobilenet():
    model = torchvision.models.mobilenet_v2()
    channels = {
        where: [site.channels for site in foveate.plan(model, "das", where).sites]
        for where in ("stages", "strides", "skips", "blocks")
    }
    assert channels["stages"] == [16, 24, 32, 64, 96, 160, 320]
    assert channels["strides"] == [24, 32, 96, 320]
    assert (len(channels["skips"]), len(channels["blocks"])) == (10, 17)


def test_timm_feature_extraction_sees_the_gates():
    x = torch.rand(1, 3, 64, 64)
    features = timm.create_model("resnet18", features_only=True).eval()
    plain = features(x)
    done = foveate.insert_(features, "das", ["layer?"], example=x)
    gated = features(x)
    assert torch.equal(gated[0], plain[0])
    assert_same(gated[1], done.sites[0].module(plain[1]))
    model = timm.create_model("resnet18").eval()
    done = foveate.insert_(model, "das", example=x)
    _, layers = model.forward_intermediates(x)
    assert_same(layers[-1], model.forward_features(x))


def test_gradient_checkpointing_of_timm_keeps_the_gates():
    model = timm.create_model("resnet18", num_classes=3)
    foveate.insert_(model, "das", example=torch.zeros(1, 3, 64, 64))
    x = torch.rand(2, 3, 64, 64)
    model.eval()
    want = model(x)
    model.set_grad_checkpointing(True)
    assert_same(model(x), want)
    model(x).sum().backward()
    assert all(w.grad is not None for w in inserted(model)["layer3"].parameters())


def test_torchvision_feature_extractor_traces_through_a_gate():
    from torchvision.models.feature_extraction import create_feature_extractor

    model = torchvision.models.resnet18().eval()
    x = torch.rand(1, 3, 64, 64)
    foveate.insert_(model, "das", example=x)
    want = model.layer3(
        model.layer2(model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(x))))))
    )
    extractor = create_feature_extractor(model, {"layer4.0.conv1": "out"})
    assert_same(extractor(x)["out"], model.layer4[0].conv1(want))


def test_detectors_take_gates_in_their_backbone():
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=5)
    model = FasterRCNN(backbone, num_classes=3, min_size=64, max_size=64)
    image = torch.rand(3, 64, 64)
    done = foveate.insert_(
        model, "das", ["backbone.body.layer?"], example=(image[None],), start="identity"
    )
    assert [site.name for site in done.sites] == [f"backbone.body.layer{i}" for i in (1, 2, 3, 4)]
    target = {"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}
    losses = model.train()([image, image], [target, target])
    sum(losses.values()).backward()
    assert done.sites[2].module.ln_weight.grad is not None


def test_segmentation_networks_take_gates():
    model = torchvision.models.segmentation.fcn_resnet50(
        weights=None, weights_backbone=None, num_classes=2
    ).eval()
    done = foveate.insert_(model, "eca", ["backbone.layer?"], example=torch.rand(1, 3, 32, 32))
    assert [site.channels for site in done.sites] == [256, 512, 1024, 2048]
    assert model(torch.rand(1, 3, 32, 32))["out"].shape == (1, 2, 32, 32)


def _two_processes(rank, port, queue):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=3)
    foveate.insert_(model, "das", example=torch.zeros(1, 3, 64, 64))
    wrapped = torch.nn.parallel.DistributedDataParallel(model)
    torch.manual_seed(rank)
    wrapped(torch.rand(2, 3, 64, 64)).square().sum().backward()
    grads = [w.grad.sum().item() for w in inserted(model)["layer2"].parameters()]
    refused = ""
    try:
        foveate.remove_(wrapped)
    except TypeError as error:
        refused = str(error)
    queue.put((grads, refused))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_ddp_trains_gates_and_is_refused_by_surgery():
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [
        context.Process(target=_two_processes, args=(rank, port, queue)) for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    (first, refused), (second, _) = queue.get(timeout=200), queue.get(timeout=200)
    for process in processes:
        process.join()
    assert first == second
    assert "got DistributedDataParallel" in refused
