"""The detector of a recipe, the weights it starts from, and in which phases it learns."""

from __future__ import annotations

from foveate.detection.model import Detector, create_detector, take_backbone_
from foveate.detection.recipe import DetectionDataSection, DetectionRecipe, DetectorSection
from foveate.surgery import is_inserted_path
from foveate.training.phases import Phase, Phases


def warm_phases(detector: Detector, recipe: DetectionRecipe) -> Phases | None:
    """Return what holds parts of a detector back before its schedule begins; None for nothing."""
    how, (first, second) = recipe.train.warm_start, recipe.train.warm_start_epochs
    if how == "none":
        return None
    body = next(name for name, one in detector.named_modules() if one is detector.network) + "."

    def held(name: str) -> bool:
        if how == "backbone_then_all":
            return not name.startswith(body)
        return is_inserted_path(name)

    return Phases(detector, [Phase(first, held), Phase(second, lambda _: False)])


def build_detector(model: DetectorSection, data: DetectionDataSection, classes: int) -> Detector:
    """Make the detector of a recipe, with the weights that its backbone starts from.

    Raises:
        ValueError: For an unknown model, attention or option, or weights of another network.
        FileNotFoundError: If ``model.weights`` names no folder of trained weights.
    """
    attention = None if model.attention == "none" else model.attention
    detector = create_detector(
        model.detector,
        model.name,
        attention,
        model.where,
        classes=classes,
        pretrained=model.pretrained,
        start=model.start,
        position=model.position,
        network=model.network,
        host=model.host,
        stem=model.stem,
        width=model.width,
        preset=model.preset,
        batch_norm=model.batch_norm,
        trainable_stages=model.trainable_stages,
        size=([*data.multi_scale, data.size], data.max_size),
        mean=data.mean,
        std=data.std,
        detector_options=model.detector_options,
        **model.options,
    )
    if model.weights is not None:
        take_backbone_(detector, model.weights)
    return detector
