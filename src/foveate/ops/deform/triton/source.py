"""What every sampling kernel reads: rows, offsets, mask, and the sizes that go with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from foveate.ops.deform.arguments import Geometry
from foveate.ops.deform.triton.layout import Sections, flat, pack_rows


@dataclass(frozen=True)
class Source:
    """The tensors of one call, or of some images of it.

    Attributes:
        rows: Input rows (N, H, W, S, R), contiguous.
        offset: Offsets with one stride for all pixels.
        mask: The mask, likewise, or None.
        geometry: The sizes of the call.
        sections: The split of its input channels.
    """

    rows: Tensor
    offset: Tensor
    mask: Tensor | None
    geometry: Geometry
    sections: Sections

    @classmethod
    def of(
        cls,
        input: Tensor,
        offset: Tensor,
        mask: Tensor | None,
        geometry: Geometry,
        sections: Sections,
    ) -> Source:
        """Rearrange the tensors of a call where they have to be."""
        modulation = None if mask is None else flat(mask)[0]
        return cls(pack_rows(input, sections), flat(offset)[0], modulation, geometry, sections)

    def images(self, chosen: slice) -> Source:
        """Some images alone."""
        mask = None if self.mask is None else self.mask[chosen]
        return replace(self, rows=self.rows[chosen], offset=self.offset[chosen], mask=mask)

    @property
    def pixels(self) -> int:
        """Output pixels."""
        return self.offset.shape[0] * self.geometry.out[0] * self.geometry.out[1]

    @property
    def channels(self) -> int:
        """Offset groups times taps: the maps of the mask."""
        return self.geometry.offset_groups * self.geometry.taps

    @property
    def columns(self) -> int:
        """Width of the columns of one pixel."""
        return self.sections.count * self.geometry.taps * self.sections.width

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the kernels take first."""
        _, *of_offset = flat(self.offset)
        # A kernel without a mask takes any pointer and does not look.
        mask, *of_mask = flat(self.offset if self.mask is None else self.mask)
        height, width = self.rows.shape[1:3]
        sizes = (self.pixels, height, width, *self.geometry.out)
        return (self.rows, self.offset, mask, *of_offset, *of_mask, *sizes)

    @property
    def constants(self) -> dict[str, Any]:
        """What the kernels are compiled for."""
        g = self.geometry
        return {
            "kernel_w": g.kernel[1],
            "taps": g.taps,
            "stride_h": g.stride[0],
            "stride_w": g.stride[1],
            "pad_h": g.padding[0],
            "pad_w": g.padding[1],
            "dilation_h": g.dilation[0],
            "dilation_w": g.dilation[1],
            "sections": self.sections.count,
            "offset_groups": g.offset_groups,
            "section_width": self.sections.width,
            "has_mask": self.mask is not None,
        }
