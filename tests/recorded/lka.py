"""Record large kernel attention from the authors' code.

    PYTHONPATH=tests python tests/recorded/lka.py CHECKOUT

CHECKOUT is Visual-Attention-Network/VAN-Classification at e19779b.
"""

import runpy
import sys
import warnings

from recording import ours, record

OFFICIAL = {
    "repository": "Visual-Attention-Network/VAN-Classification",
    "commit": "e19779b53a1b0828b51ecb4412d577541aee83a7",
    "file": "models/van.py",
    "license": "Apache-2.0",
}
REMARKS = "nothing patched"
NAMES = {"near": "conv0", "far": "conv_spatial", "point": "conv1"}
SHAPE, OPTIONS = (2, 6, 11, 13), {}

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports timm by paths of old
    theirs = runpy.run_path(f"{sys.argv[1]}/{OFFICIAL['file']}")["LKA"]
official = theirs(SHAPE[1]).double().eval()
state = official.state_dict()
renamed = {}
for key, value in ours("lka", SHAPE, OPTIONS).state_dict().items():
    layer, what = key.split(".")
    name = f"{NAMES[layer]}.{what}"
    renamed[name] = value.view_as(state[name])
official.load_state_dict(renamed)
record("lka", OFFICIAL, SHAPE, OPTIONS, official, REMARKS)
