"""Make networks of timm and torchvision, with an attention inserted."""

from __future__ import annotations

import fnmatch
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foveate.attention import attention_spec
from foveate.core import Words, check_choice, check_positive_int, expected, require, suggest
from foveate.core.offline import absent, fetching, offline
from foveate.models.dilation import dilation_arguments
from foveate.models.gsop_net import second_order_head_
from foveate.models.stem import shrink_stem_
from foveate.models.width import width_arguments
from foveate.surgery import insert_, stage_ends

HEADS = {"second_order": second_order_head_}
"""What a whole network may put in place of its pooling and its classifier."""

_TORCHVISION = "torchvision/"


def create_model(
    name: str,
    attention: str | None = None,
    where: str | list[str] | None = None,
    *,
    start: str = "paper",
    position: str = "after",
    network: str | None = None,
    host: str | None = None,
    num_classes: int = 1000,
    pretrained: bool = False,
    stem: str = "imagenet",
    width: float = 1.0,
    in_chans: int = 3,
    output_stride: int = 32,
    example: Any = None,
    **options: Any,
) -> nn.Module:
    """Make a network and insert an attention into it.

    Args:
        name: A model of timm, or ``"torchvision/<name>"``.
        attention: Registry name; None or ``"none"`` for the plain network.
        where: Sites, see :func:`foveate.insert_`; None takes the attention's own.
        start: ``"paper"`` or ``"identity"``.
        position: ``"after"`` the last activation of each site or ``"before"`` it.
        network: A whole network of the attention's paper, such as ``"net1"`` of ``"gsop"``: its
            sites, its changes to the network and its head; what is given beside it counts more.
        host: A change to the network itself, see :func:`foveate.insert_`.
        num_classes: Outputs of the classifier.
        pretrained: Whether to load published weights (they are downloaded once).
        stem: ``"imagenet"``, or ``"small"`` for images of 32 pixels or so: a 3x3 convolution of
            stride 1 and no pooling, so that the last stage keeps a map worth looking at.
        width: Factor on the channels of every layer, for controls of equal size.
        in_chans: Channels of the images.
        output_stride: Pixels of the image to a cell of the last map: 32, or 16 or 8 by dilating
            the last stages, for the families that can.
        example: Images of the size that the network is for, so that a map too small for the
            attention is refused here, with the name of its site; None takes the network's own.
        **options: Options of the attention.

    Raises:
        ValueError: If a name or an option is wrong, the family has no width, or the stem cannot
            be shrunk.
        ImportError: If timm or torchvision is missing.
        OSError: If published weights are neither here nor to be had, or ``HF_HUB_OFFLINE`` forbids
            to fetch them.

    Example:
        >>> model = create_model("resnet18", "das", num_classes=10, stem="small")
        >>> sum(p.numel() for p in model.parameters())
        11923280
    """
    if attention is not None and not isinstance(attention, str):
        remedy = "insert a callable with foveate.insert_"
        raise TypeError(expected("create_model", "attention as a string", attention, remedy))
    model = base_network(
        name,
        num_classes=num_classes,
        pretrained=pretrained,
        stem=stem,
        width=width,
        in_chans=in_chans,
        output_stride=output_stride,
    )
    if attention is None or attention == "none":
        given = {**options, "where": where, "network": network, "host": host}
        got = ", ".join(name for name, value in given.items() if value is not None)
        if got:
            raise ValueError(expected("create_model", "options only with an attention", Words(got)))
    else:
        if example is None and stem == "small":
            example = torch.zeros(1, in_chans, 64, 64)
        whole = _whole(attention, network)
        insert_(
            model,
            attention,
            whole.get("where") if where is None else where,
            start=start,
            position=position,
            host=whole.get("host") if host is None else host,
            example=example,
            **options,
        )
        if "head" in whole:
            _put_head_(model, whole["head"])
    return model


def base_network(
    name: str,
    *,
    num_classes: int = 1000,
    pretrained: bool = False,
    stem: str = "imagenet",
    width: float = 1.0,
    in_chans: int = 3,
    output_stride: int = 32,
    head: str | None = None,
) -> nn.Module:
    """Make a network without attention.

    Arguments and errors are those of :func:`create_model`; ``head`` is one of ``HEADS``, or None
    for the network's own. What rebuilds the network is put into its ``foveate_spec``.
    """
    who = "create_model"
    if not isinstance(name, str):
        raise TypeError(expected(who, "name as a string", name))
    check_choice(who, "stem", stem, ("imagenet", "small"))
    check_positive_int(who, "num_classes", num_classes)
    check_positive_int(who, "in_chans", in_chans)
    if pretrained and width != 1.0:
        raise ValueError(expected(who, "width=1 with pretrained weights", width))
    extra = {**width_arguments(name, width), **dilation_arguments(name, output_stride)}
    model = _plain(name, num_classes, pretrained, in_chans, extra)
    if stem == "small":
        shrink_stem_(model)
    model.foveate_spec = {  # type: ignore[assignment]
        "name": name,
        "num_classes": num_classes,
        "stem": stem,
        "width": width,
        "in_chans": in_chans,
        "output_stride": output_stride,
        "head": None,
    }
    if head is not None:
        check_choice(who, "head", head, HEADS)
        _put_head_(model, head)
    return model


def _put_head_(model: nn.Module, head: str) -> None:
    HEADS[head](model)
    spec: Any = model.foveate_spec
    spec["head"] = head


def _whole(attention: str, network: str | None) -> dict[str, str]:
    """The settings of a whole network of an attention's paper."""
    if network is None:
        return {}
    known = attention_spec(attention).networks
    if network not in known:
        rule = f"a network of {attention!r}"
        remedy = suggest(network, known) if known else "its paper has none that is known here"
        raise ValueError(expected("create_model", rule, network, remedy))
    return known[network]


def list_models(pattern: str = "*") -> list[str]:
    """Name the networks that :func:`create_model` makes, those of torchvision with a prefix."""
    timm: Any = require("timm", "models", "list_models")
    vision: Any = require("torchvision.models", "models", "list_models")
    ours = [f"{_TORCHVISION}{name}" for name in vision.list_models(module=vision)]
    return [*timm.list_models(pattern), *(one for one in ours if fnmatch.fnmatch(one, pattern))]


def stage_modules(model: nn.Module, example: Any = None) -> list[str]:
    """Names of the modules whose outputs end the stages, gates included, in order."""
    return list(stage_ends(model, example).values())


def _plain(
    name: str, num_classes: int, pretrained: bool, in_chans: int, extra: dict[str, Any]
) -> nn.Module:
    """Make the network without attention."""
    if name.startswith(_TORCHVISION):
        vision: Any = require("torchvision.models", "models", "create_model")
        bare = name.removeprefix(_TORCHVISION)
        known = vision.list_models(module=vision)
        if bare not in known:
            raise ValueError(
                expected(
                    "create_model", "a model of torchvision", bare, suggest(bare, known, limit=5)
                )
            )
        if in_chans != 3:
            raise ValueError(expected(f"create_model ({name})", "in_chans=3", in_chans))
        weights = "DEFAULT" if pretrained else None
        if pretrained and num_classes != 1000:
            raise ValueError(
                expected(
                    f"create_model ({name})",
                    "num_classes=1000 with pretrained weights",
                    num_classes,
                    "use the timm model of that name, which replaces the classifier",
                )
            )
        with warnings.catch_warnings():
            # torchvision announces that it will initialize Inception and GoogLeNet otherwise.
            warnings.simplefilter("ignore", FutureWarning)
            if pretrained:
                _check_at_hand(vision, bare)
            with fetching(*_asked(name)):
                made: nn.Module = vision.get_model(
                    bare, weights=weights, num_classes=num_classes, **extra
                )
        return made
    timm: Any = require("timm", "models", "create_model")
    if not timm.is_model(name.split(".")[0]):
        known = timm.list_models()
        remedy = suggest(name, known, limit=5) + "; or 'torchvision/<name>'"
        raise ValueError(expected("create_model", "a model of timm", name, remedy))
    with fetching(*_asked(name)):
        model: nn.Module = timm.create_model(
            name, pretrained=pretrained, num_classes=num_classes, in_chans=in_chans, **extra
        )
    return model


def _asked(name: str) -> tuple[str, str]:
    return "create_model", f"the published weights of {name}"


def _check_at_hand(vision: Any, bare: str) -> None:
    """Check that published weights of torchvision lie here, where ``HF_HUB_OFFLINE`` is set.

    Raises:
        OSError: If they do not: torchvision itself knows no such variable, and would fetch them.
    """
    address = vision.get_model_weights(bare).DEFAULT.url
    file = Path(torch.hub.get_dir()) / "checkpoints" / address.rpartition("/")[2]
    if offline() and not file.is_file():
        raise absent(*_asked(f"{_TORCHVISION}{bare}"), True, f"no {file}")
