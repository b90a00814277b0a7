"""Networks that `foveate.save` wrote, tampered with in either file."""

import functools
import hashlib
import json

import torch
from folder_readers import _made, _put
from harness import reader
from hypothesis import strategies as st
from mutations import chosen, damaged, json_files

import foveate

MODEL, WEIGHTS = "model.json", "model.safetensors"


@functools.cache
def _saved():
    torch.manual_seed(0)
    net = foveate.create_model("resnet10t", "se", num_classes=3, stem="small", width=0.0625)
    return _made(lambda home: foveate.save(net, home))


@st.composite
def _tampered(draw):
    files = dict(_saved())
    if draw(st.booleans()):
        files[MODEL] = draw(json_files(json.loads(files[MODEL])))
    else:
        content = files[WEIGHTS]
        header = 8 + int.from_bytes(content[:8], "little")
        made = draw(damaged(content[:header]) | chosen(b"", b"\xff" * 16, content[:header]))
        files[WEIGHTS] = made + content[header:]
        # Its hash is right, so that what it holds is read.
        if draw(st.booleans()):
            tree = json.loads(files[MODEL])
            tree["weights"]["sha256"] = hashlib.sha256(files[WEIGHTS]).hexdigest()
            tree["weights"]["bytes"] = len(files[WEIGHTS])
            files[MODEL] = json.dumps(tree).encode()
    return files


@reader("saved models", "folders of foveate.save", _saved(), _tampered())
def read_saved(files, folder):
    _put(files, folder)
    foveate.load(folder)
