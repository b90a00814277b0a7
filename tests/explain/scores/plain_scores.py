"""The scores once more, pixel by pixel in plain Python, and small maps to try them on."""

import itertools
import math
from fractions import Fraction

import torch
from hypothesis import strategies as st


def pixels(maps, regions):
    """The (value, inside, y, x) of one image, as Python numbers."""
    return [
        (float(maps[y, x]), bool(regions[y, x]), y, x)
        for y in range(maps.shape[0])
        for x in range(maps.shape[1])
    ]


def plain_sfd(heat, region, base, shift, threshold):
    """Score, chance, area and outside of one image."""
    seen = pixels(heat, region)
    top = bottom = inside = both = 0
    for value, in_region, _, _ in seen:
        if in_region or value >= threshold:
            weight = base**value - shift
            bottom += weight
            both += 1
            if in_region:
                top += weight
                inside += 1
    if inside == 0 or bottom == 0:
        return math.nan, math.nan, inside / len(seen) if inside else math.nan, math.nan
    return top / bottom, inside / both, inside / len(seen), (both - inside) / len(seen)


def plain_share(heat, region):
    seen = [(Fraction(value), inside) for value, inside, _, _ in pixels(heat, region)]
    whole = sum(value for value, _ in seen)
    if not any(inside for _, inside in seen) or whole == 0:
        return math.nan
    return float(sum(value for value, inside in seen if inside) / whole)


def plain_pointing(heat, region, tolerance):
    seen = pixels(heat, region)
    objects = [(y, x) for _, inside, y, x in seen if inside]
    if not objects:
        return math.nan
    top = max(value for value, _, _, _ in seen)
    hottest = [(y, x) for value, _, y, x in seen if value == top]
    hits = sum(
        any((y - v) ** 2 + (x - u) ** 2 <= tolerance**2 for v, u in objects) for y, x in hottest
    )
    return hits / len(hottest)


def plain_top(heat, region, count):
    """Mean share of hits over every order that agrees with the values."""
    groups = {}
    for value, inside, _, _ in pixels(heat, region):
        groups.setdefault(value, []).append(inside)
    hits, left = Fraction(0), count
    for value in sorted(groups, reverse=True):
        group = groups[value]
        if left <= 0:
            break
        taken = min(left, len(group))
        draws = list(itertools.combinations(group, taken)) if taken < len(group) else [group]
        hits += Fraction(sum(sum(draw) for draw in draws), len(draws))
        left -= taken
    return float(hits / count)


def plain_auc(heat, region):
    seen = pixels(heat, region)
    inside = [value for value, in_region, _, _ in seen if in_region]
    outside = [value for value, in_region, _, _ in seen if not in_region]
    if not inside or not outside:
        return math.nan
    wins = sum(Fraction((a > b) * 2 + (a == b), 2) for a in inside for b in outside)
    return float(wins / (len(inside) * len(outside)))


def plain_iou(heat, region, threshold):
    seen = pixels(heat, region)
    if not any(inside for _, inside, _, _ in seen):
        return math.nan
    both = sum(inside and value >= threshold for value, inside, _, _ in seen)
    either = sum(inside or value >= threshold for value, inside, _, _ in seen)
    return both / either


@st.composite
def scenes(draw, largest=3):
    """One map (1, H, W) of few values, so that ties abound, and its region."""
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    count = height * width
    values = draw(st.lists(st.integers(0, 8), min_size=count, max_size=count))
    region = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    heat = torch.tensor(values, dtype=torch.float32).view(1, height, width) / 8
    return heat, torch.tensor(region).view(1, height, width)


def some_scenes(count=5, height=9, width=11):
    """A batch of maps with smooth values and ties, and regions: empty, whole, and in between."""
    generator = torch.Generator().manual_seed(3)
    maps = torch.rand(count, height, width, generator=generator)
    maps[1] = (maps[1] * 4).round() / 4
    maps[2] = 0.25
    regions = torch.rand(count, height, width, generator=generator) < 0.3
    regions[3], regions[4] = False, True
    return maps, regions


def same(got, want):
    """Whether two scores agree to rounding, NaN with NaN."""
    return (math.isnan(got) and math.isnan(want)) or math.isclose(
        got, want, rel_tol=1e-11, abs_tol=1e-13
    )
