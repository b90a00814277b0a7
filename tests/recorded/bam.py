"""Record bottleneck attention from the authors' code.

    PYTHONPATH=tests python tests/recorded/bam.py CHECKOUT

CHECKOUT is Jongchan/attention-module at 459efad.
"""

import runpy
import sys

from recording import ours, record

OFFICIAL = {
    "repository": "Jongchan/attention-module",
    "commit": "459efad0e05ee7dde50c41ca10a3d0800bc3792a",
    "file": "MODELS/bam.py",
    "license": "MIT",
}
REMARKS = """\
Its constructor stores an undefined name, gate_activation, which was defined as None; a square \
map, as its average pool is right for no other."""
NAMES = {
    "by_channel.0": "channel_att.gate_c.gate_c_fc_0",
    "by_channel.1": "channel_att.gate_c.gate_c_bn_1",
    "by_channel.3": "channel_att.gate_c.gate_c_fc_final",
    "by_position.0": "spatial_att.gate_s.gate_s_conv_reduce0",
    "by_position.1": "spatial_att.gate_s.gate_s_bn_reduce0",
    "by_position.3": "spatial_att.gate_s.gate_s_conv_di_0",
    "by_position.4": "spatial_att.gate_s.gate_s_bn_di_0",
    "by_position.6": "spatial_att.gate_s.gate_s_conv_di_1",
    "by_position.7": "spatial_att.gate_s.gate_s_bn_di_1",
    "by_position.9": "spatial_att.gate_s.gate_s_conv_final",
}
SHAPE = (2, 48, 10, 10)

code = runpy.run_path(f"{sys.argv[1]}/{OFFICIAL['file']}", {"gate_activation": None})
official = code["BAM"](SHAPE[1]).double().eval()
renamed = {}
for key, value in ours("bam", SHAPE, {}).state_dict().items():
    layer, what = key.rsplit(".", 1)
    renamed[f"{NAMES[layer]}.{what}"] = value
official.load_state_dict(renamed)
record("bam", OFFICIAL, SHAPE, {}, official, REMARKS)
