"""The samples of one tile: which rows each reads, with which weights, and all derivatives of that.

A sample blends four neighboring rows of channels. Its forward pass is an ``embedding_bag`` of four
rows; the derivative of a row is a bag too, over the samples that read it; the derivatives of the
four weights are dot products of rows, taken with ``sampled_addmm``. Every sum has a fixed order.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from foveate.ops.deform.arguments import Geometry
from foveate.ops.deform.rows import Frame, Tile

_SUM = 0
_INT32 = 1 << 31
_UINT16 = 1 << 16
# Values of a grid that is worth keeping from call to call: 2 MiB in float32.
_KEPT = 1 << 19


@dataclass(frozen=True)
class Samples:
    """The samples of a tile in the order (pixel, tap, offset group), Q of them.

    Attributes:
        first: Row of the top left neighbor less ``base``, (Q,), int32, or int64 if that is too
            small.
        base: Row from which ``first`` counts.
        below: Part of the way to the row below, in [0, 1), (Q,).
        beside: Part of the way to the column beside, in [0, 1), (Q,).
        modulation: The mask, (Q,), or None.
        unknown: Which samples have a NaN coordinate, (Q,); None if there are none.
        corners: Distance in rows to each neighbor.
    """

    first: Tensor
    base: int
    below: Tensor
    beside: Tensor
    modulation: Tensor | None
    unknown: Tensor | None
    corners: tuple[int, int, int, int]

    def read(self, rows: Tensor, index: Tensor, shares: tuple[Tensor, ...]) -> Tensor:
        """Blend the neighbors of every sample: columns (Q, C / D)."""
        weights = torch.stack(shares, dim=1).view(-1)
        starts = _starts(self.first.numel(), self.first.dtype)[:-1]
        blended = _bag(rows, index.view(-1), starts, weights)
        if self.unknown is not None:
            blended[self.unknown] = math.nan
        return blended

    def index(self) -> Tensor:
        """Rows of the four neighbors, (Q, 4)."""
        corners = _distances(self.base, self.corners, self.first.dtype)
        return self.first[:, None] + corners

    def shares(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights of the four neighbors, the mask included, (Q,) each."""
        if self.modulation is None:
            top, bottom = 1 - self.below, self.below
        else:
            bottom = self.below * self.modulation
            top = self.modulation - bottom
        top_right, bottom_right = top * self.beside, bottom * self.beside
        return top - top_right, top_right, bottom - bottom_right, bottom_right

    def scatter_(self, grad_rows: Tensor, grad: Tensor, shares: tuple[Tensor, ...]) -> None:
        """Add the derivatives by the rows, given those by the columns (Q, C / D).

        The samples are put in the order of the row they read first; each row then sums its own in
        the order of the samples, whatever the number of threads.
        """
        if not self.first.numel():
            return
        low, high = (int(end) for end in torch.aminmax(self.first))
        near = self.first - low
        span = high - low + 1
        order = _stable_order(near, span)
        counts = torch.bincount(near, minlength=span)
        starts = torch.zeros(span + 1, dtype=near.dtype)
        torch.cumsum(counts, 0, dtype=near.dtype, out=starts[1:])
        narrow = order.to(near.dtype)
        for share, distance in zip(shares, self.corners, strict=True):
            begin = self.base + low + distance
            grad_rows[begin : begin + span] += _bag(
                grad, narrow, starts, share.index_select(0, order), last=True
            )

    def differentiate(self, rows: Tensor, index: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
        """Derivatives by row coordinate, column coordinate and mask, (Q,) each."""
        dots = _dots(rows, index, grad)
        top, bottom = dots[:, 0], dots[:, 2]
        along_top, along_bottom = dots[:, 1] - top, dots[:, 3] - bottom
        top = torch.addcmul(top, self.beside, along_top)
        down = torch.addcmul(bottom, self.beside, along_bottom).sub_(top)
        mask = torch.addcmul(top, self.below, down)
        along = torch.addcmul(along_top, self.below, along_bottom.sub_(along_top))
        if self.modulation is not None:
            down, along = down.mul_(self.modulation), along.mul_(self.modulation)
        if self.unknown is not None:
            for one in (down, along, mask):
                one[self.unknown] = math.nan
        return down, along, mask


class Sampler:
    """Turns offsets and masks into the samples of tiles.

    Args:
        offset: (N, 2 D K, H', W').
        mask: (N, D K, H', W') or None.
        frame: The framed map that is read.
        geometry: The sizes.
        dtype: Dtype of coordinates.
    """

    def __init__(
        self,
        offset: Tensor,
        mask: Tensor | None,
        frame: Frame,
        geometry: Geometry,
        dtype: torch.dtype,
    ) -> None:
        batch, pixels = offset.shape[0], geometry.out[0] * geometry.out[1]
        groups, taps = geometry.offset_groups, geometry.taps
        last = offset.permute(0, 2, 3, 1)
        self.offset = last.reshape(batch, pixels, groups, taps, 2).permute(4, 0, 1, 3, 2)
        self.mask = None
        if mask is not None:
            last = mask.permute(0, 2, 3, 1)
            self.mask = last.reshape(batch, pixels, groups, taps).transpose(2, 3)
        self.frame, self.dtype = frame, dtype
        self.grid = regular_grid(geometry, dtype)
        small = batch * frame.pixels * groups < _INT32
        self.integer = torch.int32 if small else torch.int64

    def tile(self, tile: Tile) -> Samples:
        """Return the samples of a tile."""
        images, pixels, frame = slice(*tile.images), slice(*tile.pixels), self.frame
        offset = self.offset[:, images, pixels]
        place = torch.empty(offset.shape, dtype=self.dtype)
        if offset.dtype == self.dtype:
            torch.add(offset, self.grid[:, :, pixels], out=place)
        else:
            place.copy_(offset).add_(self.grid[:, :, pixels])
        if frame.height == frame.width:
            place.clamp_(frame.low, frame.height)
        else:
            place[0].clamp_(frame.low, frame.height)
            place[1].clamp_(frame.low, frame.width)
        unknown = None
        # Clamped values cannot overflow, so their sum is NaN only if one of them is.
        if math.isnan(place.sum().item()):
            unknown = place.isnan().any(0)
            place[:, unknown] = frame.low
            unknown = unknown.view(-1)
        floor = place.floor()
        below, beside = place.sub_(floor).view(2, -1)
        cell = floor.to(self.integer)
        first = torch.add(cell[1], cell[0], alpha=frame.pitch)
        if frame.groups > 1:
            first = first * frame.groups + torch.arange(frame.groups, dtype=self.integer)
        many = tile.images[1] - tile.images[0]
        if many > 1:
            step = frame.pixels * frame.groups
            first += torch.arange(0, many * step, step, dtype=self.integer)[:, None, None, None]
        base = (tile.images[0] * frame.pixels + frame.origin) * frame.groups
        modulation = None
        if self.mask is not None:
            modulation = self.mask[images, pixels].to(self.dtype).reshape(-1)
        return Samples(first.view(-1), base, below, beside, modulation, unknown, frame.corners)


def regular_grid(geometry: Geometry, dtype: torch.dtype) -> Tensor:
    """Sampling points without offsets: row and column in pixels, (2, 1, H' W', K, 1)."""
    values = 2 * geometry.out[0] * geometry.out[1] * geometry.taps
    return (_kept_grid if values <= _KEPT else _grid)(geometry, dtype)


def _grid(geometry: Geometry, dtype: torch.dtype) -> Tensor:
    (out_h, out_w), (kernel_h, kernel_w) = geometry.out, geometry.kernel
    row = torch.arange(out_h, dtype=dtype) * geometry.stride[0] - geometry.padding[0]
    col = torch.arange(out_w, dtype=dtype) * geometry.stride[1] - geometry.padding[1]
    tap_row = torch.arange(kernel_h, dtype=dtype) * geometry.dilation[0]
    tap_col = torch.arange(kernel_w, dtype=dtype) * geometry.dilation[1]
    shape = (out_h, out_w, kernel_h, kernel_w)
    grid = torch.empty(2, *shape, dtype=dtype)
    grid[0] = (row[:, None] + tap_row)[:, None, :, None]
    grid[1] = (col[:, None] + tap_col)[None, :, None, :]
    return grid.view(2, 1, out_h * out_w, kernel_h * kernel_w, 1)


_kept_grid = lru_cache(maxsize=16)(_grid)


@lru_cache(maxsize=16)
def _starts(count: int, dtype: torch.dtype) -> Tensor:
    """Where the bags of four begin, and the end, (count + 1,)."""
    return torch.arange(0, 4 * count + 1, 4, dtype=dtype)


@lru_cache(maxsize=16)
def _distances(base: int, corners: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.tensor([base + one for one in corners], dtype=dtype)


def _bag(
    rows: Tensor, index: Tensor, starts: Tensor, weights: Tensor, last: bool = False
) -> Tensor:
    """Sum rows[index] * weights from each start to the next; ``last`` if the end is among them."""
    bags: Tensor = torch.embedding_bag(
        rows, index, starts, False, _SUM, False, weights, include_last_offset=last
    )[0]
    return bags


def _stable_order(keys: Tensor, span: int) -> Tensor:
    """Order that sorts small integers and keeps equal ones as they stand.

    NumPy sorts 16-bit keys by radix, several times faster than torch sorts wider ones; a stable
    order is unique, so both give the same.
    """
    if span <= _UINT16:
        return torch.from_numpy(keys.to(torch.uint16).numpy().argsort(kind="stable"))
    return torch.sort(keys, stable=True).indices


def _dots(rows: Tensor, index: Tensor, grad: Tensor) -> Tensor:
    """Dot products of each row of ``grad`` (Q, c) with the four rows it was blended of, (Q, 4)."""
    count = index.shape[0]
    if not _has_sampled_addmm():
        groups = torch.arange(4 * count, dtype=index.dtype).div_(4, rounding_mode="floor")
        starts = _starts(count, index.dtype)[:-1]
        found: Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(
            grad, rows, index.view(-1), starts, groups, _SUM
        )
        return found.view(count, 4)
    pattern = torch.sparse_csr_tensor(
        _starts(count, index.dtype),
        index.view(-1),
        grad.new_zeros(4 * count),
        (count, rows.shape[0]),
    )
    dots: Tensor = torch.sparse.sampled_addmm(pattern, grad, rows.t(), beta=0.0).values()
    return dots.view(count, 4)


@lru_cache(maxsize=1)
def _has_sampled_addmm() -> bool:
    """Whether this torch was built with it (it comes with MKL).

    Trying it also spends the one warning with which torch tells that sparse tensors are young.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = torch.ones(1, 1, dtype=torch.float32)
        where = torch.tensor([0, 1]), torch.tensor([0])
        try:
            pattern = torch.sparse_csr_tensor(*where, one[0] * 0, (1, 1))
            torch.sparse.sampled_addmm(pattern, one, one)
        except RuntimeError:
            return False
    return True
