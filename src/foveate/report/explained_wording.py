"""What came out of a look at some networks, in plain sentences; chance is never left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foveate.report.explained import SAME_B, SFD, Explained, Setting
from foveate.report.explained_table import SAME, chance_text, interval, number, verdict
from foveate.report.statistics import LEVEL
from foveate.report.table import p_text
from foveate.report.wording import join, told

SFD_IS = (
    "sfd (salient feature detection) asks whether the heat of a map lies on the object. The map h"
    " is Grad-CAM, scaled to 0..1; R is the object; B is R and every pixel of the map at or above"
    " the threshold. Each pixel weighs base to the power of h, less shift, and sfd is the weight of"
    " R divided by the weight of B.",
    "It lies between 0 and 1, and is 1 if nothing salient lies outside of the object. With shift 0"
    " it cannot reach 0.",
    "A map without information, the same everywhere, weighs every pixel alike and gets |R| / |B|:"
    " that is the chance level, and a large object makes it large.",
    "B depends on the map, so a map may gain by being salient on less, not by being hotter on the"
    " object. The share of the image that is salient beside the object is therefore shown too, and"
    " sfd over the same B, with the salient pixels of all networks together.",
    "The chance level moves with the map as well: a perfect map and an empty one have both 1. Read"
    " how far a score is above its chance, not the score alone.",
    "Maps that are the same everywhere and images without a region are left out and counted.",
    "The method was published without base, shift, threshold and layer. Numbers of other sources"
    " are not comparable unless all of them, the images and the regions are the same.",
)


def headline(record: Explained) -> str:
    """Who looks at the object more, by sfd, with intervals and chance beside."""
    known = [name for name in record.networks if _sfd(record, name).get("mean") is not None]
    if not known:
        reasons = {reason for name in record.networks for reason in record.flags(name)}
        why = f": {join(sorted(reasons))}" if reasons else ""
        return (
            f"No image has an sfd{why}. Whether the networks look at the object is not known;"
            " the pictures show where they look."
        )
    counts = sorted(_sfd(record, name).get("count") or 0 for name in known)
    over = _count(counts[-1], "image")
    over = over if counts[0] == counts[-1] else f"{counts[0]} to {over}"
    means = join([f"{name} {_with_chance(_sfd(record, name))}" for name in known])
    said = f"By sfd at {record.layer} over {over}: {means}."
    outcome = _outcome(record)
    return " ".join([said, *outcome])


def _outcome(record: Explained) -> list[str]:
    if record.base is None:
        return [] if len(record.networks) == 1 else [
            "No network was named as the base, so none is tested against another."
        ]  # fmt: skip
    by_word: dict[str, list[str]] = {}
    for network in record.others:
        gap, p = record.gap(SFD, network), record.corrected.get((SFD, network))
        word = verdict(gap.get("mean"), p, rises=True)
        by_word.setdefault(word, []).append(f"{network} ({interval(gap, sign=True)}, p {_p(p)})")
    sentences = {
        "better": f"Significantly more on the object than {record.base}: {{}}.",
        "worse": f"Significantly less on the object than {record.base}: {{}}.",
        SAME: f"Not significantly different from {record.base}: {{}}.",
        "": f"Not tested against {record.base}: {{}}.",
    }
    said = [text.format(join(by_word[word])) for word, text in sentences.items() if word in by_word]
    return [*said, *_confirmed(record)]


def _confirmed(record: Explained) -> list[str]:
    """What the seeds say to a difference that is significant over images."""
    found = [n for n in record.others if (record.corrected.get((SFD, n)) or 1.0) < LEVEL]
    if not found:
        return []
    gaps = {name: record.seed_gap(SFD, name) for name in found}
    if not any(gap and gap.p is not None for gap in gaps.values()):
        unknown = "that another training would order them alike is not known."
        if record.most_seeds > 1:
            return [f"The seeds that they share allow no test: {unknown}"]
        return [f"One trained network of each kind: {unknown}"]
    unsure = [
        f"{name} (p {_p(record.seeds_corrected.get((SFD, name)))})"
        for name, gap in gaps.items()
        if gap is None or (record.seeds_corrected.get((SFD, name)) or 1.0) >= LEVEL
    ]
    if unsure:
        return [f"Over seeds this is not significant for {join(unsure)}."]
    return ["Over seeds it is significant too."]


def remarks(record: Explained) -> list[str]:
    """What has to be read beside the headline: below chance, and the same B for all."""
    said = []
    held = []
    for name in record.networks:
        one = _sfd(record, name)
        chance, low, high = (one.get(key) for key in ("chance", "low", "high"))
        if chance is None or low is None or high is None:
            continue
        if high < chance:
            said.append(f"{name} is less on the object than a flat map is ({number(chance)}).")
        elif low <= chance:
            held.append(f"{name} ({number(chance)})")
    if held:
        said.append(f"The chance level lies within the interval of {join(held)}.")
    said += [text for network in record.others for text in _over_chance(record, network)]
    for network in record.others if SAME_B in record.names else ():
        first = verdict(*_tested(record, SFD, network), rises=True)
        fixed = verdict(*_tested(record, SAME_B, network), rises=True)
        if first and fixed and first != fixed:
            gap = interval(record.gap(SAME_B, network), sign=True)
            said.append(
                f"Over the same B for all networks the outcome is another one for {network}:"
                f" {_IN_WORDS[fixed].format(record.base)} ({gap},"
                f" p {_p(record.corrected.get((SAME_B, network)))})."
            )
    return said


def _over_chance(record: Explained, network: str) -> list[str]:
    """A lead in sfd that is none over chance: B shrank, the heat did not move to the object."""
    ours, base = (_sfd(record, name) for name in (network, record.base or ""))
    if any(one.get(key) is None for one in (ours, base) for key in ("mean", "chance")):
        return []
    gaps = [one["mean"] - one["chance"] for one in (ours, base)]
    if (ours["mean"] > base["mean"]) == (gaps[0] > gaps[1]):
        return []
    shown = [number(gap, sign=True) for gap in gaps]
    turned = "less" if gaps[0] < gaps[1] else "more"
    return [
        f"Above its own chance level {network} has {turned} ({shown[0]}) than {record.base}"
        f" ({shown[1]}): the order by sfd comes from the size of B."
    ]


_IN_WORDS = {
    "better": "significantly more on the object than {}",
    "worse": "significantly less on the object than {}",
    SAME: "not significantly different from {}",
}


def sensitivity(record: Explained) -> list[str]:
    """How far sfd moves with what it leaves open, and whether the order of the networks turns."""
    count = len(record.varied)
    if count < 2:
        return []
    said = []
    for name in record.networks:
        values = [by[name] for by in record.varied.values() if name in by]
        if values:
            said.append(
                f"sfd of {name} lies between {number(min(values))} and {number(max(values))}."
            )
    layers = len({setting.layer for setting in record.varied})
    over = f"the {count} settings ({_count(layers, 'layer')})"
    for one, other in record.pairs:
        gaps = {
            setting: by[one] - by[other]
            for setting, by in record.varied.items()
            if one in by and other in by
        }
        if gaps:
            said.append(_order(one, other, gaps, over))
    return said


def _order(one: str, other: str, gaps: Mapping[Setting, float], over: str) -> str:
    above = [setting for setting, gap in gaps.items() if gap > 0]
    below = [setting for setting, gap in gaps.items() if gap < 0]
    low, high = (number(end, sign=True) for end in (min(gaps.values()), max(gaps.values())))
    span = f"their difference runs from {low} to {high}"
    if not below and not above:
        return f"{one} and {other} have the same sfd in all of {over}."
    if not below or not above:
        word = "above" if above else "below"
        ties = len(gaps) - len(above) - len(below)
        but = f", level in {ties}" if ties else ""
        return f"{one} is never {_OPPOSITE[word]} {other} in {over}{but}: {span}."
    fewer, word = min((below, "below"), (above, "above"), key=lambda side: len(side[0]))
    where = f"in {len(fewer)} of {over} ({_places(fewer, list(gaps))})"
    return f"The order turns: {one} is {word} {other} {where}; {span}."


def _places(chosen: Sequence[Setting], known: Sequence[Setting], most: int = 3) -> str:
    """Settings in words: whole layers by their name, others one by one, the first of them."""
    said, single = [], []
    for layer in dict.fromkeys(setting.layer for setting in chosen):
        here = [setting for setting in chosen if setting.layer == layer]
        if len(here) == sum(setting.layer == layer for setting in known):
            said.append(f"all of {layer}")
        else:
            single += [str(setting) for setting in here]
    said += single[:most]
    return "; ".join(said) + (f" and {len(single) - most} more" if len(single) > most else "")


_OPPOSITE = {"above": "below", "below": "above"}


def limits(record: Explained) -> list[str]:
    """What the reader must not conclude."""
    settings: Mapping[str, Any] = record.tree.get("settings") or {}
    said = [
        "Intervals over images are bootstrap intervals of these trained networks: they say how the"
        " scores would move with other images, not with another training. Intervals over seeds say"
        " how they move with another training on the same images. The two are different doubts"
        " and neither contains the other.",
    ]
    most = record.most_seeds
    if most > 1:
        said.append(
            f"{most} seeds: intervals over seeds are Student's t, which assumes normally"
            " distributed differences; so few values cannot show whether they are."
        )
    else:
        said.append("One seed: what another training would give is not known.")
    if record.base is not None:
        said.append(
            "Not significant does not mean equal. p-values over images are from sign-flip"
            " permutations and corrected by Holm's method; intervals are not corrected, and one"
            " may leave 0 out although its corrected p-value is not significant."
        )
    if settings.get("explained") == "predicted":
        said.append(
            "Each map explains the class that the network says, right or wrong, so two networks"
            " may be explained by different classes on one image."
        )
    kind = (settings.get("regions") or {}).get("kind")
    if kind == "boxes":
        said.append(
            "Regions are boxes: what lies between the object and its box counts as the object."
        )
    if kind == "grounded-sam":
        said.append(
            "Regions were found by models and may be wrong; the contact sheet shows them to be"
            " checked by eye. Images without a region have no score: the others may be easier."
        )
    said.append(
        "Grad-CAM has the resolution of its layer and is one explanation of several; a score of"
        " its maps says where the evidence lies, not that the decision needs it."
    )
    return said


def legend(record: Explained) -> list[tuple[str, str]]:
    """Every score: its title, and its range, chance level and source in words."""
    found = []
    for name in record.names:
        one = record.meaning(name)
        if not one:
            continue
        better = "higher is better" if record.rises(name) else "lower is better"
        ends = " to ".join(_end(one.get(key)) for key in ("low", "high"))
        parts = [f"{ends}, {better}", f"chance: {told(one.get('chance'))}"]
        parts += [f"source: {told(one['source'])}"] if one.get("source") else []
        found.append((record.title_of(name), "; ".join(parts)))
    return found


def conditions(record: Explained) -> list[tuple[str, str]]:
    """Settings, networks and where all was computed."""
    settings = dict(record.tree.get("settings") or {})
    said = [(key, told(value)) for key, value in settings.items()]
    said += [(name, told(value)) for name, value in (record.tree.get("about") or {}).items()]
    said += [(key, told(value)) for key, value in (record.tree.get("conditions") or {}).items()]
    return said


def _sfd(record: Explained, network: str) -> Mapping[str, Any]:
    return record.score(SFD, network)


def _tested(record: Explained, name: str, network: str) -> tuple[float | None, float | None]:
    return record.gap(name, network).get("mean"), record.corrected.get((name, network))


def _with_chance(one: Mapping[str, Any]) -> str:
    return f"{interval(one)} ({chance_text(one)})"


def _p(value: float | None) -> str:
    return "not known" if value is None else p_text(value)


def _end(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else told(value)


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
