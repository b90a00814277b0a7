"""Surgery: insert attentions into a network by rule, and take them out again, exactly."""

from foveate.surgery.insert import (
    insert_,
    inserted,
    plan,
    remove_,
    set_openness_,
    stage_ends,
)
from foveate.surgery.insertion import Insertion, Site
from foveate.surgery.sites import PRESETS

__all__ = [
    "PRESETS",
    "Insertion",
    "Site",
    "insert_",
    "inserted",
    "plan",
    "remove_",
    "set_openness_",
    "stage_ends",
]
