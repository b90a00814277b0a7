"""Record concurrent squeeze-and-excitation from the authors' code.

    PYTHONPATH=tests python tests/recorded/scse.py CHECKOUT

CHECKOUT is ai-med/squeeze_and_excitation at acdd26e.
"""

import runpy
import sys

from recording import ours, record

OFFICIAL = {
    "repository": "ai-med/squeeze_and_excitation",
    "commit": "acdd26e7e3956b8e3d3b32663a784ebd64c844dd",
    "file": "squeeze_and_excitation/squeeze_and_excitation.py",
    "license": "MIT",
}
REMARKS = "nothing patched; their linear layers are our 1x1 convolutions"
NAMES = {"squeeze": "cSE.fc1", "excite": "cSE.fc2", "spatial": "sSE.conv"}
# Half of the hidden units are on.
SHAPE, OPTIONS = (3, 24, 3, 2), {"reduction": 3}

theirs = runpy.run_path(f"{sys.argv[1]}/{OFFICIAL['file']}")["ChannelSpatialSELayer"]
official = theirs(SHAPE[1], OPTIONS["reduction"]).double().eval()
state = official.state_dict()
renamed = {}
for key, value in ours("scse", SHAPE, OPTIONS).state_dict().items():
    layer, what = key.split(".")
    name = f"{NAMES[layer]}.{what}"
    renamed[name] = value.view_as(state[name])
official.load_state_dict(renamed)
record("scse", OFFICIAL, SHAPE, OPTIONS, official, REMARKS)
