"""``foveate push``: a trained network on the Hugging Face Hub, with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def push(
    run: Annotated[Path, typer.Argument(help="A finished run, or what foveate.save wrote.")],
    repo: Annotated[
        str | None, typer.Argument(help="Where to, OWNER/NAME; made if it is new.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Write it here instead, and upload nothing.")
    ] = None,
    license_: Annotated[
        str | None,
        typer.Option("--license", help="What the weights may be used under, such as apache-2.0."),
    ] = None,
    private: Annotated[bool, typer.Option(help="Whether only you may see it.")] = False,
) -> None:
    """Upload a trained network with a model card, or write what would be uploaded.

    The card is generated: network, attention, sites, costs, results of the run, how to load it,
    license, citations. Logging in is the Hub's own: hf auth login, or HF_TOKEN.

    Example:
        foveate push runs/das me/resnet18-das --folder look-first
        foveate push runs/das me/resnet18-das --license apache-2.0
    """
    from foveate.core import Words, expected
    from foveate.integrations.hub import HubModel
    from foveate.models import load

    if repo is None and folder is None:
        got = Words("neither")
        raise ValueError(expected("foveate push", "OWNER/NAME or --folder", got))
    model = HubModel(load(run))
    of_run = run if (run / "config.toml").is_file() else None
    card = {"run": of_run, "license": license_, "repo_id": repo}
    if folder is not None:
        model.save_pretrained(folder, model_card_kwargs=card)
        typer.echo(f"wrote {folder}; nothing was uploaded")
        return
    where = model.push_to_hub(str(repo), model_card_kwargs=card, private=private or None)
    typer.echo(where)
