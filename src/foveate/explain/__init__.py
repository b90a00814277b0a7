"""See what a network looks at: Grad-CAM, gate maps and the sampling points of deformable gates."""

from foveate.explain.gallery import write_gallery
from foveate.explain.grad_cam import GradCam, grad_cam
from foveate.explain.sampling import SiteGate, SitePoints, gate_maps, sampling_points
from foveate.explain.targets import CamTarget, cam_targets

__all__ = [
    "CamTarget",
    "GradCam",
    "SiteGate",
    "SitePoints",
    "cam_targets",
    "gate_maps",
    "grad_cam",
    "sampling_points",
    "write_gallery",
]
