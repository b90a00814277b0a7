"""``foveate list``: what attentions there are."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

CHANNELS = 256
HEADS = ("name", "title", "kind", "year", "site", f"params at C={CHANNELS}", "departs")


def list_(
    kind: Annotated[
        str | None,
        typer.Option(help="Only this kind: channel, spatial, both, self-attention, convolution."),
    ] = None,
) -> None:
    """List the attentions: name, kind, year, default site, parameters, departures.

    In a pipe the output is one line per attention, with tabs between the columns.

    Example:
        foveate list --kind channel
    """
    rows = attention_rows(kind)
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*HEADS, title=f"{len(rows)} attentions", show_lines=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def attention_rows(kind: str | None = None) -> list[tuple[str, ...]]:
    """Return a row of texts per attention, in the order of ``HEADS``.

    Raises:
        ValueError: If the kind is unknown.
    """
    from foveate.attention import attention_spec, list_attentions

    return [_row(attention_spec(name)) for name in list_attentions(kind)]


def _row(spec: Any) -> tuple[str, ...]:
    params = f"{spec.params(CHANNELS):,}"
    departs = "; ".join(spec.departs) or "-"
    return spec.name, spec.title, spec.kind, str(spec.year), spec.site, params, departs
