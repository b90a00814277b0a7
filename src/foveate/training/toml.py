"""TOML in and out, and pydantic's complaints in the words of this library."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ValidationError

from foveate.core import Words, expected, require, suggest
from foveate.core.files import write_bytes
from foveate.core.reading import read_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_MOST = 1 << 22
# A key of n dotted parts costs n^2 to read.
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){32}""")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no TOML (the line is named), or larger than 4 MiB.
    """
    try:
        return _parsed(read_file(path, _MOST).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(expected(str(path), "valid TOML", Words(f"an error: {error}"))) from None


def _parsed(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        RecursionError: If it is nested too deeply.
        ValueError: If it is none, or a key has so many parts that reading it would take minutes.
    """
    if _LONG_KEY.search(text):
        raise ValueError("a key of more than 32 parts")
    tree: dict[str, Any] = tomllib.loads(text)
    return tree


def parse_value(text: str) -> Any:
    """Read one TOML value; what is none is taken as a string.

    Example:
        >>> parse_value("[1, 2]"), parse_value("1e-3"), parse_value("das")
        ([1, 2], 0.001, 'das')
    """
    try:
        return _parsed(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _finite(value: Any) -> Any:
    """Refuse infinities and NaN in options, as typed settings do: a recipe must equal itself."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected finite numbers; got {value}")
    parts = value.values() if isinstance(value, dict) else value
    for one in parts if isinstance(value, (dict, list, tuple)) else ():
        _finite(one)
    return value


Options = Annotated[dict[str, Any], AfterValidator(_finite)]
"""Settings whose names only what they are for knows."""


def write_toml(path: Path, tree: dict[str, Any]) -> None:
    """Write a nested dictionary as TOML, in one piece or not at all."""
    writer = require("tomli_w", "train", "writing a recipe")
    write_bytes(path, writer.dumps(tree).encode())


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the pydantic model an annotation stands for, looking through unions."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _known_keys(root: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the section at ``location`` knows."""
    model: type[BaseModel] | None = root
    named = False  # In a table of tables the next part is a name, not a key of the model.
    for part in location:
        if named:
            named = False
            continue
        field = model.model_fields.get(str(part)) if model else None
        model = _model_of(field.annotation) if field else None
        named = field is not None and get_origin(field.annotation) is dict
    return list(model.model_fields) if model else []


def _elsewhere(root: type[BaseModel], key: str) -> list[str]:
    """Return the sections of ``root`` that know ``key``, for keys put in the wrong table."""
    found = [""] if key in root.model_fields else []
    for name, field in root.model_fields.items():
        model = _model_of(field.annotation)
        if model and key in model.model_fields:
            found.append(name)
    return found


def describe_errors(error: ValidationError, root: type[BaseModel], who: str, rule: str) -> str:
    """Put all errors of one file into one message: what is wrong, where, and the near keys."""
    lines: list[str] = []
    seen: set[tuple[int | str, ...]] = set()
    for item in error.errors(include_url=False):
        location = item["loc"]
        if item["type"] == "extra_forbidden":
            section, key = location[:-1], str(location[-1])
            place = f"in [{'.'.join(map(str, section))}]" if section else "at the top"
            remedy = suggest(key, _known_keys(root, section))
            homes = [f"[{home}]" if home else "the top" for home in _elsewhere(root, key)]
            if homes:
                remedy = f"it belongs in {' or '.join(homes)}"
            lines.append(f"unknown key {key!r} {place}; {remedy}")
            continue
        if item["type"] == "value_error":
            message = str(item["ctx"]["error"])
        else:
            message = f"{item['msg'][0].lower()}{item['msg'][1:]}, got {item['input']!r}"
        # A union reports each of its branches: the first one says enough.
        key_path = tuple(part for part in location if isinstance(part, str))
        if key_path in seen and item["type"] != "value_error":
            continue
        seen.add(key_path)
        where = ".".join(map(str, location))
        lines.append(f"{where}: {message}" if where else message)
    count = f"{len(lines)} error" + ("s" if len(lines) > 1 else "")
    return expected(who, rule, Words(count + "".join(f"\n  - {line}" for line in lines)))
