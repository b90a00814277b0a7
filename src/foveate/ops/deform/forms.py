"""The form that a deformable convolution takes in an exported graph: a choice, made by a context.

A module is the same whatever the form; only the graph that ``torch.export`` makes of it differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

from foveate.core import check_choice
from foveate.ops.deform import gather, grid, native
from foveate.ops.deform.arguments import Geometry
from foveate.ops.transforms import is_exporting

FORMS: dict[str, Callable[..., Tensor]] = {
    "deformconv": native.deform_conv2d,
    "gridsample": grid.deform_conv2d,
    "gather": gather.deform_conv2d,
}
"""``deformconv`` is one operator of torchvision; the others are operators that every torch has."""

_USUAL = "gather"
_chosen: ContextVar[str] = ContextVar("foveate_exported_form", default=_USUAL)


@contextmanager
def exported_as(form: str) -> Iterator[None]:
    """Within the context, exported deformable convolutions take this form.

    Args:
        form: ``"deformconv"``, ``"gridsample"`` or ``"gather"``, which is the one taken without a
            context.

    Raises:
        ValueError: If the form is unknown.

    Example:
        >>> from foveate.attention import DAS
        >>> with exported_as("gridsample"):
        ...     program = torch.export.export(DAS(8).eval(), (torch.rand(1, 8, 6, 6),))
        >>> "grid_sampler" in program.graph_module.code
        True
    """
    check_choice("exported_as", "form", form, FORMS)
    token = _chosen.set(form)
    try:
        yield
    finally:
        _chosen.reset(token)


def differentiable(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    geometry: Geometry,
) -> Tensor:
    """Run in ordinary operators: the chosen form in a graph that is exported, else by gathers."""
    form = FORMS[_chosen.get()] if is_exporting() else gather.deform_conv2d
    return form(input, offset, weight, bias, mask, geometry)
