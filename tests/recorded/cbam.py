"""Record convolutional block attention from the authors' code.

    PYTHONPATH=tests python tests/recorded/cbam.py CHECKOUT

CHECKOUT is Jongchan/attention-module at 459efad.
"""

import runpy
import sys

from recording import ours, record

OFFICIAL = {
    "repository": "Jongchan/attention-module",
    "commit": "459efad0e05ee7dde50c41ca10a3d0800bc3792a",
    "file": "MODELS/cbam.py",
    "license": "MIT",
}
REMARKS = "Nothing was patched; the two planes of the spatial kernel are swapped."
NAMES = {
    "layer.channel.fc1": "ChannelGate.mlp.1",
    "layer.channel.fc2": "ChannelGate.mlp.3",
    "layer.spatial.conv.conv": "SpatialGate.spatial.conv",
    "layer.spatial.conv.bn": "SpatialGate.spatial.bn",
}
SHAPE = (2, 32, 9, 6)

theirs = runpy.run_path(f"{sys.argv[1]}/{OFFICIAL['file']}")["CBAM"]
official = theirs(SHAPE[1]).double().eval()
renamed = {}
for key, value in ours("cbam", SHAPE, {}).state_dict().items():
    layer, what = key.rsplit(".", 1)
    if "fc" in layer and what == "weight":
        value = value.flatten(1)
    if key == "layer.spatial.conv.conv.weight":
        value = value.flip(1)
    renamed[f"{NAMES[layer]}.{what}"] = value
official.load_state_dict(renamed)
record("cbam", OFFICIAL, SHAPE, {}, official, REMARKS)
