"""What each variant of a study came to: its score, its differences, its tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foveate.report.metric import CLASSIFICATION, Metric
from foveate.report.reading import NONE, WIDER, StudyRecord
from foveate.report.statistics import LEVEL, Comparison, Estimate, compare, estimate, holm

BETTER, WORSE = "better than none", "worse than none"
SAME = "not significantly different from none"


@dataclass(frozen=True)
class Row:
    """One variant of a study; scores are fractions.

    Attributes:
        label: The variant.
        runs: Finished runs.
        wanted: Runs the study asks for.
        costs: Its entry of ``costs.json``.
        score: Mean over the finished runs of what the study compares, or None.
        against_none: Difference to the plain network, paired by seed.
        p_none: Its p-value after Holm's correction over all variants compared.
        against_wider: Difference of an attention to the parameter-matched plain network.
        p_wider: Its p-value after Holm's correction.
        verdict: The outcome in words.
        metric: What the score is.
        further: Means of the further scores of the metric, by key.
        further_gaps: Their differences to the plain network, paired by seed and not tested.
    """

    label: str
    runs: int
    wanted: int
    costs: dict[str, Any]
    score: Estimate | None
    against_none: Comparison | None
    p_none: float | None
    against_wider: Comparison | None
    p_wider: float | None
    verdict: str
    metric: Metric = CLASSIFICATION
    further: Mapping[str, Estimate] = field(default_factory=dict)
    further_gaps: Mapping[str, Comparison] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The label with what it means where that is not plain."""
        if self.label == WIDER:
            width = self.costs.get("width")
            return f"{WIDER} (width {width:.2f})" if isinstance(width, float) else WIDER
        return self.label


def rows_of(study: StudyRecord) -> list[Row]:
    """Results of every variant of a study, in the order of the study."""
    scores = {label: study.scores(label) for label in study.labels}
    none, wider = scores.get(NONE, {}), scores.get(WIDER, {})
    to_none = {label: compare(scores[label], none) for label in study.labels if label != NONE}
    to_wider = {
        label: compare(scores[label], wider) for label in study.labels if label not in (NONE, WIDER)
    }
    p_none = holm({label: c.p for label, c in to_none.items() if c})
    p_wider = holm({label: c.p for label, c in to_wider.items() if c})
    rows = []
    for label in study.labels:
        values = list(scores[label].values())
        costs = dict(study.costs.get(label, {}))
        if not values and "params" not in costs and label == WIDER:
            continue  # No such network exists for this family; the limits say why.
        against = to_none.get(label)
        rows.append(
            Row(
                label=label,
                runs=len(values),
                wanted=len(study.seeds),
                costs=costs,
                score=estimate(values) if values else None,
                against_none=against,
                p_none=p_none.get(label),
                against_wider=to_wider.get(label),
                p_wider=p_wider.get(label),
                verdict=_verdict(study.metric, label, len(values), against, p_none.get(label)),
                metric=study.metric,
                further=_further(study, label),
                further_gaps=_further_gaps(study, label),
            )
        )
    return rows


def _verdict(
    metric: Metric, label: str, runs: int, against: Comparison | None, p: float | None
) -> str:
    if runs == 0:
        return "not run"
    if label == NONE:
        return "the plain network"
    if against is None:
        return "not comparable: no run of none with the same seed"
    if p is None:
        return f"not tested: {against.why_untested}"
    if p >= LEVEL:
        return SAME
    return BETTER if metric.is_better(against.difference.mean) else WORSE


def _further(study: StudyRecord, label: str) -> dict[str, Estimate]:
    scores = {key: list(study.scores(label, key).values()) for key, _ in study.metric.further}
    return {key: estimate(values) for key, values in scores.items() if values}


def _further_gaps(study: StudyRecord, label: str) -> dict[str, Comparison]:
    if label == NONE:
        return {}
    gaps = {
        key: compare(study.scores(label, key), study.scores(NONE, key))
        for key, _ in study.metric.further
    }
    return {key: gap for key, gap in gaps.items() if gap}
