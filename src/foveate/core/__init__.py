"""What every other package stands on: argument checks, errors and optional imports."""

from foveate.core.checks import (
    check_channel_multiple,
    check_choice,
    check_feature_map,
    check_flag,
    check_odd,
    check_positive_int,
    check_ratio,
    check_sides,
)
from foveate.core.errors import MissingExtraError, Words, expected, suggest
from foveate.core.optional import require

__all__ = [
    "MissingExtraError",
    "Words",
    "check_channel_multiple",
    "check_choice",
    "check_feature_map",
    "check_flag",
    "check_odd",
    "check_positive_int",
    "check_ratio",
    "check_sides",
    "expected",
    "require",
    "suggest",
]
