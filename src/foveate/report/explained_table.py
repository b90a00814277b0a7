"""The tables of an explain folder as texts, for the HTML page, Markdown and the terminal alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from foveate.report.explained import SFD, Explained
from foveate.report.statistics import LEVEL, Comparison
from foveate.report.table import ABSENT, p_text
from foveate.report.wording import told

SAME = "no significant difference"


@dataclass(frozen=True)
class Table:
    """Texts in rows.

    Attributes:
        caption: What the table shows, in a sentence.
        heads: Of the columns; the first names the rows.
        rows: Cells.
        words: Whether the cells are words rather than numbers.
    """

    caption: str
    heads: list[str]
    rows: list[list[str]]
    words: bool = True


def scores_table(record: Explained) -> Table:
    """Every score of every network with its interval over images and its chance level."""
    rows = [
        [_named(record, name), *(_score(record, name, network) for network in record.networks)]
        for name in record.names
    ]
    rows += [
        [record.title_of(name), *(_mean(record, name, network) for network in record.networks)]
        for name in record.beside
    ]
    return Table(
        f"Mean over images at {record.layer} with its 95 % interval over images, and beside it"
        " the chance level: what a map without information would get.",
        ["score", *record.networks],
        rows,
    )


def gaps_table(record: Explained) -> Table:
    """The difference of every score to the base, paired by image."""
    rows = [
        [
            _named(record, name),
            *(_gap(record, name, network) for network in record.others),
        ]
        for name in record.names
    ]
    tests = sum(p is not None for p in record.corrected.values())
    return Table(
        f"Difference to {record.base}, paired by image, with its 95 % interval; p-values two-sided,"
        f" corrected by Holm's method over the {tests} tests of this table.",
        ["score", *(f"{network} to {record.base}" for network in record.others)],
        rows,
    )


def seeds_table(record: Explained) -> Table:
    """Every score by seed, with the interval over seeds."""
    rows = [
        [_named(record, name), *(_by_seed(record, name, network) for network in record.networks)]
        for name in record.names
    ]
    return Table(
        "Mean over seeds with its 95 % t-interval over seeds, and the mean over images of each"
        " seed.",
        ["score", *record.networks],
        rows,
    )


def seed_gaps_table(record: Explained) -> Table:
    """The difference of every score to the base, paired by seed."""
    rows = [
        [
            _named(record, name),
            *(
                _seed_gap(
                    record.seed_gap(name, network),
                    record.seeds_corrected.get((name, network)),
                    record.rises(name),
                )
                for network in record.others
            ),
        ]
        for name in record.names
    ]
    tests = sum(p is not None for p in record.seeds_corrected.values())
    return Table(
        f"Difference to {record.base}, paired by seed, with its 95 % t-interval; p-values"
        f" two-sided, corrected by Holm's method over the {tests} tests of this table.",
        ["score", *(f"{network} to {record.base}" for network in record.others)],
        rows,
    )


def counts_table(record: Explained) -> Table:
    """What was looked at, and what has no score, by network."""
    flags = {network: record.flags(network) for network in record.networks}
    reasons = list(dict.fromkeys(reason for by in flags.values() for reason in by))
    accuracy = record.summary.get("accuracy") or {}
    rows = []
    for network in record.networks:
        known = accuracy.get(network)
        maps = record.images * len(record.seeds(network))
        rows.append(
            [
                network,
                "not known" if known is None else f"{100 * known:.2f}",
                f"{maps}",
                *(f"{flags[network].get(reason, 0)}" for reason in reasons),
                f"{record.score(SFD, network).get('count') or 0}",
            ]
        )
    heads = ["network", "top-1 % on these images", "maps (images x seeds)"]
    heads += [f"without scores: {reason}" for reason in reasons]
    return Table(
        "What was looked at. An image counts as scored if at least one seed has a score of it.",
        [*heads, "images with sfd"],
        rows,
        words=False,
    )


def settings_table(record: Explained, layer: str) -> Table:
    """Mean sfd of every network by base, shift and threshold, for one layer."""
    rows = []
    for setting, by_network in record.varied.items():
        if setting.layer == layer:
            cells = [
                _varied(by_network.get(network), record.varied_chance(setting, network))
                for network in record.networks
            ]
            choice = [setting.base, setting.shift, f"{setting.threshold:g}"]
            rows.append([*choice, *cells, _order(by_network)])
    heads = ["base", "shift", "threshold", *record.networks, "order"]
    known = any("(" in cell for row in rows for cell in row)
    beside = " with the chance level in brackets" if known else ""
    return Table(f"Mean sfd over images at {layer}{beside}.", heads, rows, words=False)


_HEALTH = {
    "verdict": "verdict",
    "openness": "openness",
    "change": "change of its input",
    "mean": "mean weight",
    "spread": "spread",
    "entropy": "entropy, bits",
    "shut": "share < 0.05",
    "open": "share > 0.95",
    "dead_channels": "dead channels",
    "offset_mean_px": "displacement, px",
    "offset_p95_px": "95 % below, px",
    "outside": "points outside",
}


def health_table(record: Explained) -> Table | None:
    """How the gates do, a row each; None if no network has one."""
    found: Mapping[str, list[Mapping[str, Any]]] = record.tree.get("health") or {}
    rows = [
        [f"{network}, {gate.get('site', '?')}", *(_vital(gate, key) for key in _HEALTH)]
        for network, gates in found.items()
        for gate in gates or ()
    ]
    if not rows:
        return None
    heads = list(_HEALTH.values())
    used = [turn for turn in range(len(heads)) if any(row[turn + 1] != ABSENT for row in rows)]
    return Table(
        "Gates of the first seed of each network. - stands for what an attention does not have:"
        " an openness without an identity start, weights without a gate, points without offsets.",
        ["gate", *(heads[turn] for turn in used)],
        [[row[0], *(row[turn + 1] for turn in used)] for row in rows],
        words=False,
    )


def _vital(gate: Mapping[str, Any], key: str) -> str:
    value = gate.get(key)
    if key == "dead_channels" and value is not None and gate.get("channels"):
        return f"{value} of {gate['channels']}"
    if isinstance(value, bool) or value is None:
        return ABSENT
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            return "not finite"
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"
    return told(value)


def number(value: float | None, sign: bool = False) -> str:
    """A score with three digits and a true minus sign; - for one that is not defined."""
    if value is None:
        return ABSENT
    text = f"{value:+.3f}" if sign else f"{value:.3f}"
    return text.replace("-", "\N{MINUS SIGN}")


def interval(one: Mapping[str, Any], sign: bool = False) -> str:
    """A mean with the ends of its interval, as far as they are known."""
    mean = number(one.get("mean"), sign)
    if one.get("low") is None or one.get("high") is None:
        return mean
    return f"{mean} [{number(one['low'], sign)}, {number(one['high'], sign)}]"


def _order(by_network: Mapping[str, float]) -> str:
    """Names from the highest score down, with = between equal ones."""
    names = sorted(by_network, key=lambda name: -by_network[name])
    said = names[0] if names else ABSENT
    for one, following in pairwise(names):
        level = math.isclose(by_network[one], by_network[following], rel_tol=1e-9)
        said += f" {'=' if level else '>'} {following}"
    return said


def _varied(mean: float | None, chance: float | None) -> str:
    return number(mean) if mean is None or chance is None else f"{number(mean)} ({number(chance)})"


def chance_text(one: Mapping[str, Any]) -> str:
    """The chance level of a score."""
    chance = one.get("chance")
    return "chance not known" if chance is None else f"chance {number(chance)}"


def _named(record: Explained, name: str) -> str:
    return record.title_of(name) + ("" if record.rises(name) else " (lower is better)")


def _mean(record: Explained, name: str, network: str) -> str:
    one = record.score(name, network)
    if one.get("mean") is None:
        reasons = record.flags(network)
        why = max(reasons, key=lambda reason: reasons[reason]) if reasons else "not scored"
        return f"{ABSENT} (no image has it: {why})"
    return interval(one)


def _score(record: Explained, name: str, network: str) -> str:
    one, mean = record.score(name, network), _mean(record, name, network)
    return mean if one.get("mean") is None else f"{mean}, {chance_text(one)}"


def verdict(mean: float | None, p: float | None, rises: bool) -> str:
    """The outcome of a test in a word; empty if there was none."""
    if mean is None or p is None:
        return ""
    if p >= LEVEL:
        return SAME
    return "better" if (mean > 0) == rises else "worse"


def _gap(record: Explained, name: str, network: str) -> str:
    one, p = record.gap(name, network), record.corrected.get((name, network))
    if one.get("mean") is None:
        return f"{ABSENT} (no image has both scores)"
    said = verdict(one["mean"], p, record.rises(name)) or "not tested"
    shown = "p not known: too few images" if p is None else f"p {p_text(p)}"
    return f"{said}: {interval(one, sign=True)}, {shown}"


def _by_seed(record: Explained, name: str, network: str) -> str:
    found, values = record.over_seeds(name, network), record.by_seed(name, network)
    if found is None:
        return f"{ABSENT} (no seed has it)"
    half = found.half_width
    each = ", ".join(number(value) for value in values.values())
    spread = "no interval of one seed" if half is None else f"\N{PLUS-MINUS SIGN} {number(half)}"
    return f"{number(found.mean)} {spread} ({each})"


def _seed_gap(gap: Comparison | None, p: float | None, rises: bool) -> str:
    if gap is None:
        return f"{ABSENT} (no seed is shared)"
    one = gap.difference
    ends = {"mean": one.mean, "low": one.low, "high": one.high}
    if gap.p is None:
        return f"not tested, {gap.why_untested}: {interval(ends, sign=True)}"
    return f"{verdict(one.mean, p, rises)}: {interval(ends, sign=True)}, p {p_text(p)}"
