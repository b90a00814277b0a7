"""How much sfd moves with its settings: small charts that share their axes."""

from __future__ import annotations

from collections.abc import Mapping

from foveate.report.explained import Explained
from foveate.report.svg import Chart, padded


def setting_charts(record: Explained, style: Mapping[str, str]) -> dict[str, list[str]]:
    """A chart per layer and base: sfd over the threshold, a line per network and shift.

    Args:
        record: The explanation.
        style: Class of the style sheet by network.

    Returns:
        SVGs by layer, one per base; none if sfd was not varied.
    """
    varied = record.varied
    values = [value for by_network in varied.values() for value in by_network.values()]
    if len(varied) < 2 or not values:
        return {}
    low, high = padded(values)
    places = sorted({setting.threshold for setting in varied})
    ends = (places[0], places[-1]) if len(places) > 1 else (places[0] - 0.1, places[0] + 0.1)
    shifts = list(dict.fromkeys(setting.shift for setting in varied))
    charts: dict[str, list[str]] = {}
    for layer, base in dict.fromkeys((setting.layer, setting.base) for setting in varied):
        chart = Chart(
            title=f"sfd at {layer} with base {base}",
            description=_told(record, layer, base),
            x_range=ends,
            y_range=(max(0.0, low), min(1.0, high)),
            x_label="threshold",
            y_label=f"sfd, base {base}",
            width=300,
            height=220,
        )
        for turn, shift in enumerate(shifts):
            for network in record.networks:
                points = [
                    (setting.threshold, by_network[network])
                    for setting, by_network in varied.items()
                    if (setting.layer, setting.base, setting.shift) == (layer, base, shift)
                    and network in by_network
                ]
                if points:
                    dashed = " dashed" if turn else ""
                    chart.line(sorted(points), style[network] + dashed)
        charts.setdefault(layer, []).append(chart.render())
    return charts


def _told(record: Explained, layer: str, base: str) -> str:
    """The range of each network in a chart, for those who cannot see it."""
    said = []
    for network in record.networks:
        values = [
            by_network[network]
            for setting, by_network in record.varied.items()
            if (setting.layer, setting.base) == (layer, base) and network in by_network
        ]
        if values:
            said.append(f"{network} from {min(values):.3f} to {max(values):.3f}")
    return "; ".join(said)
