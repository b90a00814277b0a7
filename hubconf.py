"""Entrypoints of torch.hub: ``torch.hub.load(REPOSITORY, "resnet50_das")``.

An installed foveate is used; without one, the copy in this repository. ``torch.hub.list`` names the
entrypoints, ``torch.hub.help`` explains them. No weights of gated networks are published:
``pretrained=True`` loads those of the base network, under gates that start closed.
"""

import functools as _functools
import importlib.util as _util
import sys as _sys
from pathlib import Path as _Path

dependencies = ["numpy", "safetensors", "timm", "torch", "torchvision"]

if _util.find_spec("foveate") is None:
    _sys.path.append(str(_Path(__file__).parent / "src"))

import foveate as _foveate  # noqa: E402

_BASES = ("resnet18", "resnet34", "resnet50", "resnet101", "mobilenetv2_100")
_ATTENTIONS = ("das", "das_lite")


@_functools.wraps(_foveate.create_model)
def create_model(*args, **kwargs):
    return _foveate.create_model(*args, **kwargs)


@_functools.wraps(_foveate.load)
def load(*args, **kwargs):
    return _foveate.load(*args, **kwargs)


def _entrypoint(base, attention):
    def make(pretrained=False, **options):
        start = "identity" if pretrained else "paper"
        return _foveate.create_model(
            base, attention, pretrained=pretrained, **{"start": start, **options}
        )

    make.__name__ = f"{base}_{attention}"
    make.__doc__ = (
        f"{base} of timm with the attention {attention} where its paper has it.\n\n"
        "pretrained: load the base's published weights; the gates then start closed.\n"
        "options: as in create_model: num_classes, in_chans, where, start, stem, alpha, ...\n"
    )
    return make


globals().update({f"{b}_{a}": _entrypoint(b, a) for b in _BASES for a in _ATTENTIONS})
