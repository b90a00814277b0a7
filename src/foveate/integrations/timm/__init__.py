"""Gated networks in timm's registry; importing it is all.

It registers the paper's networks with the paper's gate, under two kinds of names each:
``resnet50.das``, a tag of timm's own ``resnet50``, and ``resnet50_das``, an architecture that
``timm.list_models("*das*")`` finds. Whatever takes a name then makes them, timm's own scripts among
them. :func:`register` adds further networks and attentions.

Example:
    >>> import timm, foveate.integrations.timm
    >>> timm.list_models("resnet18_das*")
    ['resnet18_das', 'resnet18_das_lite']
    >>> timm.create_model("resnet18.das", num_classes=10)(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 10])
"""

from foveate.integrations.timm.registering import ATTENTIONS, NETWORKS, register

__all__ = ["ATTENTIONS", "NETWORKS", "register"]

register(NETWORKS, ATTENTIONS)
