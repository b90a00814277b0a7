"""Networks of timm and torchvision with an attention inserted; saving and loading them."""

from foveate.models.create import create_model, list_models, stage_modules
from foveate.models.store import load, save
from foveate.models.width import widen_to

__all__ = ["create_model", "list_models", "load", "save", "stage_modules", "widen_to"]
