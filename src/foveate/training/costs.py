"""What each network of a study costs: parameters, operations, and latency as ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from foveate.accounting import count
from foveate.accounting.interleave import interleave
from foveate.accounting.latency import BLOCKS, Timing, latency, summarize
from foveate.models import widen_to
from foveate.training import environment
from foveate.training.quiet import quiet, seeded
from foveate.training.starting import build
from foveate.training.study import CONTROL, PLAIN, Study

ModelOf = TypeVar("ModelOf", bound=nn.Module)

STATISTIC = (
    "fastest of interleaved calls; ratio of the fastest calls to those of the plain network, "
    "with the range of that ratio over five blocks of rounds"
)


def parameters(network: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def build_label(study: Study, label: str, classes: int, width: float | None = None) -> nn.Module:
    """Make the network of a label with fresh random weights; published ones cost the same."""
    recipe = study.recipe_for(label, 0, width)
    model = recipe.model.model_copy(update={"pretrained": False})
    with seeded(0), quiet():
        return build(model, classes, recipe.data.size)


def control_width(study: Study, classes: int) -> tuple[float | None, str]:
    """Choose the width of the parameter-matched control.

    Returns:
        The width at which the plain network has as many parameters as the largest attention
        variant, and ""; or None and the reason why there is no such network.
    """
    model = study.recipe.model
    if not study.gated:
        return None, "no attention is compared"
    if model.pretrained:
        return None, "published weights exist for the published width only"
    if model.weights is not None:
        return None, "trained weights fit the width that they were trained at"
    target = max(parameters(build_label(study, label, classes)) for label in study.gated)
    try:
        width = widen_to(model.name, target, num_classes=classes, stem=model.stem)
    except ValueError as error:
        return None, str(error)
    return width, ""


def measure(
    study: Study, classes: int, width: float | None, reason: str = ""
) -> dict[str, dict[str, Any]]:
    """Count and time the networks of a study on the machine's default thread count.

    Args:
        study: What is compared.
        classes: Number of classes.
        width: Width of the control, or None if there is none.
        reason: Why there is none.

    Returns:
        Costs by label, and under ``"_conditions"`` how they were measured.
    """
    size = study.recipe.data.size
    labels = [PLAIN, *(label for label in study.labels if label != PLAIN)]
    if width is None and CONTROL in labels:
        labels.remove(CONTROL)
    networks = {label: build_label(study, label, classes, width) for label in labels}
    costs = {label: counts_of(networks[label], 3, size, size) for label in labels}
    for label in labels:
        costs[label]["width"] = width if label == CONTROL else study.recipe.model.width
    conditions = _time(study, networks, costs)
    if study.control and width is None:
        conditions[CONTROL] = reason
    return {**costs, "_conditions": conditions}


def measure_with(
    study: Study,
    build: Callable[[str], ModelOf],
    counts: Callable[[ModelOf], dict[str, Any]],
    call: Callable[[ModelOf, str], Callable[[], object]],
    said: str = "",
) -> dict[str, dict[str, Any]]:
    """Count and time what a study of any task compares, on the machine's default thread count.

    Args:
        study: What is compared; there is no wider control.
        build: Makes the network of a label; it is called under one seed.
        counts: What a network costs, as of :func:`counts_of`.
        call: Given a network and ``"forward"`` or ``"step"``, the call that is timed.
        said: What of a network is counted, where that is not all of it.

    Returns:
        Costs by label, and under ``"_conditions"`` how they were measured.
    """
    networks: dict[str, ModelOf] = {}
    for label in (PLAIN, *(label for label in study.labels if label != PLAIN)):
        with seeded(0), quiet():
            networks[label] = build(label)
    costs = {label: counts(network) for label, network in networks.items()}
    settings, rounds = study.latency, dict[str, int]()
    for mode in ("forward", "step"):
        times = interleave(
            {label: call(network, mode) for label, network in networks.items()},
            torch.device("cpu"),
            repeats=settings.repeats,
            minimum=BLOCKS,
            seconds=settings.seconds,
            warmup=settings.warmup,
        )
        rounds[mode] = note_times(costs, mode, summarize(times))
    told = {"counted": said} if said else {}
    return {**costs, "_conditions": {**conditions_of(study, rounds), **told}}


def counts_of(network: nn.Module, *shape: int) -> dict[str, Any]:
    """Parameters and operations of a network on one input of a shape without its batch."""
    cost = count(network, shape)
    return {
        "params": int(cost.params),
        "macs": int(cost.macs),
        "params_published": int(cost.params_published),
        "macs_published": int(cost.macs_published),
    }


def _time(
    study: Study, networks: Mapping[str, nn.Module], costs: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Add the latencies to ``costs`` and return the conditions."""
    settings, size = study.latency, study.recipe.data.size
    example = torch.rand(settings.batch, 3, size, size, generator=torch.Generator().manual_seed(0))
    rounds: dict[str, int] = {}
    for mode in ("forward", "step"):
        timings = latency(
            networks,
            example,
            mode=mode,
            repeats=settings.repeats,
            warmup=settings.warmup,
            seconds=settings.seconds,
        )
        rounds[mode] = note_times(costs, mode, timings)
    return conditions_of(study, rounds)


def note_times(
    costs: Mapping[str, dict[str, Any]], mode: str, timings: Mapping[str, Timing]
) -> int:
    """Add the timings of a mode to the costs of each label; return how many rounds there were."""
    for label, timing in timings.items():
        costs[label] |= {
            f"{mode}_ms": timing.ms,
            f"{mode}_ratio": timing.ratio,
            f"{mode}_ratio_low": timing.low,
            f"{mode}_ratio_high": timing.high,
        }
    return next(iter(timings.values())).rounds


def conditions_of(study: Study, rounds: Mapping[str, int]) -> dict[str, Any]:
    """Return how a study was timed, with the rounds of each mode."""
    return {
        "threads": torch.get_num_threads(),
        "device": "cpu",
        "batch": study.latency.batch,
        "size": study.recipe.data.size,
        "machine": environment.processor(),
        "cores": environment.machine()["cores"],
        "torch": torch.__version__,
        "commit": environment.commit(),
        "repeats": dict(rounds),
        "statistic": STATISTIC,
        "measured": environment.timestamp(),
    }
