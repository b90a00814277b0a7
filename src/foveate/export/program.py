"""A network as the graph that every runtime starts from: one trace, whatever the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import Words, check_choice, expected
from foveate.ops.deform.forms import exported_as

DYNAMIC = ("batch", "size")
"""What may stay open: the number of images, and their height and width."""
_AXES = {"batch": (0,), "size": (2, 3)}
AXIS_NAMES = {0: "batch", 2: "height", 3: "width"}
INPUT = "images"


@dataclass(frozen=True)
class Program:
    """A traced network.

    Attributes:
        graph: The ``torch.export`` program; it takes one tensor (N, C, H, W) and returns a tuple.
        outputs: Names of what it returns.
        dynamic: What stayed open, of :data:`DYNAMIC`.
        shape: Of its input, the open axes by name.
        deform: The form that its deformable convolutions took; None if it has none.
        dtype: Of its input.
    """

    graph: Any
    outputs: tuple[str, ...]
    dynamic: tuple[str, ...]
    shape: tuple[int | str, ...]
    deform: str | None
    dtype: torch.dtype


class Flat(nn.Module):
    """A network whose outputs are a tuple of tensors, whatever it returns itself."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return every tensor of the network's output, in order."""
        return tuple(tensors_of(self.network(images)).values())


def tensors_of(found: Any) -> dict[str, Tensor]:
    """Name the tensors of an output: by its keys, by place, or ``output`` if it is one.

    Raises:
        TypeError: If the output holds anything else than tensors.
    """
    named: dict[str, Any] = {}
    if isinstance(found, Tensor):
        named = {"output": found}
    elif isinstance(found, Mapping):
        named = {str(key): value for key, value in found.items()}
    elif isinstance(found, Sequence):
        named = {f"output{place}": value for place, value in enumerate(found)}
    if not named or not all(isinstance(one, Tensor) for one in named.values()):
        rule = "a network that returns a tensor, or a tuple or a dictionary of them"
        got = Words(type(found).__name__)
        remedy = "of a detector export the backbone, for example detector.body.backbone"
        raise TypeError(expected("export", rule, got, remedy))
    return named


def trace(
    model: nn.Module,
    example: Tensor,
    *,
    dynamic: Sequence[str] = DYNAMIC,
    deform: str = "gather",
    names: Sequence[str] | None = None,
) -> Program:
    """Trace a network in evaluation mode.

    Args:
        model: In evaluation mode, on the CPU.
        example: Images (N, C, H, W) that it takes.
        dynamic: What stays open, of :data:`DYNAMIC`.
        deform: The form of its deformable convolutions.
        names: Of the outputs; by default their keys or places.

    Raises:
        TypeError: If the network returns something else than tensors.
        ValueError: If it cannot be traced, or fixes an axis that was to stay open.
    """
    for one in dynamic:
        check_choice("export", "dynamic", one, DYNAMIC)
    try:
        with torch.no_grad():
            output = model(example)
    except (RuntimeError, ValueError, IndexError) as error:
        rule = f"a network that takes images of {' x '.join(map(str, example.shape))}"
        raise ValueError(expected("export", rule, first_line(error))) from error
    found = tuple(tensors_of(output))
    if names is not None and len(names) != len(found):
        rule = f"{len(found)} names of outputs"
        raise ValueError(expected("export", rule, ", ".join(names)))
    open_axes = [axis for one in DYNAMIC if one in dynamic for axis in _AXES[one]]
    # An axis of one value would be taken for a constant.
    traced = example.expand(2, -1, -1, -1).contiguous() if _is_lone(example, open_axes) else example
    auto, fixed = torch.export.Dim.AUTO, torch.export.Dim.STATIC
    axes = {axis: auto if axis in open_axes else fixed for axis in range(4)}
    try:
        with exported_as(deform), torch.no_grad():
            graph = torch.export.export(
                Flat(model), (traced,), dynamic_shapes=({**axes},), strict=False
            )
    except ImportError:
        raise
    except Exception as error:  # torch.export has a dozen kinds of its own.
        rule = f"a network that torch.export can trace with {_said(dynamic)}"
        raise ValueError(expected("export", rule, first_line(error), way_round(dynamic))) from error
    _clamp_plainly(graph)
    sizes = _input_shape(graph)
    _check_open(sizes, open_axes, dynamic)
    shape = tuple(AXIS_NAMES[a] if a in open_axes else int(sizes[a]) for a in range(4))
    return Program(
        graph, tuple(names or found), tuple(dynamic), shape, _form_of(graph, deform), example.dtype
    )


def first_line(error: BaseException) -> Words:
    """What an error says, in one line, with its kind where that tells more."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return Words(text if len(text) <= 300 else f"{text[:297]}...")


def refused(runtime: str, images: Tensor, error: BaseException) -> ValueError:
    """What a runtime that refuses images (N, C, H, W) is answered with."""
    got = Words(f"{tuple(images.shape)} ({first_line(error)})")
    return ValueError(expected(runtime, "images that the exported network takes", got))


def calls(graph: Any, operator: str) -> bool:
    """Whether a program calls an operator, such as ``torchvision::deform_conv2d``."""
    called = (node.target for node in graph.graph.nodes if node.op == "call_function")
    return any(getattr(one, "_schema", None) and one._schema.name == operator for one in called)


def _clamp_plainly(graph: Any) -> None:
    """Write ReLU6 as a clamp, which it is.

    The converters of ONNX and OpenVINO take it to pieces with each open size weighed again, half a
    second for every one; a clamp they take as it stands.
    """
    aten = torch.ops.aten
    for node in graph.graph.nodes:
        in_place = node.target is aten.hardtanh_.default
        if node.target is aten.hardtanh.default or (in_place and _is_read_once(node.args[0])):
            given = tuple(node.args[1:])
            bounds = given + (-1.0, 1.0)[len(given) :]
            node.target, node.args = aten.clamp.default, (node.args[0], *bounds)
    graph.graph_module.recompile()


def _is_read_once(node: Any) -> bool:
    """Whether only one operator sees what a node makes, so that it may as well not write over it.

    A view, a parameter or an input shares its memory with others.
    """
    schema = getattr(node.target, "_schema", None)
    owned = schema is not None and all(one.alias_info is None for one in schema.returns)
    return owned and len(node.users) == 1


def _is_lone(example: Tensor, open_axes: Sequence[int]) -> bool:
    return example.shape[0] == 1 and 0 in open_axes


def _input_shape(graph: Any) -> list[Any]:
    (name,) = graph.graph_signature.user_inputs
    node = next(one for one in graph.graph.nodes if one.name == name)
    return list(node.meta["val"].shape)


def _check_open(sizes: Sequence[Any], open_axes: Sequence[int], dynamic: Sequence[str]) -> None:
    """Check that each axis is free, and no two are one.

    Raises:
        ValueError: If one is fixed, or is bound to another.
    """
    seen: set[str] = set()
    for axis in open_axes:
        size = str(sizes[axis])
        if isinstance(sizes[axis], int) or not size.isidentifier() or size in seen:
            rule = f"a network whose {AXIS_NAMES[axis]} may change"
            got = Words(f"one that fixes it to {size} for this example")
            raise ValueError(expected("export", rule, got, way_round(dynamic)))
        seen.add(size)


def way_round(dynamic: Sequence[str]) -> str:
    """What to try where a network cannot be exported with these axes open."""
    if not dynamic:
        return "no other shape is left to try: see whether the network runs on these images at all"
    less = "batch" if "size" in dynamic and "batch" in dynamic else None
    fixed = "fix every shape: --fixed, or dynamic=()"
    return f"leave only the batch open: --dynamic batch, or {fixed}" if less else fixed


def _said(dynamic: Sequence[str]) -> str:
    return f"an open {' and '.join(dynamic)}" if dynamic else "a fixed shape"


def _form_of(graph: Any, deform: str) -> str | None:
    """The form that deformable convolutions took; None if there are none to be seen."""
    if calls(graph, "torchvision::deform_conv2d"):
        return "deformconv"
    marks = {"gridsample": "aten::grid_sampler", "gather": "aten::index_select"}
    return deform if deform in marks and calls(graph, marks[deform]) else None
