"""What the paper leaves open: each option of the gate, its default, why, and what others cost."""

from __future__ import annotations

from typing import Any

import torch

# The first gate of a ResNet-50 for images of 224 pixels: channels, and the side of its map.
CHANNELS, SIDE = 256, 56

# By option: the values beside the default that are counted, and the reason for the default.
CHOICES: dict[str, tuple[tuple[Any, ...], str]] = {
    "alpha": (
        (0.1, 0.125, 0.25, 0.5),
        "Not in the text we have, which says above 0.1. 0.2 alone gives the published costs.",
    ),
    "rounding": (
        ("round", "ceil"),
        "Floor and round agree with every published figure to two decimals; ceil does not.",
    ),
    "multiple_of": ((8,), "Ours, for speed; the paper has no such thing."),
    "separable_order": (
        ("pw_dw",),
        "The usual meaning of depthwise separable; the other order misses the published cost.",
    ),
    "separable_kernel": (
        (5, 7),
        "3 with a mask fits the published cost; so does 5 without one. 3 is the common choice.",
    ),
    "separable_bias": (
        (True,),
        "Open. In this order a bias shifts whole channels, which the InstanceNorm removes.",
    ),
    "separable_norm": (("batch",), "None is mentioned."),
    "separable_activation": (("relu",), "None is mentioned."),
    "norm_before": (
        ("batch", "layer", "group", "none"),
        "InstanceNorm is stated; the others are for ablations.",
    ),
    "inst_affine": ((True,), "Open; without is PyTorch's own default."),
    "inst_track_stats": (
        (True,),
        "Open; statistics of the image itself serve the stated purpose, to strip its contrast.",
    ),
    "activation": (("gelu_tanh", "relu"), "GELU is stated, its form is not; the exact one."),
    "offset_source": (
        ("input",),
        "Offsets from the input would cost more than was published.",
    ),
    "modulated": (
        (False,),
        "Not stated. With a 3x3 depthwise kernel only 27 maps, 18 shifts and 9 weights, fit.",
    ),
    "mask_scale": ((2.0,), "Open; 1 keeps the factor in (0, 1)."),
    "offset_kernel": ((1, 5), "3 fits the published cost."),
    "offset_bias": ((False,), "Open; the biases are too few to show."),
    "offset_init": (
        ("default",),
        "Not stated. Zeros start at the regular grid, as code for deformable convolutions does.",
    ),
    "offset_groups": (
        (3,),
        "One fits the published cost; each further group has 27 maps more to be predicted.",
    ),
    "deform_weight": (
        ("grouped9", "dw_pw"),
        "alpha C channels in, C out, is stated: a dense kernel. The published cost leaves it out.",
    ),
    "deform_bias": ((True,), "Open; LayerNorm comes right after."),
    "norm_after": (
        ("batch", "instance", "group", "none"),
        "LayerNorm is stated; the others are for ablations.",
    ),
    "ln_axes": (
        ("group1", "chw"),
        "Over channels fits the cost; a weight per element would, besides, fix the image size.",
    ),
    "ln_affine": ((False,), "With it the published figures are met to the last digit."),
    "eps": ((), "Open; PyTorch's default."),
    "gate_function": ((), "Stated."),
    "residual": ((True,), "Multiplication alone is stated."),
    "init": (
        ("near_identity",),
        "Not stated. PyTorch's defaults pass about half of everything; for a trained network take"
        ' `insert_(start="identity")`.',
    ),
    "map_size": ((), 'Filled in for `ln_axes="chw"`, which needs it.'),
}


def choices_table() -> str:
    """Every option as a row, with the cost of its other values, counted."""
    from foveate.attention import attention_spec

    options = attention_spec("das").options
    params, macs = _cost({})
    lines = [
        "| option | default | why | instead: parameters, MACs |",
        "|---|---|---|---|",
    ]
    for name, default in options.items():
        others, why = CHOICES[name]
        cells = "<br>".join(_other(name, value, params, macs) for value in others)
        lines.append(f"| `{name}` | `{default!r}` | {why} | {cells or '-'} |")
    total = f"{params:,} parameters and {macs / 1e6:.1f} MMAC"
    said = (
        f"Differences to the default's {total}: a gate of {CHANNELS} channels on {SIDE} x {SIDE}."
    )
    return "\n".join([*lines, "", said])


def _other(name: str, value: Any, params: int, macs: int) -> str:
    more = _cost({name: value})
    change = [now - then for now, then in zip(more, (params, macs), strict=True)]
    if change == [0, 0]:
        return f"`{value!r}`: the same"
    return f"`{value!r}`: {_signed(change[0], 1, '')}, {_signed(change[1], 1e6, ' M')}"


def _signed(change: float, unit: float, letter: str) -> str:
    text = f"{change:+,}" if unit == 1 else f"{change / unit:+.1f}{letter}"
    return text.replace("-", "\N{MINUS SIGN}")


def _cost(given: dict[str, Any]) -> tuple[int, int]:
    from foveate.accounting import count
    from foveate.attention import create_attention

    bound = {"map_size": (SIDE, SIDE)} if given.get("ln_axes") == "chw" else {}
    with torch.device("meta"):
        gate = create_attention("das", CHANNELS, **(given | bound))
    cost = count(gate, (CHANNELS, SIDE, SIDE))
    return cost.params, cost.macs
