"""Record split attention from the authors' code.

    PYTHONPATH=tests python tests/recorded/splat.py CHECKOUT

CHECKOUT is zhanghang1989/ResNeSt at 1dfb3e8.
"""

import runpy
import sys

from torch import nn

from recording import ours, record

OFFICIAL = {
    "repository": "zhanghang1989/ResNeSt",
    "commit": "1dfb3e8867e2ece1c28a65c9db1cded2818a2031",
    "file": "resnest/torch/models/splat.py",
    "license": "Apache-2.0",
}
REMARKS = "Nothing patched; two groups, stride 2 by the average pooling that follows in its blocks."
NAMES = {"conv": "conv", "norm": "bn0", "squeeze": "fc1", "hidden_norm": "bn1", "choose": "fc2"}
SHAPE, OPTIONS = (2, 64, 9, 7), {"groups": 2, "stride": 2}

code = runpy.run_path(f"{sys.argv[1]}/{OFFICIAL['file']}")
official = code["SplAtConv2d"](
    64, 64, 3, padding=1, groups=2, bias=False, norm_layer=nn.BatchNorm2d
)
state = {}
for key, value in ours("splat", SHAPE, OPTIONS).state_dict().items():
    layer, what = key.split(".")
    state[f"{NAMES[layer]}.{what}"] = value
official.double().eval().load_state_dict(state)
run = nn.Sequential(official, nn.AvgPool2d(3, 2, padding=1))
record("splat", OFFICIAL, SHAPE, OPTIONS, run, REMARKS)
