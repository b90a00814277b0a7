"""Grad-CAM: where a classifier found its evidence for a class.

Source: Selvaraju et al., Grad-CAM, arXiv:1610.02391, eq. 1-2; computed by captum's LayerGradCam.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every torch reader knows

from foveate.core import expected, require
from foveate.explain.observe import undisturbed
from foveate.explain.targets import find_target, layer_of

_WHO = "grad_cam"
# What captum and autograd say where the module was not run, or nothing flows back to it.
_UNRELATED = ("did not obtain any outputs", "not have been used", "not require grad")


class GradCam(NamedTuple):
    """Grad-CAM maps of a batch.

    Attributes:
        maps: (N, H, W) float32 in [0, 1] at image resolution; 0 everywhere where ``constant``.
        constant: (N,) bool, True where the raw map is the same everywhere and so points nowhere.
            Such maps must be counted, not averaged in.
        classes: (N,) int64, the class that each map explains.
        raw: (N, H, W) float32, at least 0: the map before it is normalized, resized likewise.
    """

    maps: Tensor
    constant: Tensor
    classes: Tensor
    raw: Tensor


def grad_cam(
    model: nn.Module,
    images: Tensor,
    target: str | None = None,
    classes: int | Sequence[int] | Tensor | None = None,
) -> GradCam:
    r"""Explain a class score by one feature map of the network.

    $L = \mathrm{relu}\left(\sum_k \overline{\partial s_c / \partial A^k}\, A^k\right)$, the bar
    being the mean over all positions; then per image the minimum is subtracted, the result divided
    by its maximum and resized bilinearly to the size of the image.

    The network runs in eval mode and is left as it was, by success and by failure: train flags,
    hooks, ``requires_grad``, ``.grad`` and in-place flags. ``images`` is not changed. It works
    under ``torch.no_grad`` and on a network whose parameters are all frozen.

    Args:
        model: Classifier from images to scores (N, classes).
        images: (N, 3, H, W), floating, prepared as in training.
        target: The map (N, C, h, w) that the score is explained by: a name of
            :func:`~foveate.explain.targets.cam_targets` such as ``"stage3"`` or
            ``"stage4:before"`` (the input of the gate there), or the name of a module, for its
            output; by default the end of the last stage, gates at that place included.
        classes: The class to explain, one for all images or one per image; by default the
            predicted one.

    Raises:
        ImportError: If captum is missing.
        ValueError: If a shape, the target's name or a class is wrong, or if the scores do not
            depend on the target.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> grad_cam(net, torch.rand(2, 3, 8, 8), "0").maps.shape
        torch.Size([2, 8, 8])
    """
    attr = require("captum.attr", "explain", _WHO)
    if not isinstance(images, Tensor) or images.dim() != 4 or not images.is_floating_point():
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(expected(_WHO, "floating images of shape (N, 3, H, W)", got))
    # An inference tensor cannot enter autograd, hence the clone outside of inference mode.
    with torch.inference_mode(False), torch.enable_grad(), undisturbed(model):
        found = find_target(model, target, images[:1].detach())
        inputs = images.detach().clone().requires_grad_()
        chosen = _classes(model, inputs, classes)
        if len(inputs) == 0:
            small = inputs.new_zeros(0, 1, 1, 1)
        else:
            try:
                with layer_of(model, found) as layer:
                    small = attr.LayerGradCam(model, layer).attribute(
                        inputs, target=chosen, relu_attributions=True
                    )
            except (AssertionError, RuntimeError) as error:
                if not any(sign in str(error) for sign in _UNRELATED):
                    raise
                rule = "a target that the scores depend on through autograd"
                raise ValueError(expected(_WHO, rule, found.name)) from error
    if not isinstance(small, Tensor) or small.dim() != 4:
        raise ValueError(expected(_WHO, "a target that is one map (N, C, h, w)", found.name))
    raw = small[:, 0].detach().float()
    maps, constant = normalize(raw)
    size = (images.shape[-2], images.shape[-1])
    return GradCam(_resize(maps, size), constant, chosen, _resize(raw, size))


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def normalize(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract each map's minimum and divide by its maximum.

    Args:
        raw: (N, h, w), floating.

    Returns:
        The maps in [0, 1], and a vector (N,) that is True where a map is constant (or not finite);
        such a map is returned as zeros.

    Example:
        >>> maps, constant = normalize(torch.tensor([[[1.0, 3.0]], [[2.0, 2.0]]]))
        >>> maps.tolist(), constant.tolist()
        ([[[0.0, 1.0]], [[0.0, 0.0]]], [False, True])
    """
    flat = raw.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    # A span at the level of rounding is noise; stretched to [0, 1] it would look like a finding.
    tiny = torch.finfo(raw.dtype).eps * torch.maximum(low.abs(), high.abs())
    constant = ~((high - low) > 4 * tiny)
    span = torch.where(constant, torch.ones_like(high), high - low)
    maps = (raw - low[:, None, None]) / span[:, None, None]
    return torch.where(constant[:, None, None], torch.zeros_like(maps), maps), constant


def _classes(
    model: nn.Module, images: Tensor, classes: int | Sequence[int] | Tensor | None
) -> Tensor:
    count = len(images)
    with torch.no_grad():
        scores = model(images) if count else images.new_zeros(0, 1)
    if scores.dim() != 2:
        raise ValueError(expected(_WHO, "a classifier with scores (N, classes)", scores.shape))
    if classes is None:
        return scores.argmax(1)
    chosen = torch.as_tensor(classes, device=images.device).long()
    chosen = chosen.expand(count) if chosen.dim() == 0 else chosen
    if chosen.shape != (count,):
        raise ValueError(expected(_WHO, f"one class, or {count} of them", tuple(chosen.shape)))
    if count and not bool(((chosen >= 0) & (chosen < scores.shape[1])).all()):
        rule = f"classes from 0 to {scores.shape[1] - 1}"
        raise ValueError(expected(_WHO, rule, sorted(set(chosen.tolist()))))
    return chosen
