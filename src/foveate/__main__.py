"""The command line's door: ``foveate`` and ``python -m foveate``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say which extra brings it."""
    try:
        import typer  # noqa: F401
    except ModuleNotFoundError:
        # Not by foveate.core, which imports torch: --help is to answer at once.
        remedy = 'run `pip install "foveate[train]"`'
        sys.exit(f"foveate: the command line needs the package typer; {remedy}")
    from foveate.cli import main as run

    run()


if __name__ == "__main__":
    main()
