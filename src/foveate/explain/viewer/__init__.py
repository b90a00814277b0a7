"""The viewer: one HTML file in which hovering over an image shows where every gate samples."""

from foveate.explain.viewer.page import write_viewer
from foveate.explain.viewer.record import CamMap, ViewedGate, ViewedImage, ViewedNetwork, viewed

__all__ = ["CamMap", "ViewedGate", "ViewedImage", "ViewedNetwork", "viewed", "write_viewer"]
