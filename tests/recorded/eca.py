"""Record efficient channel attention from the authors' code.

    PYTHONPATH=tests python tests/recorded/eca.py CHECKOUT

CHECKOUT is BangguWu/ECANet at b332f6b.
"""

import runpy
import sys

from recording import ours, record

OFFICIAL = {
    "repository": "BangguWu/ECANet",
    "commit": "b332f6b3e6e2afe8a3287dc8ee8440a0fbec74c4",
    "file": "models/eca_module.py",
    "license": "MIT",
}
SHAPE, OPTIONS = (2, 12, 7, 5), {"kernel": 5}

theirs = runpy.run_path(f"{sys.argv[1]}/{OFFICIAL['file']}")["eca_layer"]
official = theirs(SHAPE[1], OPTIONS["kernel"]).double().eval()
official.load_state_dict({"conv.weight": ours("eca", SHAPE, OPTIONS).layer.conv.weight})
record("eca", OFFICIAL, SHAPE, OPTIONS, official, "Nothing was patched.")
