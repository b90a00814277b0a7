"""Record the authors' coordinate attention (houqb/CoordAttention, 7619bea, MIT).

Usage: PYTHONPATH=tests python tests/recorded/coord.py CHECKOUT
"""

import sys

from recording import ours, record

sys.path.insert(0, sys.argv[1])
from coordatt import CoordAtt

NAMES = {"conv1": "squeeze", "bn1": "norm", "conv_h": "rows", "conv_w": "columns"}
shape, options = (2, 96, 5, 7), {"reduction": 8}
weights = ours("coord", shape, options).state_dict()
official = CoordAtt(96, 96, reduction=8).double().eval()
state = {}
for key in official.state_dict():
    part, leaf = key.split(".")
    state[key] = weights[f"{NAMES[part]}.{leaf}"]
official.load_state_dict(state)
record(
    "coord",
    {
        "repository": "houqb/CoordAttention",
        "commit": "7619bea9acbe260b3793833cc78cef3f124c8112",
        "file": "coordatt.py",
        "license": "MIT",
    },
    shape,
    options,
    official,
    "nothing patched",
)
