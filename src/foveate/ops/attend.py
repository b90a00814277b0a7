"""Softmax attention between the columns of two matrices, as the field's papers write it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# A leaf for symbolic tracing: it looks at shapes and devices, which a proxy has not.
torch.fx.wrap("_attend")  # type: ignore[no-untyped-call]


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float = 1.0) -> Tensor:
    r"""For every query, the mean of the values, weighed by likeness of the keys.

    $y_p = \sum_k \mathrm{softmax}_k(s\,q_p \cdot k_k)\,v_k$. Products and softmax are float32 or
    wider inside, in half precision too, and no P x K matrix is kept where a fused kernel runs.
    Fused kernels have neither second derivatives nor forward mode; within
    ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`` there are both.

    The fused kernel for CPUs takes but one width: where D and V differ, zeros widen all to the
    larger. For as few keys as that, their matrix is no larger than the zeros would be, and the
    plain products are faster and stay. What is computed is what counters see: with the zeros
    2 P K max(D, V) multiply-accumulates, else P K (D + V).

    Args:
        query: The queries, one column each.
        key: The keys, one column each.
        value: The values, one column for each key.
        scale: The factor s; 1, where torch's own default is $D^{-1/2}$.

    Shape:
        - query: (N, D, P); key: (N, D, K); value: (N, V, K); output: (N, V, P).
    """
    return _attend(query, key, value, scale)


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    # Fused kernels want an axis for heads, and rows that lie together in memory.
    rows = [one.transpose(1, 2).contiguous().unsqueeze(1) for one in (query, key, value)]
    if query.device.type == "cpu" and query.shape[1] != value.shape[1]:
        width = max(query.shape[1], value.shape[1])
        if not _is_known(key.shape[2] <= width):
            rows = [functional.pad(one, (0, width - one.shape[3])) for one in rows]
    attended = functional.scaled_dot_product_attention(rows[0], rows[1], rows[2], scale=scale)
    return attended[..., : value.shape[1]].squeeze(1).transpose(1, 2)


def _is_known(fact: bool | torch.SymBool) -> bool:
    """Whether it holds for sure; a bare ``if`` fixes the map size that an export leaves open."""
    # Here, as it takes half a second.
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(fact)
