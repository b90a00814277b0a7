"""Where attentions sit: the words for it, and what they find in ResNets and MobileNetV2."""

import pytest
import timm
import torch
import torchvision
from torch import nn

import foveate
from foveate.attention.where import Where, is_where, parse_where
from foveate.surgery import inserted
from foveate.surgery.sites import matches
from support import TinyResNet, assert_same

BUILD = {
    "resnet18": torchvision.models.resnet18,
    "resnet50": torchvision.models.resnet50,
    "mobilenet_v2": torchvision.models.mobilenet_v2,
    "timm/resnet18": lambda: timm.create_model("resnet18"),
    "timm/resnet50": lambda: timm.create_model("resnet50"),
    "timm/mobilenet_v2": lambda: timm.create_model("mobilenetv2_100"),
}
RESNET = {18: ((64, 128, 256, 512), (2, 2, 2, 2)), 50: ((256, 512, 1024, 2048), (3, 4, 6, 3))}
MOBILE = ((16, 24, 32, 64, 96, 160, 320), (1, 2, 3, 4, 3, 3, 1))


def of(name):
    return MOBILE if "mobile" in name else RESNET[int(name[-2:])]


def each(widths, counts):
    return [width for width, count in zip(widths, counts, strict=True) for _ in range(count)]


@pytest.fixture(scope="module")
def networks():
    with torch.device("meta"):
        return {name: build() for name, build in BUILD.items()}


def channels(model, where):
    image = torch.empty(1, 3, 224, 224, device="meta")
    with torch.device("meta"):
        done = foveate.plan(model, lambda c, **_: nn.Identity(), where, example=image)
    return [site.channels for site in done.sites]


@pytest.mark.parametrize("name", BUILD)
def test_every_block_is_found_at_its_outputs_and_norms(networks, name):
    model, (widths, counts) = networks[name], of(name)
    assert channels(model, "blocks") == channels(model, "post_norm") == each(widths, counts)
    assert channels(model, "stages") == list(widths)
    assert channels(model, "post_norm:last") == channels(model, "blocks:first") == list(widths)
    assert channels(model, "stages@-1") == [widths[-1]]
    assert channels(model, "stages@1..-2") == list(widths[:-1])
    assert channels(model, "blocks@2,-1") == each((widths[1], widths[-1]), (counts[1], counts[-1]))


def test_every_second_block_is_where_non_local_blocks_go(networks):
    for name in ("resnet50", "timm/resnet50"):
        assert channels(networks[name], "blocks:second@2..-2") == [512] * 2 + [1024] * 3
    for name in ("resnet18", "timm/resnet18"):
        assert channels(networks[name], "blocks:second@2..-2") == [128, 256]
    for name in ("mobilenet_v2", "timm/mobilenet_v2"):
        assert channels(networks[name], "blocks:second@2..-2") == [24, 32, 64, 64, 96, 160]


def test_the_middle_of_a_branch_is_what_its_last_convolution_reads(networks):
    last = "after_conv2:last+after_conv2@-1"
    assert channels(networks["resnet50"], last) == [64, 128, 256, 512, 512, 512]
    assert channels(networks["timm/resnet50"], last) == [64, 128, 256, 512, 512, 512]
    assert channels(networks["resnet18"], "after_conv2") == each(*RESNET[18])
    wide = [32, 96, 144, 144, 192, 192, 192, 384, 384, 384, 384, 576, 576, 576, 960, 960, 960]
    for name in ("mobilenet_v2", "timm/mobilenet_v2"):
        assert channels(networks[name], "after_conv2") == wide


def test_the_input_of_a_block_is_found_where_gala_goes(networks):
    for name in ("resnet50", "timm/resnet50"):
        assert channels(networks[name], "block_input@-2") == [512] + [1024] * 5


def test_the_convolutions_to_replace_are_the_last_with_a_kernel():
    model = torchvision.models.resnet50()
    example = torch.zeros(1, 3, 64, 64)
    done = foveate.plan(model, "dcn", example=example)
    paths = [f"layer{s}.{b}.conv2" for s, n in ((2, 4), (3, 6), (4, 3)) for b in range(n)]
    assert [site.path for site in done.sites] == paths
    model = timm.create_model("mobilenetv2_100")
    done = foveate.plan(model, "dcn", "replace_conv2", example=example)
    assert done.sites[0].path == "blocks.0.0.conv_dw"
    assert all(site.path.endswith(".conv_dw") for site in done.sites) and len(done.sites) == 17


def test_an_attention_before_the_last_convolution_changes_what_it_reads():
    torch.manual_seed(0)
    model = TinyResNet().eval()
    block, x = model.layer1[0], torch.randn(2, 4, 8, 8)
    middle = block.relu(block.bn1(block.conv1(x)))
    done = foveate.insert_(model, "se", "after_conv2@1", example=torch.zeros(1, 3, 16, 16))
    assert [site.path for site in done.sites] == ["layer1.0.conv2", "layer1.1.conv2"]
    want = block.relu(
        block.bn2(nn.functional.conv2d(done.sites[0].module(middle), block.conv2.weight, padding=1))
        + x
    )
    assert_same(block(x), want)


def test_an_attention_at_the_input_is_seen_by_branch_and_skip():
    torch.manual_seed(0)
    model = TinyResNet().eval()
    block, x = model.layer1[0], torch.randn(2, 4, 8, 8)
    plain = block(2 * x)

    class Twice(nn.Module):
        def __init__(self, channels):
            super().__init__()

        def forward(self, x):
            return 2 * x

    foveate.insert_(model, Twice, "block_input:first@1", example=torch.zeros(1, 3, 16, 16))
    assert_same(block(x), plain)
    # The output of the block is another site: it takes an attention of its own.
    foveate.insert_(model, "se", "blocks:first@1", example=torch.zeros(1, 3, 16, 16))
    assert [type(one).__name__ for one in inserted(model).values()] == ["Twice", "SqueezeExcite"]
    with pytest.raises(ValueError, match="which holds 'Twice'"):
        foveate.insert_(model, Twice, "block_input", example=torch.zeros(1, 3, 16, 16))
    assert len(foveate.remove_(model).sites) == 2
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("gate", ["cbam", "se", "eca"])
def test_the_gates_that_a_network_has_of_its_own_are_not_its_branch(gate, side):
    model = timm.create_model("resnet18", block_args={"attn_layer": gate})
    image = torch.zeros(1, 3, side, side)
    for where, name in (("post_norm", "bn2"), ("after_conv2", "conv2"), ("replace_conv2", "conv2")):
        done = foveate.plan(model, lambda c, **_: nn.Conv2d(c, c, 1), where, example=image)
        assert [site.path for site in done.sites] == [
            f"layer{stage}.{block}.{name}" for stage in (1, 2, 3, 4) for block in (0, 1)
        ]


@pytest.mark.parametrize("name", ["proj", "down", "skip_conv", "res", "a"])
def test_a_shortcut_is_known_by_what_it_reads_whatever_its_name(name):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(4, 8, 3, 2, 1), nn.BatchNorm2d(8)
            self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8)
            self.relu = nn.ReLU()
            self.add_module(name, nn.Sequential(nn.Conv2d(4, 8, 1, 2), nn.BatchNorm2d(8)))

        def forward(self, x):
            branch = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(branch + self.get_submodule(name)(x))

    model = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), Block())
    image = torch.zeros(1, 3, 16, 16)
    paths = [
        foveate.plan(model, lambda c, **_: nn.Identity(), where, example=image).sites[0].path
        for where in ("post_norm", "after_conv2")
    ]
    assert paths == ["1.bn2", "1.conv2"]
    # Found again around what is there already.
    foveate.insert_(model, lambda c: nn.Conv2d(c, c, 1), ["1.bn1", "1.conv1"], example=image)
    again = foveate.plan(model, lambda c: nn.Identity(), "post_norm", example=image)
    assert [site.path for site in again.sites] == ["1.bn2"]


def test_blocks_that_take_their_map_by_name_are_refused_where_it_is_needed():
    class ByName(TinyResNet):
        def forward(self, x):
            x = self.stem(x)
            for block in [*self.layer1, *self.layer2]:
                x = block(x=x)
            return self.head(x.mean((2, 3)))

    image = torch.zeros(1, 3, 16, 16)
    for name, where in (("gala", "block_input"), ("emca", "post_norm")):
        with pytest.raises(
            ValueError, match="their map as the first argument, by position; got la"
        ):
            foveate.insert_(ByName(), name, where, example=image)
    foveate.insert_(ByName(), "se", "blocks", example=image)


def test_sites_are_read_from_words():
    assert parse_where("blocks:second@2..-2") == (Where("blocks", "second", ((2, -2),)),)
    assert parse_where("post_norm + stages@1,3..4") == (
        Where("post_norm"),
        Where("stages", "all", ((1, 1), (3, 4))),
    )
    assert is_where("post_norm:last") and not is_where("layer1.0") and not is_where("layer?")
    one = Where("blocks", "last", ((-1, -1),))
    assert one.takes(4, 4, 3, 3) and not one.takes(4, 4, 2, 3) and not one.takes(3, 4, 6, 6)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("post_norm:lst", "did you mean 'last'"),
        ("post_norms", "did you mean 'post_norm'"),
        ("blocks@0", "stages such as 2"),
        ("blocks@1..", "stages such as 2"),
        ("blocks@", "SITE@STAGES"),
        ("blocks@,", "stages such as 2"),
        ("blocks@3..2", "stages such as 2"),
        ("stages:last", "with stages .* at most"),
        ("strides@2", "'strides' alone"),
        ("blocks@9", "got none in TinyResNet, which has 2 stages"),
    ],
)
def test_wrong_words_are_named(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        foveate.insert_(TinyResNet(), "se", text, example=torch.zeros(1, 3, 16, 16))


def test_many_stars_do_not_multiply():
    path = ".".join(["layer"] * 60)
    assert not matches(path, ".".join(["**"] * 60) + ".head")
    assert matches(path, ".".join(["**"] * 60))
    assert matches("a.b", "**.**.b") and not matches("a.b", "**.**.c")
