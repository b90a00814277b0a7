"""The reference: a page for each public package, with every name of its ``__all__``."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import sys
from types import ModuleType
from typing import Any

import foveate

# The command line has pages of its own: --help.
LEFT_OUT = ("cli",)
FOLDER = "reference"


def packages() -> list[str]:
    """The public packages, foveate itself first."""
    found = [one.name for one in pkgutil.iter_modules(foveate.__path__) if one.ispkg]
    return ["foveate", *(f"foveate.{name}" for name in sorted(found) if name not in LEFT_OUT)]


def public_names(package: str) -> list[str]:
    """The names that a package promises; submodules are not among them."""
    module = importlib.import_module(package)
    names = getattr(module, "__all__", [])
    return [name for name in names if not name.startswith("__") and not _is_module(module, name)]


def home_of(package: str, name: str) -> str:
    """The dotted path at which a public name is defined.

    Raises:
        LookupError: If no module of foveate defines it.
    """
    found = getattr(importlib.import_module(package), name)
    ours = str(getattr(found, "__module__", "")).startswith("foveate")
    if ours and (inspect.isclass(found) or inspect.isroutine(found)):
        return f"{found.__module__}.{found.__qualname__}"
    for path in sorted(sys.modules):
        module = sys.modules[path]
        if not path.startswith("foveate") or getattr(module, name, None) is not found:
            continue
        if _assigns(module, name):
            return f"{path}.{name}"
    raise LookupError(f"{package}.{name}: no module of foveate defines it")


@functools.cache
def homes() -> dict[str, str]:
    """Where each documented name is defined, by its public path and by itself."""
    found: dict[str, str] = {}
    for package in packages():
        for name in public_names(package):
            home = home_of(package, name)
            found[f"{package}.{name}"] = found[home] = found[name] = home
    return found


@functools.cache
def pages() -> dict[str, str]:
    """The pages by name; a name that several packages share is described by one of them."""
    made, told = {}, {}
    # From the bottom up: foveate itself only points to the packages.
    for package in [*packages()[1:], "foveate"]:
        lines = [f"# {package}", "", _first_words(package), ""]
        names = public_names(package)
        if not names:
            lines += _entry(package, members=True)
        for name in names:
            home = home_of(package, name)
            if home in told:
                lines += [f"- [`{name}`][{home}], of [{told[home]}]({_page(told[home], True)})"]
            else:
                told[home] = package
                lines += _entry(home, members=True)
        made[_page(package)] = "\n".join([*lines, ""])
    made[f"{FOLDER}/index.md"] = _index()
    return made


def _index() -> str:
    lines = [
        "# Reference",
        "",
        "Made from the docstrings. A package imports only from those below it.",
        "",
        "| package | what it is | names |",
        "|---|---|---|",
    ]
    for package in packages():
        names = ", ".join(f"[`{name}`][{home_of(package, name)}]" for name in public_names(package))
        link = f"[{package}]({_page(package, True)})"
        lines.append(f"| {link} | {_first_words(package)} | {names or '-'} |")
    return "\n".join([*lines, ""])


def _entry(path: str, members: bool) -> list[str]:
    options = ["    options:", f"      members: {'true' if members else 'false'}"]
    return [f"::: {path}", *options, ""]


def _page(package: str, near: bool = False) -> str:
    name = package.removeprefix("foveate.") + ".md"
    return name if near else f"{FOLDER}/{name}"


def _first_words(package: str) -> str:
    text = inspect.getdoc(importlib.import_module(package)) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def _is_module(module: ModuleType, name: str) -> bool:
    return isinstance(getattr(module, name), ModuleType)


def _assigns(module: Any, name: str) -> bool:
    """Whether the text of a module gives the name its value."""
    if not isinstance(module, ModuleType) or name not in vars(module):
        return False
    text = inspect.getsource(module)
    return any(line.startswith((f"{name} =", f"{name}:")) for line in text.splitlines())
