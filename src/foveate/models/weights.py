"""The weights file of a folder: safetensors, checked before it is read, filled in exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor, nn

from foveate.core import Words, expected
from foveate.core.strict_json import Fields
from foveate.models.ceiling import building
from foveate.surgery.rebuild import rebuild_, take_out_
from foveate.surgery.record import describe

SPEC, WEIGHTS = "model.json", "model.safetensors"
_LONGEST_HEADER = 32 * 2**20
_FLOATS = {str(one).removeprefix("torch."): one for one in (
    torch.float16, torch.bfloat16, torch.float32, torch.float64)}  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """What a folder holds beside what builds the base network; nothing of it is trusted.

    Attributes:
        path: The weights file.
        shapes: The shape of each tensor in it.
        format: Version of the format, 1 or 2.
        record: What was inserted, see :func:`foveate.surgery.record.describe`; None in format 1.
        frozen: Parameters that do not learn; None leaves them as they are built.
        channels_last: Tensors in that layout.
        buffers: Types of the floating buffers that are no weights.
    """

    path: Path
    shapes: dict[str, tuple[int, ...]]
    format: int = 1
    record: dict[str, Any] | None = None
    frozen: frozenset[str] | None = None
    channels_last: frozenset[str] = frozenset()
    buffers: dict[str, str] = field(default_factory=dict)

    @property
    def numbers(self) -> int:
        """How many numbers the file holds."""
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())

    def building(self, who: str) -> AbstractContextManager[None]:
        """Guard the building of the network, see :func:`foveate.models.ceiling.building`."""
        return building(self.numbers, who)


def to_bytes(model: nn.Module, who: str) -> bytes:
    """Put the weights of a model into one file of safetensors; what is shared stands there once.

    Raises:
        ValueError: If ``state_dict()`` holds something else than tensors in memory.
    """
    state = model.state_dict(keep_vars=True)
    weights: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, first in aliases(state).items():
        value = state[name]
        if not isinstance(value, Tensor) or value.is_meta or value.layout != torch.strided:
            kind = f"{value.layout} on {value.device}" if isinstance(value, Tensor) else type(value)
            rule = "a state_dict of tensors in memory, dense ones"
            raise ValueError(expected(who, rule, Words(f"{name}: {kind}")))
        if name == first:
            value = value.detach().contiguous()
            place = value.untyped_storage().data_ptr()
            weights[name] = value.clone() if place in storages else value
            storages.add(place)
    try:
        content: bytes = serialize(weights)
    except Exception as error:
        raise ValueError(expected(who, "weights of types that safetensors has", error)) from error
    return content


def aliases(state: Mapping[str, Any]) -> dict[str, str]:
    """The first name of each tensor, by every name it has; from ``state_dict(keep_vars=True)``."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(value), name) for name, value in state.items()}


def conditions(model: nn.Module) -> dict[str, Any]:
    """What of its tensors a safetensors file does not say."""
    state = model.state_dict(keep_vars=True)
    return {
        "frozen": [name for name, one in model.named_parameters() if not one.requires_grad],
        "channels_last": [name for name, one in state.items() if _is_channels_last(one)],
        "buffers": {
            name: str(one.dtype).removeprefix("torch.")
            for name, one in model.named_buffers()
            if name not in state and one.dtype in _FLOATS.values()
        },
    }


def _is_channels_last(value: Any) -> bool:
    # By strides: a kernel of one pixel is contiguous in both orders, and convolutions look at them.
    if not isinstance(value, Tensor) or value.dim() != 4:
        return False
    plain, last = (_strides(value, how) for how in (torch.contiguous_format, torch.channels_last))
    return value.stride() == last and last != plain


def _strides(value: Tensor, layout: torch.memory_format) -> tuple[int, ...]:
    return torch.empty(value.shape, device="meta", memory_format=layout).stride()


def locate(folder: Path, name: str, who: str) -> Path:
    """Find a file of a folder by its bare name.

    Raises:
        FileNotFoundError: If there is no such regular file.
        ValueError: If the name, or a link, leads out of the folder. The cache of the Hugging Face
            Hub is let through, whose snapshots are links to blobs beside them.
    """
    if Path(name).name != name or not name.endswith(".safetensors") or set(name) & set("\\:\0"):
        rule = "a bare name that ends in .safetensors for the weights"
        raise ValueError(expected(who, f"{rule} in {SPEC}", name))
    check_inside(folder / name, who)
    if not (folder / name).is_file():
        raise FileNotFoundError(expected(who, f"a folder with {name}", str(folder)))
    return folder / name


def check_inside(path: Path, who: str) -> None:
    """Refuse a link that leads out of its folder."""
    if not path.is_symlink():
        return
    root, end = path.parent.resolve(), path.resolve()
    blobs = root.parent.parent / "blobs" if root.parent.name == "snapshots" else None
    if end.parent not in (root, blobs):
        rule = f"{path.name} in {path.parent}"
        raise ValueError(expected(who, rule, Words(f"a link to {end}"), "copy the file itself"))


def read_header(path: Path, who: str) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes of a file of safetensors, and no more.

    Raises:
        ValueError: If it is none, or cut short.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        start = handle.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(size - 8, _LONGEST_HEADER):
        # Not before: a length may begin with the same bytes.
        if start.startswith((b"PK\x03\x04", b"\x80")):
            got = Words("a pickle, as torch.save writes it, which can run code when it is read")
            remedy = "rebuild the network yourself and save it by foveate.save"
            raise ValueError(expected(who, f"safetensors in {path.name}", got, remedy))
        got = Words(f"{size:,} bytes that announce a header of {length:,}")
        raise ValueError(expected(who, f"a readable {path.name}", got))
    try:
        with safe_open(path, framework="pt") as file:
            names: list[str] = list(file.keys())
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except Exception as error:
        raise ValueError(expected(who, f"a readable {path.name}", Words(error))) from error


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    found = hashlib.sha256()
    with path.open("rb") as handle:
        while piece := handle.read(2**20):
            found.update(piece)
    return found.hexdigest()


def misfits(model: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Say in which tensors a model and a file differ, one line each."""
    state = model.state_dict(keep_vars=True)
    firsts = aliases(state)
    lines = []
    for name in dict.fromkeys([*firsts.values(), *shapes]):
        wanted = tuple(state[name].shape) if name in state else None
        given = shapes.get(name)
        if wanted is None:
            lines.append(f"{name} {given}, which the network has not")
        elif given is None:
            lines.append(f"none for {name} {wanted}")
        elif given != wanted:
            lines.append(f"{name} {given} where the network has {wanted}")
        elif firsts[name] != name:
            lines.append(f"{name} of its own, which the network ties to {firsts[name]}")
    return lines


def check_fit(
    model: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    rule: str,
    who: str,
    remedy: str = "",
) -> None:
    """Refuse weights that are not those of a model.

    Raises:
        ValueError: Naming the first of them.
    """
    lines = misfits(model, shapes)
    if lines:
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        raise ValueError(expected(who, rule, Words(lines[0] + more), remedy))


def settle_(model: nn.Module, contents: Contents, who: str) -> None:
    """Insert what the folder says into a model, unless it holds just that already."""
    record = contents.record
    if record is None or describe(model, who) == record:
        return
    take_out_(model)
    with contents.building(who):
        rebuild_(model, record, who)


def fill_(model: nn.Module, contents: Contents, who: str) -> None:
    """Insert what a folder says into a base network, and fill in all weights, bit for bit.

    Types, layouts and ``requires_grad`` become those that were saved; tied weights stay tied.

    Raises:
        ValueError: If they do not fit; the model is then of no use.
    """
    settle_(model, contents, who)
    check_fit(model, contents.shapes, f"weights that fit {SPEC}", who)
    try:
        tensors = load_file(contents.path)
    except Exception as error:
        rule = f"a readable {contents.path.name}"
        raise ValueError(expected(who, rule, Words(error))) from error
    state = model.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, value in tensors.items():
            if _kind(value) != _kind(state[name]):
                rule = f"{name} in {WEIGHTS} as {state[name].dtype}, or another of that kind"
                raise ValueError(expected(who, rule, Words(value.dtype)))
            _make_room_(state[name], value, name in contents.channels_last)
        _match_(model, contents, state, who)
        model.load_state_dict({name: tensors[first] for name, first in aliases(state).items()})


def _kind(value: Tensor) -> tuple[bool, bool]:
    """What decides whether a tensor can stand for another: whole numbers cannot learn."""
    return value.is_floating_point(), value.is_complex()


def _make_room_(tensor: Tensor, value: Tensor, channels_last: bool) -> None:
    """Give a tensor of the model type and layout of the one that is to be copied into it."""
    layout = torch.contiguous_format
    if channels_last and value.dim() == 4:
        layout = torch.channels_last
    if tensor.dtype != value.dtype or tensor.stride() != _strides(value, layout):
        like = value.to(tensor.device)
        tensor.data = torch.empty_like(like, memory_format=layout)


def _match_(model: nn.Module, contents: Contents, state: Mapping[str, Any], who: str) -> None:
    """Set what a file of safetensors does not say."""
    if contents.frozen is not None:
        for name, parameter in _named(model.named_parameters(), contents.frozen, who):
            if parameter.dtype.is_floating_point or parameter.dtype.is_complex:
                parameter.requires_grad_(name not in contents.frozen)
    for name, buffer in _named(model.named_buffers(), contents.buffers, who):
        kind = contents.buffers.get(name)
        if kind is not None and name not in state and buffer.is_floating_point():
            buffer.data = buffer.to(_FLOATS[kind])


def _named(
    there: Iterator[tuple[str, Any]], named: frozenset[str] | Mapping[str, str], who: str
) -> list[tuple[str, Any]]:
    listed = list(there)
    strange = set(named) - {name for name, _ in listed}
    if strange:
        got = sorted(strange)[0]
        raise ValueError(expected(who, f"names of {SPEC} that the network has", got))
    return listed


def read_conditions(fields: Fields, who: str) -> dict[str, Any]:
    """Read what :func:`conditions` wrote."""
    buffers = fields.mapping("buffers")
    for name, kind in buffers.items():
        Fields({name: kind}, f"{SPEC} at tensors", who).choice(name, tuple(_FLOATS))
    found = {
        "frozen": frozenset(fields.texts("frozen")),
        "channels_last": frozenset(fields.texts("channels_last")),
        "buffers": buffers,
    }
    fields.end()
    return found
