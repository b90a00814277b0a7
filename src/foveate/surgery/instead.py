"""A convolution that an attention stands in for, in place.

The convolution stays where it is, with its hooks, aliases and weights under their old names; it
changes its class and nothing else, so published weights load strictly before and after. Where
the attention works with kernels of its own, those of the network become buffers: they are kept,
loaded and saved, and count no more as parameters.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from foveate.core import Words, expected
from foveate.surgery.holder import INSTEAD, Inserted

_PARKED = "foveate_parked"


class InsteadOfConv2d(nn.Conv2d):
    """A convolution whose result is computed by the attention it holds.

    What rewrites convolutions by their weights, such as the fusion with a norm, must come after
    the attention was removed.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Run the attention on x; an identity start mixes it with the plain convolution."""
        holder = standing_in(self)
        borrows = holder.borrows
        out: Tensor = (
            holder.attention(x, self.weight, self.bias) if borrows else holder.attention(x)
        )
        if holder.openness is None:
            return out
        plain = super().forward(x)
        return (plain + holder.openness * (out - plain)).to(plain.dtype)


def standing_in(conv: nn.Module) -> Inserted:
    """The attention that stands in for a convolution."""
    return next(
        child for child in conv.children() if isinstance(child, Inserted) and child.at == INSTEAD
    )


def arguments_of(conv: nn.Module, path: str) -> dict[str, Any]:
    """The arguments of a convolution, for an attention that is to replace it.

    Raises:
        ValueError: If it is no plain ``nn.Conv2d`` of one kernel size, stride, padding and
            dilation for both axes.
    """
    rule = "a plain nn.Conv2d with zero padding, alike in both axes, to replace"
    if type(conv) is not nn.Conv2d or conv.padding_mode != "zeros":
        raise ValueError(expected("insert_", rule, Words(f"{path} ({type(conv).__name__})")))
    pairs = {
        "kernel": conv.kernel_size,
        "stride": conv.stride,
        "padding": conv.padding,
        "dilation": conv.dilation,
    }
    for name, pair in pairs.items():
        if isinstance(pair, str) or len(set(pair)) > 1:
            raise ValueError(expected("insert_", rule, Words(f"{path} with {name} {pair}")))
    return {
        "out_channels": conv.out_channels,
        **{name: pair[0] for name, pair in pairs.items()},
        "groups": conv.groups,
        "bias": conv.bias is not None,
    }


def parked_by(model: nn.Module, conv: nn.Module, holder: Inserted) -> tuple[str, ...]:
    """Which weights of ``conv`` nothing needs while the attention of ``holder`` stands in for it.

    None where it works with them, or mixes with the plain convolution. A weight that another
    module has too stays a parameter: it is trained there.
    """
    if holder.at != INSTEAD or holder.borrows or holder.openness is not None:
        return ()
    elsewhere = {
        id(weight)
        for module in model.modules()
        if module is not conv
        for weight in module._parameters.values()
    }
    own = conv.named_parameters(recurse=False)
    return tuple(name for name, weight in own if id(weight) not in elsewhere)


def stand_in(conv: nn.Module, parked: tuple[str, ...]) -> None:
    """Let the attention that is a child of ``conv`` do its work, and park weights by name.

    A parked weight keeps its ``requires_grad`` of now, whatever the network is set to meanwhile.
    Its gradient is dropped, so that no optimizer that knows it moves it.
    """
    conv.__class__ = InsteadOfConv2d
    # Kept out of sight of nn.Module, which would register them again.
    conv.__dict__[_PARKED] = {name: conv.get_parameter(name) for name in parked}
    for name, weight in conv.__dict__[_PARKED].items():
        weight.grad = None
        del conv._parameters[name]
        conv.register_buffer(name, weight.detach())


def step_back(conv: nn.Module) -> None:
    """Make ``conv`` a plain convolution again, with the weights it has now."""
    for name, weight in conv.__dict__.get(_PARKED, {}).items():
        now = conv._buffers.pop(name, None)
        if now is None:
            continue  # A parameter was put in its place since.
        if now.device.type == weight.device.type:
            weight.data = now
        else:
            weight = nn.Parameter(now, weight.requires_grad)
        conv.register_parameter(name, weight)
    conv._parameters = {name: conv._parameters.get(name) for name in ("weight", "bias")}
    conv.__dict__.pop(_PARKED, None)
    conv.__class__ = nn.Conv2d
