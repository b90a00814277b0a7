"""Run a script that makes models by timm, with gated networks registered.

``python -m foveate.integrations.timm train.py DATA --model resnet50.das`` runs timm's own training
script. Names of the form NETWORK.ATTENTION and NETWORK_ATTENTION among the arguments are registered
too, so any network of timm and any attention will do. With several processes:
``torchrun --nproc-per-node 8 -m foveate.integrations.timm train.py DATA --model resnet50.das``.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

from foveate.attention import list_attentions
from foveate.core import Words, expected, require
from foveate.integrations.timm import register


def main(words: list[str]) -> None:
    """Register what the arguments name, then run the script as if it had been called."""
    if not words or words[0] in ("-h", "--help"):
        sys.exit(__doc__)
    script, *arguments = words
    if not Path(script).is_file():
        who = "python -m foveate.integrations.timm"
        sys.exit(expected(who, "the path of a script before its arguments", Words(script)))
    register_named(arguments)
    sys.argv = words
    sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")


def register_named(arguments: list[str]) -> list[str]:
    """Register the gated networks that words of a command line name.

    Example:
        >>> register_named(["photos", "--model", "resnet14t.triplet", "--teacher=resnet26_cbam"])
        ['resnet14t.triplet', 'resnet26.cbam']
    """
    timm: Any = require("timm", "models", "foveate.integrations.timm")
    # Longest first: resnet50_das_lite ends in no other, but gc must not be taken for emca_gc.
    known = sorted(list_attentions(), key=len, reverse=True)
    found: list[str] = []
    for word in arguments:
        name, _, tag = word.rpartition("=")[2].partition(".")
        ends = [one for one in known if name.endswith(f"_{one}")]
        pairs = [(name, tag)] if tag in known else []
        pairs += [(name.removesuffix(f"_{one}"), one) for one in ends]
        for base, attention in pairs:
            if timm.is_model(base) and (tag == attention or not timm.is_model(name)):
                found += register(base, attention)
                break
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
