"""Gates in a backbone that belongs to another framework, and keep to that framework's habits.

Such a backbone freezes its first stages and its norms anew whenever it is set to training, and
initialises all its layers by their class. Both would spoil gates, which are new and must learn:
frozen, they would stay at their random or closed start for good.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, SupportsIndex

from torch import Tensor, nn

from foveate.attention import attention_spec
from foveate.attention.where import parse_where
from foveate.core import check_flag, check_sides, expected
from foveate.surgery import insert_, stage_ends
from foveate.surgery.holder import iter_inserted
from foveate.surgery.sites import Sites
from foveate.surgery.trace import default_example

_WHO = "FoveateBackbone"


def host_gates_(
    backbone: nn.Module,
    attention: str = "das",
    where: Sites | None = None,
    *,
    stages: Sequence[bool] | None = None,
    size: Sequence[int] = (3, 224, 224),
    **options: Any,
) -> nn.Module:
    """Insert an attention into a backbone by :func:`foveate.insert_`, in place; return it.

    The backbone stays what it is, state-dict keys included. Of its methods, ``train`` no longer
    freezes the gates with the stages and norms around them (what was frozen by hand stays
    frozen), and ``init_weights`` leaves them as they are, unless it loads a checkpoint that has
    weights for them.

    Args:
        backbone: The network.
        attention: Registry name.
        where: As in :func:`foveate.insert_`.
        stages: Whether each stage is meant, one bool for each; None for all, or for those that
            ``where`` names.
        size: Channels, height and width in pixels of the image that the backbone is run on once.
        **options: ``start``, ``position`` and ``host`` of :func:`foveate.insert_`, and options of
            the attention.

    Raises:
        TypeError: If an argument has a wrong type.
        ValueError: If there are more or fewer ``stages`` than the backbone has, or
            :func:`foveate.insert_` refuses.

    Example:
        >>> from torchvision.models import resnet18
        >>> net = host_gates_(resnet18(), "se", "stages", stages=(False, False, True, True))
        >>> [path for path, _ in iter_inserted(net)]
        ['layer3.1.foveate', 'layer4.1.foveate']
    """
    shape = check_sides(_WHO, "size", size)
    if len(shape) != 3:
        raise ValueError(expected(_WHO, "size as (channels, height, width)", tuple(size)))
    example = default_example(backbone).new_zeros(1, *shape)
    if stages is not None:
        where = _of_stages(backbone, attention, where, stages, example)
    insert_(backbone, attention, where, example=example, **options)
    if not isinstance(backbone, HostOfGates):
        kind: Any = type(backbone)
        backbone.__class__ = host_class(kind)
    return backbone


def _of_stages(
    backbone: nn.Module,
    attention: str,
    where: Sites | None,
    stages: Sequence[bool],
    example: Tensor,
) -> str:
    """Narrow a description of sites to the stages that are meant."""
    sites = attention_spec(attention).site if where is None else where
    if not isinstance(sites, str) or any(part.stages for part in parse_where(sites)):
        remedy = "choose stages by stages= or in where, not both"
        raise ValueError(
            expected(_WHO, "where as sites without stages, beside stages", sites, remedy)
        )
    wanted = [check_flag(_WHO, "each of stages", one) for one in stages]
    ends = list(stage_ends(backbone, example))
    if len(wanted) != len(ends) or not any(wanted):
        rule = f"stages with one bool for each of {', '.join(ends)}, one of them True"
        raise ValueError(expected(_WHO, rule, tuple(stages)))
    numbers = ",".join(str(number) for number, one in enumerate(wanted, 1) if one)
    return "+".join(f"{part.strip()}@{numbers}" for part in sites.split("+"))


class HostOfGates(nn.Module):
    """What a backbone with gates does in another way than without; see :func:`host_gates_`."""

    def train(self, mode: bool = True) -> HostOfGates:
        """Set the mode of the backbone, and that of the gates after it."""
        gates = [gate for _, gate in iter_inserted(self)]
        learns = [(weight, weight.requires_grad) for gate in gates for weight in gate.parameters()]
        super().train(mode)
        for weight, wanted in learns:
            weight.requires_grad_(wanted)
        for gate in gates:
            gate.train(mode)
        return self

    def init_weights(self, *args: Any, **kwargs: Any) -> None:
        """Initialise the backbone; gates keep their start, or take what a checkpoint has."""
        gates = list(iter_inserted(self))
        starts = [
            (gate, {key: value.clone() for key, value in gate.state_dict().items()})
            for _, gate in gates
        ]
        loads = _Loads(tuple(f"{path}." for path, _ in gates))
        handle = self.register_load_state_dict_pre_hook(loads)  # type: ignore[no-untyped-call]
        try:
            # Its own class may have none, since this is a habit of some frameworks alone.
            getattr(super(), "init_weights", _nothing)(*args, **kwargs)
        finally:
            handle.remove()
        if not loads.seen:
            for gate, start in starts:
                gate.load_state_dict(start)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Be copied and pickled by the class of the backbone, since this one has no address."""
        plain: Any = super().__reduce_ex__(max(2, int(protocol)))
        return _empty_host, (type(self).__bases__[1],), *plain[2:]


class _Loads:
    """A hook that notices whether a checkpoint has weights for one of the gates."""

    def __init__(self, gates: tuple[str, ...]) -> None:
        self.gates, self.seen = gates, False

    def __call__(self, module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        """Look through the names."""
        names = tuple(f"{prefix}{gate}" for gate in self.gates)
        self.seen |= any(key.startswith(names) for key in state_dict)


@functools.cache
def host_class(kind: Any) -> type[nn.Module]:
    """The class of a backbone with gates: ``HostOfGates`` over the backbone's own."""
    return type(f"Gated{kind.__name__}", (HostOfGates, kind), {"__module__": kind.__module__})


def _nothing(*_: Any, **__: Any) -> None:
    """Initialise nothing."""


def _empty_host(kind: Any) -> nn.Module:
    """A host without content, to be filled by a copy or a pickle."""
    host = host_class(kind)
    return host.__new__(host)
