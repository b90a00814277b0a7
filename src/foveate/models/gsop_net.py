"""The head of GSoP-Net2: second-order statistics in place of global average pooling.

Paper: Gao et al., Global Second-order Pooling Convolutional Networks, arXiv:1811.12006.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.core import Words, check_feature_map, check_positive_int, expected
from foveate.ops.covariance import covariance, isqrt

# Leaves for symbolic tracing: they look at ranks and devices, which a proxy has not.
for _leaf in ("covariance", "isqrt"):
    torch.fx.wrap(_leaf)  # type: ignore[no-untyped-call]

_POOLS = ("avgpool", "global_pool")


class CovarianceHead(nn.Module):
    r"""Pooling to $\mathrm{triu}(\Sigma^{1/2})$, $\Sigma$ the covariance of reduced channels.

    A 1x1 convolution without bias to d channels, BatchNorm and ReLU; their covariance over all
    positions; its square root by a few Newton-Schulz steps; the upper triangle of that, column by
    column.

    Args:
        channels: Channels C of the map.
        dim: Channels d of the covariance.
        iterations: Newton-Schulz steps.
        flatten: Whether to return (N, K), or (N, K, 1, 1), as poolings of one pixel do.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: $(N, K)$ or $(N, K, 1, 1)$ with
          $K = d(d+1)/2$, 32 896 for 256 channels, in the dtype of the convolution. A map of one
          pixel has covariance 0, and so does its output.

    Dtype:
        Covariance and root are computed in float32 at least, under autocast too.

    Raises:
        ValueError: If an argument is below 1; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> CovarianceHead(32, dim=8)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 36])
    """

    def __init__(
        self, channels: int, dim: int = 256, iterations: int = 3, flatten: bool = True
    ) -> None:
        super().__init__()
        self.channels = check_positive_int("CovarianceHead", "channels", channels)
        self.dim = check_positive_int("CovarianceHead", "dim", dim)
        self.iterations = check_positive_int("CovarianceHead", "iterations", iterations)
        self.flatten = flatten
        self.reduce = nn.Conv2d(channels, dim, 1, bias=False)
        self.norm = nn.BatchNorm2d(dim)
        nn.init.kaiming_normal_(self.reduce.weight, mode="fan_out", nonlinearity="relu")

    @property
    def features(self) -> int:
        """Number K of values that it returns for each image."""
        return self.dim * (self.dim + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Pool x."""
        check_feature_map("CovarianceHead", x, self.channels)
        reduced = functional.relu(self.norm(self.reduce(x)))
        root = isqrt(covariance(reduced), self.iterations)
        # Columns of the upper triangle are rows of the lower one of a symmetric matrix.
        row, column = torch.tril_indices(self.dim, self.dim, device=x.device)
        values = root[:, row, column].to(reduced.dtype)
        return values if self.flatten else values[:, :, None, None]


def second_order_head_(
    model: nn.Module, num_classes: int | None = None, dim: int = 256, iterations: int = 3
) -> CovarianceHead:
    """Give a network the head of GSoP-Net2, in place.

    Its global pooling (``avgpool`` of torchvision's ResNets, ``global_pool`` of timm's) becomes a
    :class:`CovarianceHead` and its classifier ``fc`` a new linear layer on top of that.

    Args:
        model: A ResNet of torchvision or timm, or a network with the same attributes.
        num_classes: Outputs of the classifier; None keeps their number.
        dim: Channels of the covariance.
        iterations: Newton-Schulz steps.

    Returns:
        The head.

    Raises:
        ValueError: If the network has no such attributes, or has the head already.

    Source: Gao et al., arXiv:1811.12006.

    Example:
        >>> from torchvision.models import resnet18
        >>> model = resnet18()
        >>> second_order_head_(model, num_classes=10).features
        32896
        >>> model(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 10])
    """
    who = f"second_order_head_ ({type(model).__name__})"
    pool = next((name for name in _POOLS if _is_module(model, name)), None)
    classifier: Any = getattr(model, "fc", None)
    if pool is None or not isinstance(classifier, nn.Linear):
        raise ValueError(
            expected(
                who,
                "a network with a module avgpool or global_pool and a linear layer fc",
                Words(f"pooling {pool}, fc {type(classifier).__name__}"),
                "use a ResNet of torchvision or timm",
            )
        )
    if isinstance(getattr(model, pool), CovarianceHead):
        raise ValueError(expected(who, "a network without that head", Words("one that has it")))
    if num_classes is not None:
        check_positive_int(who, "num_classes", num_classes)
    # A pooling of timm may return more values than there are channels.
    channels: Any = getattr(model, "num_features", classifier.in_features)
    head = CovarianceHead(channels, dim, iterations)
    place: dict[str, Any] = {
        "device": classifier.weight.device,
        "dtype": classifier.weight.dtype,
    }
    outputs = classifier.out_features if num_classes is None else num_classes
    fresh = nn.Linear(head.features, outputs, bias=classifier.bias is not None, **place)
    setattr(model, pool, head.to(**place).train(model.training))
    model.fc = fresh.train(model.training)
    return head


def _is_module(model: nn.Module, name: str) -> bool:
    return isinstance(getattr(model, name, None), nn.Module)
