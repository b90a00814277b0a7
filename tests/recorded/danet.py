"""Record dual attention and both compact attentions from the authors' code.

Usage: PYTHONPATH=tests python tests/recorded/danet.py CHECKOUT
with CHECKOUT a checkout of github.com/junfu1115/DANet at b0a0fa0.
"""

import importlib
import sys
import types
from pathlib import Path

from torch import nn

from recording import ours, record

# The files alone: the package around them builds a CUDA extension.
package = types.ModuleType("official")
package.__path__ = [str(Path(sys.argv[1]) / "encoding/nn")]
sys.modules["official"] = package
norms = types.ModuleType("official.syncbn")
norms.SyncBatchNorm = None
sys.modules["official.syncbn"] = norms
dran = importlib.import_module("official.dran_att")
dual = importlib.import_module("official.da_att")

SHAPE = (2, 32, 5, 7)
PATCHED = "the files alone, beside an empty stand-in for their package's CUDA norms"


def source(file):
    return {
        "repository": "junfu1115/DANet",
        "commit": "b0a0fa008148f102321cdaa7ca38fb0ddd0239d1",
        "file": f"encoding/nn/{file}.py",
        "license": "MIT",
    }


def load(official, weights, names):
    """Give an official module our weights; ``names`` maps the starts of its names to ours."""
    wanted = official.double().eval().state_dict()
    mapped = {}
    for key, old in wanted.items():
        start = max((one for one in names if key.startswith(one)), key=len)
        mapped[key] = weights[names[start] + key[len(start) :]].reshape(old.shape)
    official.load_state_dict(mapped)
    return official


weights = ours("cpam", SHAPE, {}).state_dict()
encoder = load(
    dran.CPAMEnc(SHAPE[1], nn.BatchNorm2d),
    weights,
    {
        f"conv{one}.{part}": f"gather.{one - 1}.{part + 1}"
        for one in (1, 2, 3, 4)
        for part in (0, 1)
    },
)
LAYERS = {"conv_query": "query", "conv_key": "key", "conv_value": "value", "scale": "scale"}
decoder = load(dran.CPAMDec(SHAPE[1]), weights, LAYERS)
record(
    "cpam",
    source("dran_att"),
    SHAPE,
    {},
    lambda x: decoder(x, encoder(x).permute(0, 2, 1)),
    f"{PATCHED}; encoder and decoder joined as in encoding/models/sseg/dran.py",
    idle=["key.bias"],
)

weights = ours("ccam", SHAPE, {}).state_dict()
gather = load(
    nn.Sequential(
        nn.Conv2d(SHAPE[1], SHAPE[1] // 16, 1, bias=False),
        nn.BatchNorm2d(SHAPE[1] // 16),
        nn.ReLU(),
    ),
    weights,
    {"": "gather."},
)
channel = load(dran.CCAMDec(), weights, {"scale": "scale"})
record(
    "ccam",
    source("dran_att"),
    SHAPE,
    {},
    lambda x: channel(x, gather(x)),
    f"{PATCHED}; the encoder, convolution, norm and ReLU, is rebuilt: dran.py makes it in its head",
)

weights = ours("danet", SHAPE, {}).state_dict()
names = {"query_conv": "query", "key_conv": "key", "value_conv": "value"}
position = load(dual.PAM_Module(SHAPE[1]), weights, {**names, "gamma": "scale_positions"})
channels = load(dual.CAM_Module(SHAPE[1]), weights, {"gamma": "scale_channels"})
record(
    "danet",
    source("da_att"),
    SHAPE,
    {},
    lambda x: x + (position(x) - x) + (channels(x) - x),
    f"{PATCHED}; both modules summed, our plug-in form",
    idle=["key.bias"],
)
