"""What an insertion is: its sites, what they cost, and how it reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

HOSTS = {"last_stride_1": "the last stage that halved the map keeps its size (GSoP-Net)"}
"""Changes to the network itself."""


@dataclass(frozen=True)
class Site:
    """One place of an insertion.

    Attributes:
        name: Name of the stage, block or layer.
        path: Module after, before or instead of which the attention works.
        channels: Channels C of the map it sees.
        size: Height and width of the map on the example.
        params: Parameters that it adds; fewer than its own, or less than none, where it replaces.
        macs: Multiply-accumulates that it adds on the example, for one image.
        module: The attention, None in a dry run.
        openness: The openness of an identity start.
    """

    name: str
    path: str
    channels: int
    size: tuple[int, int]
    params: int
    macs: int
    module: nn.Module | None
    openness: nn.Parameter | None = None


@dataclass(frozen=True)
class Insertion:
    """What was, or would be, done to a model; prints as a table.

    Attributes:
        action: ``"would insert"``, ``"inserted"`` or ``"removed"``.
        model: Class of the model.
        attention: Name of the attention.
        where: Description of the sites, or patterns.
        start: ``"paper"`` or ``"identity"``.
        sites: The places, in the order in which they run.
        host: What was changed in the network itself, or None.
    """

    action: str
    model: str
    attention: str
    where: str
    start: str
    sites: tuple[Site, ...] = ()
    host: str | None = None

    @property
    def params(self) -> int:
        """Parameters of all sites."""
        return sum(site.params for site in self.sites)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all sites on the example, for one image; without ``host``."""
        return sum(site.macs for site in self.sites)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The new parameters, for ``optimizer.add_param_group``."""
        for site in self.sites:
            if site.module is not None:
                yield from site.module.parameters()
            if site.openness is not None:
                yield site.openness

    def __str__(self) -> str:
        count = f"{len(self.sites)} site" + ("s" if len(self.sites) != 1 else "")
        head = f"{self.action} {self.attention} at {count} of {self.model}"
        if self.action == "removed":
            return f"{head}: {-self.params:+,} parameters"
        head += f": {self.params:+,} parameters, {self.macs / 1e9:+.3f} GMAC an image"
        if self.start == "identity":
            head += ", output unchanged until it opens"
        if self.host is not None:
            head += f"; {HOSTS[self.host]}, whose cost comes on top"
        rows = [("site", "channels", "map", "parameters", "MMAC")]
        rows += [
            (
                site.name,
                f"{site.channels}",
                f"{site.size[0]}x{site.size[1]}",
                f"{site.params:,}",
                f"{site.macs / 1e6:.1f}",
            )
            for site in self.sites
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  "
            + "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        return "\n".join([head, *lines])
