"""What a survey asks of every image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn

from foveate.core import check_choice, check_positive_int, expected
from foveate.explain.scores import ScoreSettings
from foveate.explain.scores.sfd import BASES, SHIFTS, THRESHOLDS
from foveate.explain.targets import AFTER, BEFORE
from foveate.models import stage_modules

CLASSES = ("predicted", "label")


@dataclass(frozen=True)
class Grid:
    """The settings of sfd that are varied, to see how much hangs on them.

    Attributes:
        bases: Of the anti-log.
        shifts: 0, or 1 for cold pixels to weigh nothing.
        thresholds: From where on a pixel is salient.
    """

    bases: tuple[float, ...] = BASES
    shifts: tuple[float, ...] = SHIFTS
    thresholds: tuple[float, ...] = THRESHOLDS


@dataclass(frozen=True)
class SurveySettings:
    """How a survey looks and scores; two surveys of one setting can be put together.

    Attributes:
        layers: Names of :func:`~foveate.explain.cam_targets`; scores are told for the first one,
            the others show how much hangs on the choice.
        explained: The class each map explains: the ``"predicted"`` one or the ``"label"``.
        scores: Of the scores.
        grid: Of sfd.
        deletion: Steps of the deletion and insertion curves; 0 leaves them out. Each step is two
            passes of the network per image, and as many again for the random order.
        batch_size: Images at a time.
        workers: Processes that read images.

    Raises:
        ValueError: If there is no layer, a layer comes twice, or a number is out of range.
    """

    layers: tuple[str, ...]
    explained: str = "predicted"
    scores: ScoreSettings = field(default_factory=ScoreSettings)
    grid: Grid = field(default_factory=Grid)
    deletion: int = 0
    batch_size: int = 16
    workers: int = 0

    def __post_init__(self) -> None:
        if not self.layers or len(set(self.layers)) != len(self.layers):
            raise ValueError(expected("explain", "layers, each once", list(self.layers)))
        check_choice("explain", "explained", self.explained, CLASSES)
        check_positive_int("explain", "batch_size", self.batch_size)
        check_positive_int("explain", "deletion", self.deletion, minimum=0)
        check_positive_int("explain", "workers", self.workers, minimum=0)

    def told(self) -> dict[str, Any]:
        """All that decides a score, for a file: the two that only decide speed are left out."""
        tree = asdict(self)
        del tree["batch_size"], tree["workers"]
        return tree


def default_layers(model: nn.Module, example: Any = None) -> tuple[str, ...]:
    """The end of the last stage, the same before its gate, and the end of the stage before.

    Figure 4 of the DAS paper shows the last two stages; which one is behind its scores, and on
    which side of the gate, is unknown.
    """
    count = len(stage_modules(model, example))
    if not count:
        remedy = "name modules with --layers"
        raise ValueError(
            expected("explain", "a network with known stages", type(model).__name__, remedy)
        )
    last = f"stage{count}"
    return (last, f"{last}:before", *([f"stage{count - 1}"] if count > 1 else []))


def find_layers(
    layers: Sequence[str], known: Sequence[str], modules: Collection[str], name: str
) -> dict[str, str]:
    """The target of each layer; where no gate sits, both of its sides are the place itself.

    Args:
        layers: What is asked for.
        known: Names of :func:`~foveate.explain.cam_targets`.
        modules: Names of all modules.
        name: Of the network.

    Raises:
        ValueError: If the network has no such place.
    """
    found = {}
    for layer in layers:
        place, _, side = layer.partition(":")
        if layer in known or layer in modules:
            found[layer] = layer
        elif place in (*known, *modules) and side in (BEFORE, AFTER):
            found[layer] = place
        else:
            shown = ", ".join([one for one in known if ":" not in one] or list(known))
            remedy = f"{name} has {shown}, with :before and :after at gates"
            raise ValueError(expected("--layers", "names of maps", layer, remedy))
    return found
