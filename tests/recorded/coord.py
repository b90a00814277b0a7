"""Record coordinate attention from the authors' code.

    PYTHONPATH=tests python tests/recorded/coord.py CHECKOUT

CHECKOUT is houqb/CoordAttention at 7619bea.
"""

import runpy
import sys

from recording import ours, record

OFFICIAL = {
    "repository": "houqb/CoordAttention",
    "commit": "7619bea9acbe260b3793833cc78cef3f124c8112",
    "file": "coordatt.py",
    "license": "MIT",
}
REMARKS = "nothing patched"
NAMES = {"squeeze": "conv1", "norm": "bn1", "rows": "conv_h", "columns": "conv_w"}
SHAPE, OPTIONS = (2, 96, 5, 7), {"reduction": 8}

theirs = runpy.run_path(f"{sys.argv[1]}/{OFFICIAL['file']}")["CoordAtt"]
official = theirs(SHAPE[1], SHAPE[1], OPTIONS["reduction"]).double().eval()
state = official.state_dict()
renamed = {}
for key, value in ours("coord", SHAPE, OPTIONS).state_dict().items():
    layer, what = key.split(".")
    name = f"{NAMES[layer]}.{what}"
    renamed[name] = value.view_as(state[name])
official.load_state_dict(renamed)
record("coord", OFFICIAL, SHAPE, OPTIONS, official, REMARKS)
