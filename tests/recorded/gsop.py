"""Record the numbers of GSoP's official code, the attentions and the head of GSoP-Net2.

Usage: PYTHONPATH=tests python tests/recorded/gsop.py CHECKOUT
"""

import importlib
import sys
import types
import warnings
from pathlib import Path

import torch
from torch import nn

from foveate.models.gsop_net import CovarianceHead
from recording import fill_, ours, record

OFFICIAL = {
    "repository": "ZilinGao/Global-Second-order-Pooling-Convolutional-Networks",
    "commit": "662a699",
    "file": "torchvision/models/resnet.py",
    "license": "MIT",
}
KEYS = {"channel": "1", "position": "2", "average": "+", "max": "M", "concat": "&"}
NAMES = {
    "channel.reduce": "conv_for_DR",
    "channel.norm": "bn_for_DR",
    "channel.weights.norm": "row_bn",
    "channel.weights.rows": "row_conv_group",
    "channel.weights.expand": "fc_adapt_channels",
    "position.reduce": "conv_for_DR_spatial",
    "position.norm": "bn_for_DR_spatial",
    "position.weights.norm": "row_bn_for_spatial",
    "position.weights.rows": "row_conv_group_for_spatial",
    "position.weights.expand": "fc_adapt_channels_for_spatial",
    "merge_channel": "dilate_conv_for_concat1",
    "merge_position": "dilate_conv_for_concat2",
    "norm": "bn_for_concat",
}
HIGH = 64.0


class Instead(nn.Module):
    """Returns what it was told, whatever comes."""

    def forward(self, x):
        return self.value


class FreshReLU(nn.ReLU):
    """A ReLU whose output may be changed in place."""

    def forward(self, x):
        return super().forward(x).clone()


def official_block(code, module, channels, mode, dim):
    """The whole official bottleneck, fed at its attention and read before its last ReLU."""
    block = code.Bottleneck(8, channels // 4, attention=KEYS[mode], att_dim=dim)
    block = block.double().eval()
    state = dict(block.state_dict())
    for key, value in module.state_dict().items():
        name, last = key.rsplit(".", 1)
        state[f"{NAMES[name]}.{last}"] = value
    block.load_state_dict(state)
    block.bn3, block.downsample, block.relu_normal = Instead(), Instead(), FreshReLU()

    def run(x):
        block.bn3.value = x
        # So high that the ReLU after the sum changes nothing.
        block.downsample.value = torch.full_like(x, HIGH)
        return block(torch.zeros(2, 8, *x.shape[2:], dtype=x.dtype)) - HIGH

    return run


def main(checkout):
    # Under a name of its own: the checkout is a package called torchvision.
    package = types.ModuleType("gsop_official")
    package.__path__ = [str(Path(checkout) / "torchvision" / "models")]
    sys.modules["gsop_official"] = package
    warnings.simplefilter("ignore", SyntaxWarning)
    code = importlib.import_module("gsop_official.resnet")
    # Its hand-written roots and triangles allocate in the default dtype.
    torch.set_default_dtype(torch.float64)

    for mode in KEYS:
        # Wide enough for several groups where they merge, else of the width that has stride 2.
        channels, stride = (264, 1) if mode in ("concat", "max") else (64, 2)
        dim = 128 if mode == "channel" else 64
        shape = (2, channels, 9, 6)
        options = {"mode": mode, "dim": dim, "stride": stride}
        module = ours("gsop", shape, options)
        run = official_block(code, module, channels, mode, dim)
        remarks = (
            "The whole Bottleneck.forward, its bn3 replaced by the input and its skip by a constant"
            f" {HIGH} that is taken off again; its relu_normal returns a copy, without which the"
            " position block has no backward pass. dim is 64 where positions are pooled: for any"
            " other the released centering divides by 64 all the same."
        )
        file = "gsop" if mode == "channel" else f"gsop_{mode}"
        record(file, OFFICIAL, shape, options, run, remarks)

    head = fill_(CovarianceHead(12, dim=7).double().eval())
    pools = code.MPNCOV

    def run(x):
        reduced = torch.relu(head.norm(head.reduce(x)))
        root = pools.SqrtmLayer(pools.CovpoolLayer(reduced), 3)
        values = torch.stack([root[:, i, j] for i in range(7) for j in range(i + 1)], 1)
        if not torch.equal(values, pools.TriuvecLayer(root)):
            raise SystemExit("the official triangle has another order")
        return values

    remarks = (
        "MPNCOV.py's layers as ResNet.forward calls them, after our 1x1 convolution; the triangle"
        " is indexed anew, in an order checked to be theirs, for its backward pass does not run."
    )
    record("gsop_head", OFFICIAL, (2, 12, 5, 4), {"dim": 7}, run, remarks)


if __name__ == "__main__":
    main(sys.argv[1])
