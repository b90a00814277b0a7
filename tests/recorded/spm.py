"""Record the numbers of SPNet's official code, both of its modules.

Usage: PYTHONPATH=tests python tests/recorded/spm.py CHECKOUT
"""

import importlib
import sys
import types
from pathlib import Path

from torch import nn

from recording import ours, record

REPOSITORY = {"repository": "Andrew-Qibin/SPNet", "commit": "5e97da3", "license": "MIT"}
GATE = {
    "vertical.0": "conv1",
    "vertical.1": "bn1",
    "horizontal.0": "conv2",
    "horizontal.1": "bn2",
    "mix": "conv3",
}
MIXED = {
    "to_grids": "conv1_1",
    "to_strips": "conv1_2",
    "full": "conv2_0",
    "grids.0": "conv2_1",
    "grids.1": "conv2_2",
    "horizontal": "conv2_3",
    "vertical": "conv2_4",
    "from_grids": "conv2_5",
    "from_strips": "conv2_6",
    "mix": "conv3",
}
UP = {"mode": "bilinear", "align_corners": True}


def load(theirs, module, names):
    """Give the official module our weights."""
    state = {}
    for key, value in module.state_dict().items():
        name = max((n for n in names if key.startswith(f"{n}.")), key=len)
        state[names[name] + key.removeprefix(name)] = value
    theirs = theirs.double().eval()
    theirs.load_state_dict(state)
    return theirs


def main(checkout):
    # Under a name of its own, so that the package's other imports are not run.
    package = types.ModuleType("spnet_official")
    package.__path__ = [str(Path(checkout) / "models")]
    sys.modules["spnet_official"] = package
    resnet = importlib.import_module("spnet_official.resnet")
    customize = importlib.import_module("spnet_official.customize")

    shape = (2, 6, 7, 4)
    gate = load(resnet.SPBlock(6, 6, nn.BatchNorm2d), ours("spm", shape, {}), GATE)
    official = {**REPOSITORY, "file": "models/resnet.py"}
    remarks = "Nothing patched; multiplied by x as its Bottleneck.forward does."
    record("spm", official, shape, {}, lambda x: x * gate(x), remarks)

    official = {**REPOSITORY, "file": "models/customize.py"}
    for file, shape, bins in (
        ("mpm", (2, 16, 23, 14), (20, 12)),
        ("mpm_small", (2, 16, 5, 3), (4, 9)),
    ):
        theirs = customize.StripPooling(16, bins, nn.BatchNorm2d, UP)
        options = {"bins": list(bins)}
        theirs = load(theirs, ours("mpm", shape, options), MIXED)
        record(file, official, shape, options, theirs, "Nothing patched.")


if __name__ == "__main__":
    main(sys.argv[1])
