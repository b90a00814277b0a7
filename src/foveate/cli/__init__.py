"""The command line: each file of this folder is a command of the same name, a folder a group.

Command modules import nothing heavy at their top, so ``foveate --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import os
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import typer

ERRORS = (ValueError, TypeError, ImportError, OSError)
INTERRUPTED = 130


def commands(group: ModuleType | None = None) -> dict[str, Callable[..., Any]]:
    """Return the commands by name: in module ``name``, the function ``name`` or ``name_``.

    Args:
        group: The package whose modules they are; by default this one.

    Raises:
        ImportError: If a module holds no such function.
    """
    package = group or sys.modules[__name__]
    found: dict[str, Callable[..., Any]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("_") or info.ispkg:
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        function = getattr(module, info.name, None) or getattr(module, f"{info.name}_", None)
        if not callable(function):
            raise ImportError(f"{module.__name__} expects a function {info.name}; got none")
        found[info.name] = function
    return found


def groups() -> dict[str, ModuleType]:
    """Return the groups of commands by name: the packages of this folder."""
    return {
        info.name: importlib.import_module(f"{__name__}.{info.name}")
        for info in pkgutil.iter_modules(__path__)
        if info.ispkg
    }


def build() -> typer.Typer:
    """Assemble the command line."""
    app = _assembled(
        "foveate",
        "Deformable attention gates (DAS) and their rivals in any convolutional network.",
        commands(),
    )
    app.callback()(_options)
    for name, package in groups().items():
        app.add_typer(_assembled(name, help_of(package), commands(package)))
    return app


def _assembled(name: str, text: str, found: dict[str, Callable[..., Any]]) -> typer.Typer:
    """Make an application of commands."""
    app = typer.Typer(
        name=name,
        help=text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for word, function in found.items():
        app.command(name=word, help=help_of(function))(guarded(function))
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C.

    Args:
        arguments: Words after ``foveate``; by default those of the process.
    """
    typer.main.get_command(build()).main(args=arguments, prog_name="foveate")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"foveate {version('foveate')}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", help="Show the version.", is_eager=True, callback=_show_version
    ),
) -> None:
    """Take the options that stand before a command."""


def help_of(function: Callable[..., Any] | ModuleType) -> str:
    """Return a docstring as help text, with indented paragraphs (examples) kept as they are."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    # A line with \b alone tells click to leave the line breaks of a paragraph.
    return "\n\n".join(f"\b\n{text}" if "\n " in f"\n{text}" else text for text in paragraphs)


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a command so that errors end in one clear line and an exit code.

    ``FOVEATE_DEBUG=1`` shows the traceback instead.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            with plain_warnings():
                return function(*args, **kwargs)
        except KeyboardInterrupt as stop:
            typer.echo(f"foveate: {stop}" if str(stop) else "foveate: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader (head, less) has gone: not a fault, but Python would complain at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except ERRORS as error:
            if debugging():
                raise
            typer.echo(f"foveate: {_text(error)}", err=True)
            raise typer.Exit(1) from None

    return run


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Print a warning as one line, without a place in the code, and each text once."""
    told: set[str] = set()

    def tell(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in told:
            told.add(str(message))
            typer.echo(f"foveate: warning: {message}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = tell
        yield


def debugging() -> bool:
    """Whether ``FOVEATE_DEBUG`` asks for tracebacks."""
    return os.environ.get("FOVEATE_DEBUG", "").lower() not in ("", "0", "false", "no", "off")


def _text(error: BaseException) -> str:
    """Return what to tell the user of an error."""
    if isinstance(error, OSError) and error.strerror and not error.filename:
        return error.strerror
    return str(error) or type(error).__name__
