"""Record the global context block from the authors' code.

    PYTHONPATH=tests python tests/recorded/gc.py CHECKOUT

CHECKOUT is xvjiarui/GCNet at 029db54.
"""

import runpy
import sys
import types

from recording import ours, record

OFFICIAL = {
    "repository": "xvjiarui/GCNet",
    "commit": "029db5407dc27147eb1d41f62b09dfed8ec88837",
    "file": "mmdet/ops/gcb/context_block.py",
    "license": "Apache-2.0",
}
REMARKS = """\
mmcv, which it imports for two initializations alone, was replaced by a module whose two do \
nothing."""
NAMES = {
    "layer.conv_attn": "conv_mask",
    "layer.mlp_add.fc1": "channel_add_conv.0",
    "layer.mlp_add.norm": "channel_add_conv.1",
    "layer.mlp_add.fc2": "channel_add_conv.3",
}
SHAPE, OPTIONS = (2, 16, 3, 2), {"reduction": 4}

sys.modules["mmcv"] = types.ModuleType("mmcv")
sys.modules["mmcv.cnn"] = stand_in = types.ModuleType("mmcv.cnn")
stand_in.constant_init = stand_in.kaiming_init = lambda *args, **kwargs: None

theirs = runpy.run_path(f"{sys.argv[1]}/{OFFICIAL['file']}")["ContextBlock"]
official = theirs(SHAPE[1], 1 / OPTIONS["reduction"]).double().eval()
state = official.state_dict()
renamed = {}
for key, value in ours("gc", SHAPE, OPTIONS).state_dict().items():
    layer, what = key.rsplit(".", 1)
    name = f"{NAMES[layer]}.{what}"
    renamed[name] = value.view_as(state[name])
official.load_state_dict(renamed)
record("gc", OFFICIAL, SHAPE, OPTIONS, official, REMARKS, idle=["layer.conv_attn.bias"])
