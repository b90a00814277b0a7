"""A small chart as inline SVG: axes, ticks, lines, bands, points with error bars.

Written by hand rather than by matplotlib because inline SVG takes its colors from the page, and so
follows its light and dark modes, stays sharp on any screen and is small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]


def ticks(low: float, high: float, count: int = 6, whole: bool = False) -> list[float]:
    """Round numbers that cover [low, high], about ``count`` of them; ``whole`` ones if asked.

    Example:
        >>> ticks(0, 100)
        [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= raw * (1 - 1e-9))
    step = max(1.0, math.ceil(step)) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) + 0.0 for index in range(first, last + 1)]


def padded(values: Sequence[float], share: float = 0.08) -> tuple[float, float]:
    """A range that holds all finite ``values`` with some room; (0, 1) without any.

    Example:
        >>> padded([2.0, 4.0], share=0.5)
        (1.0, 5.0)
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    room = (high - low) * share or abs(high) * share or 1.0
    return low - room, high + room


@dataclass
class Chart:
    """A chart that is filled by its methods and rendered by ``render``.

    Attributes:
        title: Said to screen readers, with ``description``.
        description: What the chart shows, in a sentence.
        x_range: Ends of the horizontal axis.
        y_range: Ends of the vertical axis.
        x_label: Under the horizontal axis.
        y_label: Above the vertical axis.
        width: View box.
        height: View box.
        whole: Whether the horizontal axis counts something.
    """

    title: str
    description: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_label: str
    y_label: str
    width: int = 420
    height: int = 300
    whole: bool = False
    _body: list[str] = field(default_factory=list)
    _labels: list[tuple[float, float, str, str]] = field(default_factory=list)

    _left, _right, _top, _bottom = 46, 14, 26, 40

    def x(self, value: float) -> float:
        """Horizontal place of a value."""
        low, high = self.x_range
        span = self.width - self._left - self._right
        return round(self._left + (value - low) / (high - low) * span, 1)

    def y(self, value: float) -> float:
        """Vertical place of a value."""
        low, high = self.y_range
        span = self.height - self._top - self._bottom
        return round(self.height - self._bottom - (value - low) / (high - low) * span, 1)

    def line(self, points: Sequence[Point], style: str) -> None:
        """A line through the finite points; ``style`` is a class of the page's style sheet."""
        finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        if len(finite) == 1:
            self.dot(finite[0], style)
            return
        path = " ".join(f"{self.x(x)},{self.y(y)}" for x, y in finite)
        self._body.append(f'<polyline class="line {style}" points="{path}"/>')

    def band(self, points: Sequence[tuple[float, float, float]], style: str) -> None:
        """The area between low and high at each x."""
        finite = [point for point in points if all(math.isfinite(value) for value in point)]
        if len(finite) < 2:
            return
        there = [f"{self.x(x)},{self.y(high)}" for x, _, high in finite]
        back = [f"{self.x(x)},{self.y(low)}" for x, low, _ in reversed(finite)]
        self._body.append(f'<polygon class="band {style}" points="{" ".join(there + back)}"/>')

    def dot(self, point: Point, style: str, text: str = "") -> None:
        """A filled circle, which shows ``text`` to a pointer."""
        x, y = point
        self._body.append(
            f'<circle class="dot {style}" cx="{self.x(x)}" cy="{self.y(y)}" r="5">'
            f"<title>{escape(text)}</title></circle>"
        )

    def error_bar(self, start: Point, end: Point, style: str) -> None:
        """A bar between two points."""
        (x1, y1), (x2, y2) = start, end
        self._body.append(
            f'<line class="bar {style}" x1="{self.x(x1)}" y1="{self.y(y1)}"'
            f' x2="{self.x(x2)}" y2="{self.y(y2)}"/>'
        )

    def label(self, point: Point, text: str, style: str) -> None:
        """A word above a point; words are moved apart when rendered."""
        self._labels.append((self.x(point[0]), self.y(point[1]), text, style))

    def render(self) -> str:
        """The chart as an ``<svg>`` element."""
        title, description = escape(self.title), escape(self.description)
        head = (
            f'<svg class="chart" viewBox="0 0 {self.width} {self.height}" role="img"'
            f' aria-label="{title}. {description}"><title>{title}</title>'
        )
        return "\n".join([head, *self._axes(), *self._body, *self._placed(), "</svg>"])

    def _axes(self) -> list[str]:
        left, base = self._left, self.height - self._bottom
        right = self.width - self._right
        parts = []
        for value in ticks(*self.y_range):
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{left}" y1="{y}" x2="{right}" y2="{y}"/>')
            parts.append(
                f'<text class="tick" x="{left - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>'
            )
        for value in ticks(*self.x_range, whole=self.whole):
            x = self.x(value)
            parts.append(f'<line class="axis" x1="{x}" y1="{base}" x2="{x}" y2="{base + 4}"/>')
            parts.append(
                f'<text class="tick" x="{x}" y="{base + 17}" text-anchor="middle">{value:g}</text>'
            )
        parts.append(f'<line class="axis" x1="{left}" y1="{base}" x2="{right}" y2="{base}"/>')
        middle = (left + right) / 2
        parts.append(
            f'<text class="name" x="{middle}" y="{self.height - 5}" text-anchor="middle">'
            f"{escape(self.x_label)}</text>"
        )
        parts.append(f'<text class="name" x="2" y="13">{escape(self.y_label)}</text>')
        return parts

    def _placed(self) -> list[str]:
        """Labels above their points, moved up where two would overlap, if there is room."""
        parts: list[str] = []
        taken: list[tuple[float, float, float]] = []
        for x, y, text, style in sorted(self._labels, key=lambda entry: -entry[1]):
            half = 4.4 * len(text)
            center = min(max(x, self._left + half), self.width - half)
            up = y - 7
            while any(
                abs(up - other_up) < 14 and abs(center - other) < half + other_half
                for other, other_up, other_half in taken
            ):
                up -= 14
            if up < self._top - 10:
                continue
            taken.append((center, up, half))
            parts.append(
                f'<text class="word {style}" x="{center:.1f}" y="{up:.1f}"'
                f' text-anchor="middle">{escape(text)}</text>'
            )
        return parts
