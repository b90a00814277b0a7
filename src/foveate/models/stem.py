"""The small-image stem: networks made for 224 pixels, used at 32."""

from __future__ import annotations

from torch import nn

from foveate.core import Words, expected


def shrink_stem_(model: nn.Module) -> None:
    """Give a ResNet-like network a 3x3 stem of stride 1 and no pooling, in place.

    Its first convolution (``conv1``, or the first of a deep stem) is replaced, and ``maxpool`` by
    an identity, as the field does for CIFAR.

    Raises:
        ValueError: If the network has no such stem.
    """
    first = getattr(model, "conv1", None)
    pool = getattr(model, "maxpool", None)
    if isinstance(first, nn.Conv2d) and isinstance(pool, nn.Module):
        model.conv1 = _small(first)
    elif isinstance(first, nn.Sequential) and isinstance(first[0], nn.Conv2d) and pool is not None:
        first[0].stride = (1, 1)
    else:
        raise ValueError(
            expected(
                f"stem='small' ({type(model).__name__})",
                "a network with conv1 and maxpool (ResNets and their kin)",
                Words("none of these"),
                "use larger images with stem='imagenet'",
            )
        )
    model.maxpool = nn.Identity()


def _small(conv: nn.Conv2d) -> nn.Conv2d:
    small = nn.Conv2d(
        conv.in_channels, conv.out_channels, 3, stride=1, padding=1, bias=conv.bias is not None
    )
    nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
    return small
