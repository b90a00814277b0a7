"""Surgery: insert attentions into a network by rule, and take them out again, exactly."""

from foveate.attention.where import SITES, is_where
from foveate.surgery.holder import is_inserted_path
from foveate.surgery.insert import (
    insert_,
    inserted,
    plan,
    remove_,
    set_openness_,
    stage_ends,
)
from foveate.surgery.insertion import HOSTS, Insertion, Site

__all__ = [
    "HOSTS",
    "SITES",
    "Insertion",
    "Site",
    "insert_",
    "inserted",
    "is_inserted_path",
    "is_where",
    "plan",
    "remove_",
    "set_openness_",
    "stage_ends",
]
