"""Deformable convolution: one function, several backends, one reference they all answer to."""

from foveate.ops.backends import Backend
from foveate.ops.deform.arguments import Geometry
from foveate.ops.deform.backends import BACKENDS
from foveate.ops.deform.dispatch import deform_conv2d

__all__ = ["BACKENDS", "Backend", "Geometry", "deform_conv2d"]
