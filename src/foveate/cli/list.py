"""``foveate list``: what attentions there are."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

HEADS = (
    *("name", "attention", "kind", "year", "site", "params", "MACs", "forward", "starts as"),
    *("verified", "departs"),
)
SHORT = 8
"""So many columns fit a terminal; the rest is for pipes and for ``foveate list NAME``."""


def list_(
    names: Annotated[
        list[str] | None, typer.Argument(help="Say everything about these attentions.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="Only this kind: channel, spatial, both, self-attention, convolution; or ablation,"
            " the designs that the paper holds against its own, which the list leaves out."
        ),
    ] = None,
) -> None:
    """List the attentions, or say everything about some.

    The list has kind, year, default site, and what a ResNet-50 with it costs: parameters, honest
    multiply-accumulates at 224 x 224, and time of a forward pass over that of the plain network.
    In a pipe the output is one line per attention, with tabs between all columns.

    Example:
        foveate list --kind channel
        foveate list triplet das
        foveate list --kind ablation
    """
    if names:
        for name in names:
            _card(name)
        return
    rows = attention_rows(kind)
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from foveate.bench.zoo import plain_words

    table = Table(
        title=f"{len(rows)} attentions",
        caption=plain_words(),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for number, head in enumerate(HEADS[:SHORT]):
        right = number in (5, 6, 7)
        table.add_column(head, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*row[:SHORT])
    Console().print(table)
    typer.echo("foveate list NAME says where it departs from its paper and what it was held to.")


def attention_rows(kind: str | None = None) -> list[tuple[str, ...]]:
    """Return a row of texts per attention, in the order of ``HEADS``.

    Raises:
        ValueError: If the kind is unknown.
    """
    from foveate.attention import attention_spec, list_attentions
    from foveate.bench.zoo import read_zoo

    costs = read_zoo().costs
    names = list_attentions(kind, undefined=True)
    return [_row(attention_spec(name), costs.get(name)) for name in names]


def _row(spec: Any, cost: Any) -> tuple[str, ...]:
    start = "itself" if spec.identity_at_init else "changed"
    if spec.undefined:
        return spec.name, spec.title, spec.kind, *["-"] * (len(HEADS) - 4), spec.undefined
    return (
        *(spec.name, spec.title, spec.kind, str(spec.year), spec.site),
        *(cost.texts[:3] if cost else ("-", "-", "-")),
        *(start, "; ".join(spec.verified) or "-", "; ".join(spec.departs) or "-"),
    )


def _card(name: str) -> None:
    """Print everything that is known about an attention."""
    from foveate.attention import attention_spec
    from foveate.attention.card import facts
    from foveate.bench.zoo import plain_words, read_zoo

    spec = attention_spec(name)
    cost = read_zoo().costs.get(spec.name)
    typer.echo(f"{spec.name}: {spec.title} ({spec.kind}, {spec.year})")
    for head, lines in facts(spec).items():
        for number, line in enumerate(lines):
            typer.echo(f"  {head if number == 0 else '':<20} {line}")
    if cost is not None:
        params, macs, forward, _ = cost.texts
        typer.echo(f"  {'ResNet-50':<20} {params} parameters, {macs} MACs, forward {forward}")
        typer.echo(f"  {'':<20} {plain_words()}")
