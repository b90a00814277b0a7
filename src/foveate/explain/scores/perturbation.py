"""Deletion and insertion: does the score fall, or rise, as the map's hottest pixels go or come?

Source: Petsiuk et al., RISE: randomized input sampling for explanation of black-box models, 2018.
There deletion fills with zeros and insertion starts from a blurred image; here both share one
fill, so that they share their ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foveate.core import Words, check_choice, check_positive_int, expected
from foveate.explain.observe import undisturbed

FILLS = ("mean", "blur", "zero")
_WHO = "deletion_insertion"
_BLUR_REACH, _BLUR_SIGMA = 5, 5.0  # a window of 11 x 11, as in RISE


@dataclass(frozen=True)
class Perturbation:
    """How the probability of a class answers to pixels taken away or put back.

    Each area is the mean of its curve over the share of pixels, by the trapezoid rule, in [0, 1].

    Attributes:
        deletion: (N,) float64; low if the map's hottest pixels carry the class.
        insertion: (N,) float64; high likewise.
        deletion_chance: (N,) float64, the same with the pixels in a random order.
        insertion_chance: (N,) float64, likewise.
        deletion_curve: (N, steps + 1) float64, probability with 0, 1/steps, ... 1 taken away.
        insertion_curve: (N, steps + 1) float64, probability with 0, 1/steps, ... 1 put back.
    """

    deletion: Tensor
    insertion: Tensor
    deletion_chance: Tensor
    insertion_chance: Tensor
    deletion_curve: Tensor
    insertion_curve: Tensor

    def scores(self) -> dict[str, Tensor]:
        """The four areas under the keys that ``score_maps`` would give them."""
        return {
            "deletion": self.deletion,
            "deletion:chance": self.deletion_chance,
            "insertion": self.insertion,
            "insertion:chance": self.insertion_chance,
        }


def deletion_insertion(
    model: nn.Module,
    images: Tensor,
    maps: Tensor,
    classes: int | Sequence[int] | Tensor,
    *,
    steps: int = 16,
    fill: str = "mean",
    seed: int = 0,
    batch_size: int = 32,
) -> Perturbation:
    """Take pixels away from the hottest on, put them back likewise, and watch the probability.

    Equal pixels of a map are ordered at random, in the order that chance uses: a flat map scores
    exactly its chance. The model is run 4 x steps - 2 times on each batch, in evaluation mode
    and without gradients, and left as it was.

    Args:
        model: A classifier, (N, C, H, W) -> (N, classes) scores before the softmax.
        images: (N, C, H, W) floating, prepared as in training.
        maps: (N, H, W) floating; only the order of its values matters. NaN makes an image NaN.
        classes: Whose probability is watched: one, or one an image.
        steps: In how many equal steps all pixels go.
        fill: What a pixel becomes: "mean" of its image and channel, "blur" (Gaussian, 11 x 11,
            sigma 5), or "zero" (of the prepared image: the mean color of the training set).
        seed: Of the random order, the same for every image.
        batch_size: How many images the model is fed at once; it bounds the memory.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If shapes differ, a class does not exist, or an option is out of range.

    Example:
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 5))
        >>> found = deletion_insertion(net, torch.rand(2, 3, 4, 4), torch.rand(2, 4, 4), 0)
        >>> found.deletion.shape, found.insertion_curve.shape
        (torch.Size([2]), torch.Size([2, 17]))
    """
    check_positive_int(_WHO, "steps", steps)
    check_positive_int(_WHO, "batch_size", batch_size)
    check_choice(_WHO, "fill", fill, FILLS)
    chosen = _checked(images, maps, classes)
    noise = torch.rand(
        maps.shape[1:].numel(), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).to(images.device)
    curves = [images.new_empty(4, 0, steps + 1, dtype=torch.float64)]
    with torch.no_grad(), undisturbed(model):
        for start in range(0, len(images), batch_size):
            piece = slice(start, start + batch_size)
            curves.append(
                _curves(model, images[piece], maps[piece], chosen[piece], noise, steps, fill)
            )
    every = torch.cat(curves, dim=1)
    areas = torch.trapezoid(every, dx=1 / steps, dim=2)
    return Perturbation(areas[0], areas[1], areas[2], areas[3], every[0], every[1])


def _curves(
    model: nn.Module,
    images: Tensor,
    maps: Tensor,
    classes: Tensor,
    noise: Tensor,
    steps: int,
    fill: str,
) -> Tensor:
    """Deletion, insertion, and both in random order: (4, N, steps + 1), float64."""
    filled = _filled(images, fill)
    unknown = maps.isnan().flatten(1).any(1)
    random = noise.argsort()
    # Sorting the shuffled map keeps equal pixels in their random order.
    hottest = random[maps.flatten(1)[:, random].argsort(dim=1, descending=True, stable=True)]
    places = [_place(hottest), _place(random[None].expand_as(hottest))]
    pixels = maps.shape[1] * maps.shape[2]

    def probability(mixed: Tensor) -> Tensor:
        scores = model(mixed)
        if not isinstance(scores, Tensor) or scores.dim() != 2:
            got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise ValueError(expected(_WHO, "a classifier with scores (N, classes)", Words(got)))
        if bool((classes < 0).any()) or bool((classes >= scores.shape[1]).any()):
            rule = f"classes from 0 to {scores.shape[1] - 1}"
            raise ValueError(expected(_WHO, rule, sorted(set(classes.tolist()))))
        return scores.double().softmax(1).gather(1, classes[:, None])[:, 0]

    whole, nothing = probability(images), probability(filled)
    curves = images.new_empty(4, len(images), steps + 1, dtype=torch.float64)
    for row, (first, last) in enumerate([(whole, nothing), (nothing, whole)] * 2):
        curves[row, :, 0], curves[row, :, -1] = first, last
    for step in range(1, steps):
        count = round(step * pixels / steps)
        for row, place in enumerate(places):
            touched = (place < count).view(len(images), 1, *maps.shape[1:])
            curves[2 * row, :, step] = probability(torch.where(touched, filled, images))
            curves[2 * row + 1, :, step] = probability(torch.where(touched, images, filled))
    return curves.masked_fill(unknown[None, :, None], torch.nan)


def _place(order: Tensor) -> Tensor:
    """Turn an order of pixels (N, P) into the place of each pixel in it."""
    count = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, count)


def _filled(images: Tensor, fill: str) -> Tensor:
    if fill == "zero":
        return torch.zeros_like(images)
    if fill == "mean":
        return images.mean((2, 3), keepdim=True).expand_as(images)
    return _blurred(_blurred(images, 3), 2)


def _blurred(images: Tensor, dim: int) -> Tensor:
    """Blur along one dimension; at the border the weights of what is inside sum to one."""
    length = images.shape[dim]
    place = torch.arange(length, device=images.device)
    distance = (place[:, None] - place).abs()
    weight = torch.exp(-(distance**2) / (2 * _BLUR_SIGMA**2)) * (distance <= _BLUR_REACH)
    weight = (weight / weight.sum(1, keepdim=True)).to(images)
    moved = images.movedim(dim, -1) @ weight.T
    return moved.movedim(-1, dim)


def _checked(images: Tensor, maps: Tensor, classes: int | Sequence[int] | Tensor) -> Tensor:
    for name, value, rank in (("images", images, 4), ("maps", maps, 3)):
        if not isinstance(value, Tensor) or not value.is_floating_point():
            got = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(expected(_WHO, f"{name} of a floating dtype", Words(got)))
        if value.dim() != rank:
            shape = "(N, C, H, W)" if rank == 4 else "(N, H, W)"
            raise ValueError(expected(_WHO, f"{name} of shape {shape}", tuple(value.shape)))
    if maps.shape != images.shape[:1] + images.shape[2:] or not maps.shape[1:].numel():
        rule = f"one map of at least a pixel, in the size of its image {tuple(images.shape)}"
        raise ValueError(expected(_WHO, rule, tuple(maps.shape)))
    if maps.device != images.device:
        rule = f"maps on the device of the images, {images.device}"
        raise ValueError(expected(_WHO, rule, Words(maps.device)))
    chosen = torch.as_tensor(classes, device=images.device)
    if chosen.is_floating_point() or chosen.dtype == torch.bool:
        raise TypeError(expected(_WHO, "classes as integers", chosen.dtype))
    chosen = chosen.long().expand(len(images)) if chosen.dim() == 0 else chosen.long()
    if chosen.shape != (len(images),):
        rule = f"one class, or {len(images)} of them"
        raise ValueError(expected(_WHO, rule, tuple(chosen.shape)))
    return chosen
