"""Networks of timm and torchvision with an attention inserted; saving and loading them."""

from foveate.models.control import widen_to
from foveate.models.create import create_model, list_models, stage_modules
from foveate.models.store import load, save

__all__ = ["create_model", "list_models", "load", "save", "stage_modules", "widen_to"]
