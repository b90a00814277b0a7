"""Softmax attention between the columns of two matrices, as the field's papers write it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float = 1.0) -> Tensor:
    r"""For every query, the mean of the values, weighed by likeness of the keys.

    $y_p = \sum_k \mathrm{softmax}_k(s\,q_p \cdot k_k)\,v_k$. Products and softmax are float32 or
    wider inside, in half precision too, and no P x K matrix is kept where a fused kernel runs.
    Fused kernels have neither second derivatives nor forward mode; within
    ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`` there are both.

    Args:
        query: The queries, one column each.
        key: The keys, one column each.
        value: The values, one column for each key.
        scale: The factor s; 1, where torch's own default is $D^{-1/2}$.

    Shape:
        - query: (N, D, P); key: (N, D, K); value: (N, V, K); output: (N, V, P).
    """
    # Fused kernels want an axis for heads, and rows that lie together in memory.
    rows = [one.transpose(1, 2).contiguous().unsqueeze(1) for one in (query, key, value)]
    attended = functional.scaled_dot_product_attention(rows[0], rows[1], rows[2], scale=scale)
    return attended.squeeze(1).transpose(1, 2)
