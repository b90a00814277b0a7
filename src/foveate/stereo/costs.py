"""What each stereo network of a study costs: parameters, operations, and latency as ratios."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from foveate.stereo.loss import sequence_loss
from foveate.stereo.model import StereoNet
from foveate.stereo.recipe import StereoRecipe
from foveate.stereo.starting import build_stereo
from foveate.training.costs import counts_of, measure_with
from foveate.training.study import Study

COUNTED = (
    "multiply-accumulates of the whole network on one pair, both views through the backbone and"
    " every step of the recurrence"
)


def measure_stereo(
    study: Study, classes: int = 0, width: float | None = None, reason: str = ""
) -> dict[str, dict[str, Any]]:
    """Count and time the stereo networks of a study on the machine's default thread count.

    Args:
        study: What is compared.
        classes: Not used.
        width: None: there is no wider control.
        reason: Not used.

    Returns:
        Costs by label, and under ``"_conditions"`` how they were measured.
    """
    first = _recipe(study, study.labels[0])
    rows, columns = first.data.size, first.data.width

    def build(label: str) -> StereoNet:
        recipe = _recipe(study, label)
        # Trained weights cost the same.
        model = recipe.model.model_copy(update={"pretrained": False, "weights": None})
        return build_stereo(model, recipe.data)

    found = measure_with(
        study,
        build,
        lambda network: counts_of(_Pair(network), 6, rows, columns),
        lambda network, mode: _call(network, mode, study.latency.batch, (rows, columns)),
        COUNTED,
    )
    found["_conditions"]["size"] = [rows, columns]
    return found


class _Pair(nn.Module):
    """A stereo network that takes both views as six channels."""

    def __init__(self, network: StereoNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, both: Tensor) -> Tensor:
        """Return the disparity."""
        found: Tensor = self.network(*both.chunk(2, dim=1))
        return found


def _recipe(study: Study, label: str) -> StereoRecipe:
    recipe = study.recipe_for(label, 0)
    if not isinstance(recipe, StereoRecipe):
        raise TypeError("measure_stereo expects a study of stereo networks; got another")
    return recipe


def _call(network: StereoNet, mode: str, batch: int, size: tuple[int, int]) -> Callable[[], object]:
    """Return the call that is timed, on a copy: one batch of noise."""
    twin = copy.deepcopy(network).train(mode == "step")
    noise = torch.Generator().manual_seed(0)
    left, right = torch.rand(2, batch, 3, *size, generator=noise)
    truth, known = torch.ones(batch, *size), torch.ones(batch, *size, dtype=torch.bool)

    def forward() -> None:
        with torch.inference_mode():
            twin(left, right)

    def step() -> None:
        twin.zero_grad(set_to_none=True)
        sequence_loss(twin(left, right), truth, known).backward()  # type: ignore[no-untyped-call]

    return forward if mode == "forward" else step
