"""Record triplet attention from the authors' code.

    PYTHONPATH=tests python tests/recorded/triplet.py CHECKOUT

CHECKOUT is landskape-ai/triplet-attention at 2cf02fb.
"""

import runpy
import sys

from recording import ours, record

OFFICIAL = {
    "repository": "landskape-ai/triplet-attention",
    "commit": "2cf02fb91196408ac6352f7984a0336aa4f7677a",
    "file": "MODELS/triplet_attention.py",
    "license": "MIT",
}
NAMES = {
    "over_h.0": "ChannelGateH.spatial.conv",
    "over_h.1": "ChannelGateH.spatial.bn",
    "over_w.0": "ChannelGateW.spatial.conv",
    "over_w.1": "ChannelGateW.spatial.bn",
    "over_c.0": "SpatialGate.spatial.conv",
    "over_c.1": "SpatialGate.spatial.bn",
}
SHAPE = (2, 6, 9, 4)

theirs = runpy.run_path(f"{sys.argv[1]}/{OFFICIAL['file']}")["TripletAttention"]
for file, options in (("triplet", {}), ("triplet_no_spatial", {"no_spatial": True})):
    official = theirs(SHAPE[1], **options).double().eval()
    state = ours("triplet", SHAPE, options).state_dict()
    renamed = {f"{NAMES[key[:8]]}{key[8:]}": value for key, value in state.items()}
    official.load_state_dict(renamed)
    record(file, OFFICIAL, SHAPE, options, official, "Nothing was patched.")
