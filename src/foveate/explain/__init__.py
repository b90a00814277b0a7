"""See what a network looks at: Grad-CAM and its scores, gates, sampling points, pages.

What reads runs loads when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveate.core.lazy import lazily
from foveate.explain.grad_cam import GradCam, grad_cam
from foveate.explain.sampling import SiteGate, SitePoints, gate_maps, sampling_points
from foveate.explain.targets import CamTarget, cam_targets

if TYPE_CHECKING:
    from foveate.explain.subjects import Subject as Subject
    from foveate.explain.subjects import open_subjects as open_subjects

# A name must not be that of its module, which would hide it once imported.
_HOMES = {"Subject": "subjects", "open_subjects": "subjects"}

__all__ = [
    "CamTarget",
    "GradCam",
    "SiteGate",
    "SitePoints",
    "Subject",
    "cam_targets",
    "gate_maps",
    "grad_cam",
    "open_subjects",
    "sampling_points",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
