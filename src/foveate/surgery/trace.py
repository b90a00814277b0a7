"""One forward pass of a model, watched: which modules ran, in which order, on which shapes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import Words, expected
from foveate.core.modes import evaluation


@dataclass
class Record:
    """What one module did.

    Attributes:
        calls: How often it ran.
        order: When it last finished, counted from 0.
        shape: Shape of its output if that is one tensor, else None.
        input_shape: Shape of its first argument if that is a tensor, else None.
        output: The output itself, to see who hands on whose result.
        version: How often the output had been changed in place by then.
        passes: First argument and output of every call, to see who reads whose result.
    """

    calls: int
    order: int
    shape: tuple[int, ...] | None
    input_shape: tuple[int, ...] | None
    output: Any
    version: int
    passes: tuple[tuple[Any, Any], ...]

    def hands_on(self, other: Record) -> bool:
        """Whether the output is the very tensor that ``other`` returned, unchanged since."""
        return self.output is other.output and self.version == other.version


def default_example(model: nn.Module) -> Tensor:
    """Make one black image of the size the model asks for, else 224 x 224 pixels.

    timm's models state their input size; the number of input channels is the first convolution's.

    Shape:
        - output: (1, C, H, W) on the device and in the dtype of the model's first weight.
    """
    stated = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None) or {}
    size = tuple(stated.get("input_size", (3, 224, 224))[1:])
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    channels = convs[0].in_channels if convs else 3
    weights = [weight for weight in model.parameters() if weight.is_floating_point()]
    like = weights[0] if weights else torch.zeros(())
    return torch.zeros((1, channels, *size), dtype=like.dtype, device=like.device)


def _version(output: Any) -> int:
    """How often a tensor was changed in place; those of inference mode do not count."""
    return output._version if isinstance(output, Tensor) and not output.is_inference() else 0


@contextlib.contextmanager
def _kept_buffers(model: nn.Module) -> Iterator[None]:
    """Put every buffer back: the same tensor with the same values."""
    kept = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for module, name, buffer, values in kept:
            changed = buffer.shape != values.shape or not _same(buffer, values)
            if changed or module._buffers.get(name) is not buffer:
                buffer.resize_(values.shape).copy_(values)
                module._buffers[name] = buffer


def _same(one: Tensor, other: Tensor) -> bool:
    return one.is_meta or torch.equal(one, other)


def watch(model: nn.Module, example: Any = None) -> dict[nn.Module, Record]:
    """Run ``model`` once in evaluation mode without gradients and record every module.

    Modes, random state and buffers (batch statistics, what observers count) stay as they were;
    hooks of the model run.

    Args:
        model: The model.
        example: Its argument, or a tuple of arguments; None makes one black image.

    Raises:
        ValueError: If the model cannot run on the example.
    """
    records: dict[nn.Module, Record] = {}

    def remember(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        before = records.get(module)
        first = args[0] if args and isinstance(args[0], Tensor) else None
        records[module] = Record(
            calls=1 + (before.calls if before else 0),
            order=len(records) + sum(record.calls for record in records.values()),
            shape=tuple(output.shape) if isinstance(output, Tensor) else None,
            input_shape=None if first is None else tuple(first.shape),
            output=output,
            version=_version(output),
            passes=(*(before.passes if before else ()), (first, output)),
        )

    arguments = default_example(model) if example is None else example
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    tensors = [one for one in arguments if isinstance(one, Tensor)]
    devices = [one.device for one in tensors if one.is_cuda]
    # On every module and after its own hooks, so that what was inserted before is seen.
    handles = [module.register_forward_hook(remember) for module in model.modules()]
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices))
            stack.enter_context(evaluation(model))
            stack.enter_context(_kept_buffers(model))
            stack.enter_context(torch.no_grad())
            # The types of the network itself count, not those of the caller's autocast.
            for device in {"cpu", *(one.device.type for one in tensors)}:
                if torch.amp.is_autocast_available(device):
                    stack.enter_context(torch.autocast(device, enabled=False))
            model(*arguments)
    except Exception as error:
        shapes = ", ".join(str(tuple(one.shape)) for one in tensors) or "no tensor"
        raise ValueError(
            expected(
                f"foveate ({type(model).__name__})",
                "a model that runs on the example",
                Words(f"{type(error).__name__}: {error} on an example of shape {shapes}"),
                "pass example=, a batch that the model accepts",
            )
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return records
