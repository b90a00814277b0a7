"""Whole networks have exactly the size that the mechanisms' authors' networks have."""

import pytest
import torch

import foveate

HOSTS = {
    "torchvision": ("resnet18", "resnet50", "resnet101", "mobilenet_v2"),
    "timm": ("resnet18", "resnet50", "resnet101", "mobilenetv2_100"),
}
PLAIN = (11_689_512, 25_557_032, 44_549_160, 3_504_872)
_ = None  # No figure is known.

# What is inserted, and the parameters of ResNet-18, -50, -101 and MobileNetV2 with 1000 classes:
# measured on the authors' networks, or computed from the published structure.
ORACLE = {
    "plain": ("none", {}, PLAIN),
    "se": ("se", {}, (11_778_592, 28_088_024, 49_326_872, 3_534_885)),
    "se without bias": ("se", {"bias": False}, (11_776_552, 28_071_976, 49_292_328, 3_533_288)),
    "se, r=8": ("se", {"reduction": 8}, (_, _, _, 3_563_492)),
    "se, r=8 without bias": ("se", {"reduction": 8, "bias": False}, (_, _, _, 3_561_800)),
    "eca": ("eca", {}, (11_689_548, 25_557_118, 44_549_331, 3_504_931)),
    "eca, released, 18": ("eca", {"kernel": (3, 5, 7, 7)}, (11_689_556, _, _, _)),
    "eca, released, 50": ("eca", {"kernel": (3, 5, 5, 7)}, (_, 25_557_112, _, _)),
    "eca, released, 101": ("eca", {"kernel": (3, 3, 5, 7)}, (_, _, 44_549_317, _)),
    "eca, released, v2": ("eca", {"kernel": (1, 1, 1, 1, 3, 3, 3)}, (_, _, _, 3_504_903)),
    "cbam": ("cbam", {}, (11_779_392, 28_089_624, 49_330_172, 3_536_585)),
    "bam": ("bam", {}, (11_712_503, 25_915_099, 44_907_227, _)),
    "triplet, k=7": ("triplet", {}, (11_691_912, 25_561_832, 44_559_060, 3_509_972)),
    "triplet, k=3": ("triplet", {"kernel": 3}, (11_689_992, 25_557_992, 44_551_140, 3_505_892)),
    "shuffle, G=64": ("shuffle", {"groups": 64}, (_, 25_557_740, 44_550_684, _)),
    "gc, r=16": ("gc", {}, (11_780_760, 28_105_032, 49_363_481, 3_536_592)),
    "gc, r=4": ("gc", {"reduction": 4}, (12_042_960, 35_658_360, 63_611_273, 3_622_881)),
    "gsop": ("gsop", {}, (12_571_624, 28_285_224, 47_277_352, _)),
    "gsop, net1": ("gsop", {"network": "net1"}, (12_571_624, 28_285_224, 47_277_352, _)),
    "gsop, net2": ("gsop", {"network": "net2"}, (_, 58_278_568, 77_270_696, _)),
    "ge minus": ("ge", {}, PLAIN),
    "ge minus, extent 4": ("ge", {"extent": 4}, PLAIN),
    "ge theta": ("ge", {"mode": "theta"}, (12_445_992, 31_106_600, 53_545_512, 4_080_200)),
    "ge plus": ("ge", {"mode": "plus"}, (12_535_072, 33_637_592, 58_323_224, 4_110_213)),
    "ge theta, extent 2": (
        *("ge", {"mode": "theta", "extent": 2}),
        (11_710_632, 25_723_176, 44_906_792, _),
    ),
    "ge theta, extent 4": (
        *("ge", {"mode": "theta", "extent": 4}),
        (11_731_752, 25_889_320, 45_264_424, _),
    ),
    "ge theta, extent 8": (
        *("ge", {"mode": "theta", "extent": 8}),
        (11_752_872, 26_055_464, 45_622_056, _),
    ),
    "nl, one": ("nl", {"where": ["layer3.4"]}, (_, 27_658_792, _, _)),
    "nl, five": ("nl", {}, (_, 32_915_496, _, _)),
    "a2, five of C/4": ("a2", {}, (_, 29_234_216, _, _)),
    "a2, five of C/2": ("a2", {"feature_ratio": 0.5, "map_ratio": 0.5}, (_, 32_907_304, _, _)),
    "emca": ("emca", {}, (11_689_628, 25_557_293, 44_549_693, _)),
    "emca on se, its published size": (
        *("se", {"where": "post_norm:first", "bias": False}),
        (11_733_032, 26_253_352, _, _),
    ),
    "spm": ("spm", {}, (_, 31_674_088, _, _)),
    "dcn": ("dcn", {}, (_, 26_137_874, 45_835_332, _)),
    "dcn, last stage": ("dcn", {"where": "replace_conv2@-1"}, (_, 25_805_918, _, _)),
    "dcnv2": ("dcnv2", {}, (_, 26_428_295, 46_478_418, _)),
    "dcnv2, last stage": ("dcnv2", {"where": "replace_conv2@-1"}, (_, 25_930_361, _, _)),
    "gala, every block": ("gala", {"where": "post_norm"}, (_, 29_377_608, _, _)),
    "csa_parallel": ("csa_parallel", {}, (11_868_592, 30_621_560, 54_109_916, 3_566_691)),
}
CASES = [
    pytest.param(library, row, number, id=f"{library}-{HOSTS[library][number]}-{row}")
    for row, (_name, _options, sizes) in ORACLE.items()
    for number, size in enumerate(sizes)
    if size is not None
    for library in HOSTS
]


@pytest.mark.parametrize(("library", "row", "number"), CASES)
def test_networks_have_exactly_the_published_size(library, row, number):
    attention, options, sizes = ORACLE[row]
    host = HOSTS[library][number]
    with torch.device("meta"):
        name = host if library == "timm" else f"torchvision/{host}"
        model = foveate.create_model(name, attention, **options)
    assert sum(weight.numel() for weight in model.parameters()) == sizes[number]
