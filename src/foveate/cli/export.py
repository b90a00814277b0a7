"""``foveate export``: a network as a file of another runtime, checked against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from foveate.export import Exported

FOLDER = Path("exported")


def export(
    target: Annotated[
        str,
        typer.Argument(
            help="A run folder, a folder of foveate.save, or the name of a model with published"
            " weights. Of a detector, the backbone and the pyramid are exported."
        ),
    ],
    to: Annotated[
        str, typer.Option("--to", help="onnx, openvino, torch-export or aoti (AOTInductor).")
    ] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(help="The file; by default exported/NAME with the runtime's ending."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Run the file against PyTorch; too large a difference leaves no file.",
        ),
    ] = True,
    images: Annotated[
        str | None,
        typer.Option(
            help="A folder of images, or a source such as scenes, to check on; by default the"
            " validation images of the run, else seeded noise."
        ),
    ] = None,
    dynamic: Annotated[
        str, typer.Option(help="What may change from call to call: batch, size, or both.")
    ] = "batch,size",
    fixed: Annotated[bool, typer.Option("--fixed", help="Nothing may change.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time, if that is fixed.")] = 1,
    size: Annotated[
        int | None, typer.Option(min=8, help="Side of the images, for a model that is no run.")
    ] = None,
    deform: Annotated[
        str | None,
        typer.Option(
            help="How deformable convolutions are written: deformconv, gridsample or gather; by"
            " default what suits the runtime."
        ),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Half precision: float16 in ONNX, else bfloat16.")
    ] = False,
    opset: Annotated[
        int | None, typer.Option(help="Of ONNX; 20 by default, DeformConv needs 19.")
    ] = None,
    latency: Annotated[
        bool, typer.Option("--latency/--no-latency", help="Time the file beside PyTorch.")
    ] = True,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; by default torch's.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Write a network as a file for another runtime, run it, and compare it with PyTorch.

    Beside the file lies a JSON that says how to prepare images, what comes out, and what the check
    found. Ctrl-C and a failed check leave no file.

    Example:
        foveate export runs/das-seed0 --to onnx --check
        foveate export runs/das-seed0 --to openvino --images photos --out das.xml
        foveate export resnet50 --to onnx --deform gridsample --dynamic batch
        foveate export runs/detector --to onnx --fixed --size 320
    """
    from foveate.cli._exporting import images_of, open_network
    from foveate.cli._words import words
    from foveate.export import export_model
    from foveate.export.check import noise

    def tell(text: str) -> None:
        if not quiet:
            typer.echo(f"{text} ...", err=True)

    tell(f"opening {target}")
    opened = open_network(target, size)
    typer.echo(f"exporting {opened.what}")
    found = images_of(opened, images) if check or images else None
    if check and found is None:
        typer.echo("no images are known: checking on seeded noise (--images FOLDER for real ones)")
    side = opened.data.size
    channels = getattr(opened.model, "foveate_spec", {}).get("in_chans", 3)
    try:
        done = export_model(
            opened.model,
            out or FOLDER / opened.name,
            noise((batch_size, channels, side, side)),
            to=to,
            dynamic=() if fixed else words(dynamic),
            deform=deform,
            half=half,
            opset=opset,
            names=opened.outputs,
            subject=opened.about,
            images=None if found is None else found[0],
            images_are=None if found is None else found[1],
            check=check,
            measure=latency,
            threads=threads,
            force=force,
            tell=tell,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; no file was written") from None
    for line in report(done):
        typer.echo(line)


def report(done: Exported) -> list[str]:
    """Say what was written and what it came to."""
    record = done.record
    shape = " x ".join(str(one) for one in record["input"]["shape"])
    outputs = ", ".join(record["outputs"])
    lines = [f"input:     {record['input']['name']} {shape}, outputs {outputs}"]
    if record["deform"]:
        lines.append(f"deform:    {record['deform']}")
    if "precision" in record:
        lines.append(f"precision: {record['precision']}, by {record['ran_in']}")
    if done.check is not None:
        found = done.check
        agree = "" if found.agree is None else f"; same class in {100 * found.agree:.0f} %"
        lines.append(
            f"check:     largest difference {found.absolute:.1e}, relative {found.relative:.1e}"
            f" (limit {found.limit:.0e}) on {found.images}, {len(found.cases)} shapes{agree}"
        )
    else:
        lines.append("check:     not run")
    if done.speed is not None:
        speed = done.speed
        size = " x ".join(str(one) for one in speed.shape)
        lines.append(
            f"latency:   {speed.exported.ms:.1f} ms beside {speed.eager.ms:.1f} ms of PyTorch:"
            f" {speed.exported.ratio:.2f}x ({speed.exported.low:.2f}-{speed.exported.high:.2f}),"
            f" {size}, {speed.threads} thread{'s' if speed.threads > 1 else ''}"
        )
    lines.append(f"files:     {', '.join(str(one) for one in done.files)}")
    return lines
