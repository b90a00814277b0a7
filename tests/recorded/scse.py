"""Record the authors' scSE (ai-med/squeeze_and_excitation, acdd26e, MIT).

Usage: PYTHONPATH=tests python tests/recorded/scse.py CHECKOUT
"""

import sys

from recording import ours, record

sys.path.insert(0, sys.argv[1])
from squeeze_and_excitation.squeeze_and_excitation import ChannelSpatialSELayer

NAMES = {"cSE.fc1": "squeeze", "cSE.fc2": "excite", "sSE.conv": "spatial"}
shape, options = (2, 12, 5, 7), {"reduction": 3}
weights = ours("scse", shape, options).state_dict()
official = ChannelSpatialSELayer(12, reduction_ratio=3).double().eval()
state = {}
for key, value in official.state_dict().items():
    part, leaf = key.rsplit(".", 1)
    state[key] = weights[f"{NAMES[part]}.{leaf}"].reshape(value.shape)
official.load_state_dict(state)
record(
    "scse",
    {
        "repository": "ai-med/squeeze_and_excitation",
        "commit": "acdd26e7e3956b8e3d3b32663a784ebd64c844dd",
        "file": "squeeze_and_excitation/squeeze_and_excitation.py",
        "license": "MIT",
    },
    shape,
    options,
    official,
    "nothing patched; their linear layers are our 1x1 convolutions",
)
