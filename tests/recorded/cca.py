"""Record criss-cross attention from the authors' code, one pass and two.

Usage: PYTHONPATH=tests python tests/recorded/cca.py CHECKOUT
with CHECKOUT a checkout of github.com/speedinghzl/CCNet at 1fae6c6.
"""

import sys

import torch

from recording import ours, record

sys.path.insert(0, sys.argv[1])
# The mask is made on a GPU; where there is none, it stays where it is.
torch.Tensor.cuda = lambda self: self
from cc_attention.functions import CrissCrossAttention  # noqa: E402

OFFICIAL = {
    "repository": "speedinghzl/CCNet",
    "commit": "1fae6c67229c3863232494762b0afd9a8d7ff309",
    "file": "cc_attention/functions.py",
    "license": "MIT",
}
SHAPE = (2, 16, 5, 7)

for name, passes in (("cca", 1), ("rcca", 2)):
    module = ours(name, SHAPE, {})
    weights = {key.removeprefix("attention."): value for key, value in module.state_dict().items()}
    official = CrissCrossAttention(SHAPE[1]).double().eval()
    mapped = {
        f"{layer}_conv.{end}": weights[f"{layer}.{end}"]
        for layer in ("query", "key", "value")
        for end in ("weight", "bias")
    }
    official.load_state_dict({**mapped, "gamma": weights["scale"]})

    def run(x, official=official, passes=passes):
        for _ in range(passes):
            x = official(x)
        return x

    idle = [key for key in module.state_dict() if key.endswith("key.bias")]
    remarks = ".cuda() made to return its tensor; the head calls the one module this many times: "
    record(name, OFFICIAL, SHAPE, {}, run, f"{remarks}{passes}", idle)
