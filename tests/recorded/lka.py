"""Record the authors' large kernel attention (Visual-Attention-Network, e19779b, Apache-2.0).

Usage: PYTHONPATH=tests python tests/recorded/lka.py CHECKOUT
"""

import sys
import warnings

from recording import ours, record

sys.path.insert(0, sys.argv[1])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports timm by paths of old
    from models.van import LKA

NAMES = {"conv0": "near", "conv_spatial": "far", "conv1": "point"}
shape, options = (2, 6, 11, 13), {}
weights = ours("lka", shape, options).state_dict()
official = LKA(6).double().eval()
state = {}
for key in official.state_dict():
    part, leaf = key.split(".")
    state[key] = weights[f"{NAMES[part]}.{leaf}"]
official.load_state_dict(state)
record(
    "lka",
    {
        "repository": "Visual-Attention-Network/VAN-Classification",
        "commit": "e19779b53a1b0828b51ecb4412d577541aee83a7",
        "file": "models/van.py",
        "license": "Apache-2.0",
    },
    shape,
    options,
    official,
    "nothing patched",
)
