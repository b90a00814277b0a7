"""Networks as files of other runtimes: ONNX, OpenVINO, ``torch.export``, AOTInductor.

Pure functions over a network and example images; ``foveate export`` opens runs and saved networks
and hands them over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveate.core.lazy import lazily

if TYPE_CHECKING:
    from foveate.export.check import LIMITS as LIMITS
    from foveate.export.check import Check as Check
    from foveate.export.export import Exported as Exported
    from foveate.export.export import export_model as export_model
    from foveate.export.loading import load_exported as load_exported
    from foveate.export.record import Preparation as Preparation
    from foveate.export.record import Subject as Subject
    from foveate.export.settings import TARGETS as TARGETS
    from foveate.export.timing import Speed as Speed

__all__ = [
    "LIMITS",
    "TARGETS",
    "Check",
    "Exported",
    "Preparation",
    "Speed",
    "Subject",
    "export_model",
    "load_exported",
]

_HOMES = {
    "LIMITS": "check",
    "TARGETS": "settings",
    "Check": "check",
    "Exported": "export",
    "Preparation": "record",
    "Speed": "timing",
    "Subject": "record",
    "export_model": "export",
    "load_exported": "loading",
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
