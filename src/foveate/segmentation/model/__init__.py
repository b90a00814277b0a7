"""Segmenters: any network as a trunk, and a head of DeepLabV3 or of a feature pyramid."""

from foveate.segmentation.model.create import HEADS, create_segmenter
from foveate.segmentation.model.segmenter import Segmenter
from foveate.segmentation.model.store import load_segmenter, save_segmenter

__all__ = ["HEADS", "Segmenter", "create_segmenter", "load_segmenter", "save_segmenter"]
