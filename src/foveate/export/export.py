"""One network to one file: traced, written, run against PyTorch, and only then put in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import Words, expected
from foveate.core.modes import evaluation
from foveate.export.check import Check, batches, compare, limit_of, noise, refuse
from foveate.export.program import DYNAMIC, Program, trace
from foveate.export.record import Subject, compose, measured, record_path, write_record
from foveate.export.settings import Settings, Target, find_target, target_of
from foveate.export.timing import Speed, time_beside
from foveate.surgery.compiled import refuse_wrapped

_NOISE = "seeded noise"


@dataclass(frozen=True)
class Exported:
    """What an export left.

    Attributes:
        file: To open in the runtime.
        files: All that belongs together, the record among it.
        record: What stands in the JSON.
        check: The comparison with PyTorch; None if it was not asked for.
        speed: The latency beside PyTorch's; None if it was not asked for.
    """

    file: Path
    files: tuple[Path, ...]
    record: dict[str, Any]
    check: Check | None
    speed: Speed | None


def export_model(
    model: nn.Module,
    file: str | os.PathLike[str],
    example: Tensor,
    *,
    to: str = "onnx",
    dynamic: Sequence[str] = DYNAMIC,
    deform: str | None = None,
    half: bool = False,
    opset: int | None = None,
    names: Sequence[str] | None = None,
    subject: Subject | None = None,
    images: Tensor | None = None,
    images_are: str | None = None,
    check: bool = True,
    measure: bool = False,
    threads: int | None = None,
    force: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Write a network as a file of a runtime, checked against PyTorch.

    The network itself is not changed. A file that is too far from PyTorch, or that could not be
    finished, does not appear.

    Args:
        model: A network on the CPU in float32 that takes one batch of images.
        file: Where to; the runtime's ending is added if it has another.
        example: Images (N, C, H, W) float32, prepared as the network wants them; fixed axes get
            its sizes.
        to: ``"onnx"``, ``"openvino"``, ``"torch-export"`` or ``"aoti"``.
        dynamic: What may change from call to call: ``"batch"``, ``"size"``.
        deform: The form of deformable convolutions: ``"deformconv"``, ``"gridsample"`` or
            ``"gather"``; None takes the runtime's own, see :data:`foveate.export.TARGETS`.
        half: Half precision: float16 in ONNX, else bfloat16.
        opset: Of ONNX; 20 by default.
        names: Of the outputs; by default their keys, or ``output``.
        subject: What is exported, for the record.
        images: What to check on (N, C, H, W) float32, prepared; by default seeded noise.
        images_are: The same in words.
        check: Whether to compare with PyTorch.
        measure: Whether to time it beside PyTorch.
        threads: Of the runtime when it is run here; those of torch by default.
        force: Whether files of that name are replaced.
        tell: Told what is being done.

    Raises:
        FileExistsError: If the file, or one that goes beside it, is there and ``force`` is not set.
        IsADirectoryError: If a folder is.
        ImportError: If a package of the extra ``export`` is missing.
        TypeError: If the network returns something else than tensors, or is not in float32.
        ValueError: If it cannot be exported this way (what can be done is said), or the check
            found too large a difference.

    Example:
        >>> import tempfile, foveate
        >>> from foveate.export import export_model, load_exported
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), foveate.create_attention("das", 8)).eval()
        >>> x = torch.rand(1, 3, 16, 16)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     done = export_model(net, f"{folder}/net", x, to="torch-export", dynamic=("batch",))
        ...     run = load_exported(done.file)
        ...     same = torch.allclose(run(x)[0], net(x), atol=1e-5)
        >>> done.file.name, done.check.passed, same
        ('net.pt2', True, True)
    """
    target = find_target(to, deform)
    _check_arguments(model, example, images)
    path = _path_of(Path(file), target)
    _check_free(path, target, force)
    with evaluation(model):
        tell("tracing the network")
        program = _traced(model, example, target, dynamic, deform, half, names)
        return export_program(
            model,
            program,
            path,
            target,
            settings=Settings(half, opset, threads or torch.get_num_threads()),
            subject=subject or Subject(),
            images=noise((8, *example.shape[1:])) if images is None else images,
            images_are=images_are or (_NOISE if images is None else "images that were given"),
            check=check,
            measure=measure,
            tell=tell,
        )


def export_program(
    model: nn.Module,
    program: Program,
    path: Path,
    target: Target,
    *,
    settings: Settings,
    subject: Subject,
    images: Tensor,
    images_are: str,
    check: bool,
    measure: bool,
    tell: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Write a traced network, run it, and put its files in place; see :func:`export_model`."""
    with _staging(path) as (place, put):
        tell(f"writing for {target.title}")
        written = target.write(program, place / path.name, settings)
        record = compose(target, program, written, subject, half=settings.half)
        found = speed = None
        if check or measure:
            tell(f"opening in {target.title}")
            runner = target.open(written[0], settings, record)
            given = batches(images, program)
            if check:
                limit = limit_of(target, half=settings.half)
                found = compare(model, runner, given, limit=limit, images=images_are, tell=tell)
                refuse(target, runner, found)
            if measure:
                tell("timing beside PyTorch")
                speed = time_beside(model, runner, given[0], threads=settings.threads)
            record |= measured(runner, found, speed)
        else:
            record |= {"check": "not run", "latency": "not measured"}
        write_record(written[0], record)
        files = put([*written[1:], record_path(written[0]), written[0]])
    return Exported(path, files, record, found, speed)


def _traced(
    model: nn.Module,
    example: Tensor,
    target: Target,
    dynamic: Sequence[str],
    deform: str | None,
    half: bool,
    names: Sequence[str] | None,
) -> Program:
    form = deform or target.deform
    if not half or target.half is None:
        return trace(model, example, dynamic=dynamic, deform=form, names=names)
    import copy

    low = copy.deepcopy(model).to(target.half)
    return trace(low, example.to(target.half), dynamic=dynamic, deform=form, names=names)


def _check_arguments(model: nn.Module, example: Tensor, images: Tensor | None) -> None:
    for what, given in (("an example", example), ("images", example if images is None else images)):
        if not isinstance(given, Tensor) or given.dim() != 4 or given.shape[0] < 1:
            got = Words(getattr(given, "shape", type(given).__name__))
            raise ValueError(expected("export", f"{what} (N, C, H, W), one or more", got))
        if given.dtype != torch.float32:
            raise TypeError(expected("export", f"{what} in float32", Words(given.dtype)))
    refuse_wrapped(model, "export", "hand over its .module or ._orig_mod")
    for name, one in [*model.named_parameters(), *model.named_buffers()]:
        if one.is_floating_point() and one.dtype != torch.float32:
            remedy = "call .float() before, and ask for half precision by half=True"
            got = Words(f"{name} in {one.dtype}")
            raise TypeError(expected("export", "a network in float32", got, remedy))
        if one.device.type != "cpu":
            got = Words(f"{name} on {one.device}")
            raise TypeError(expected("export", "a network on the CPU", got, "call .cpu() before"))


def _path_of(file: Path, target: Target) -> Path:
    # ``.aoti.pt2`` ends as ``.pt2`` does, and would be opened as the other.
    if file.name.endswith(target.suffix) and target_of(file) is target:
        return file
    return file.with_name(f"{file.name}{target.suffix}")


def _check_free(path: Path, target: Target, force: bool) -> None:
    """Refuse to write over what is there.

    Raises:
        FileExistsError: If something is there, and ``force`` is not set.
        IsADirectoryError: If it is a folder.
    """
    beside = (path.with_suffix(ending) for ending in target.beside)
    for one in (path, record_path(path), *beside):
        if one.is_dir():
            raise IsADirectoryError(expected("export", "a file to write", str(one)))
        if not force and one.exists():
            remedy = "choose another name, or pass --force (force=True)"
            rule = "a file that is not there yet"
            raise FileExistsError(expected("export", rule, str(one), remedy))


@contextmanager
def _staging(path: Path) -> Iterator[tuple[Path, Callable[[Sequence[Path]], tuple[Path, ...]]]]:
    """A folder to write in, beside the file; it goes, whatever happens.

    Yields:
        The folder, and what moves finished files out of it, in the order given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.parent / f".{path.name}.{os.getpid()}.tmp"
    place.mkdir()

    def put(files: Sequence[Path]) -> tuple[Path, ...]:
        done = []
        for one in files:
            one.replace(path.parent / one.name)
            done.append(path.parent / one.name)
        return tuple(reversed(done))

    try:
        yield place, put
    finally:
        shutil.rmtree(place, ignore_errors=True)
