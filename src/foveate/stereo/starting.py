"""The stereo network of a recipe, and the weights it starts from."""

from __future__ import annotations

from foveate.stereo.model import StereoNet, create_stereo, take_backbone_
from foveate.stereo.recipe import StereoDataSection, StereoSection


def build_stereo(model: StereoSection, data: StereoDataSection) -> StereoNet:
    """Make the network of a recipe, with the weights that its backbone starts from.

    Raises:
        ValueError: For an unknown model, attention or option, or weights of another network.
        FileNotFoundError: If ``model.weights`` names no folder of trained weights.
    """
    made = create_stereo(
        model.name,
        None if model.attention == "none" else model.attention,
        model.where,
        pretrained=model.pretrained,
        start=model.start,
        position=model.position,
        network=model.network,
        host=model.host,
        stem=model.stem,
        width=model.width,
        size=(data.size, data.width),
        preset=model.preset,
        mean=data.mean,
        std=data.std,
        head=model.head,
        **model.options,
    )
    if model.weights is not None:
        take_backbone_(made, model.weights)
    return made
