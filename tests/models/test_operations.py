"""Operations of whole networks against figures of the authors' networks and of arithmetic.

Giga multiply-accumulates at 224 x 224 of convolutions, linear layers and matrix products alone;
norms and poolings, which differ between counters, are left out on both sides.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import foveate

HOSTS = ("resnet18", "resnet50", "resnet101", "mobilenet_v2")
PLAIN = (1.8141, 4.0892, 7.8014, 0.3008)
_ = None

TOTAL = {
    "plain": ("none", {}, PLAIN),
    "cbam": ("cbam", {}, (1.8151, 4.0956, 7.8126, _)),
    "bam": ("bam", {}, (1.8192, 4.1713, 7.8836, _)),
    "triplet": ("triplet", {}, (1.8205, 4.1355, 7.8958, 0.3070)),
    "emca": ("emca", {}, (1.8141, 4.0894, 7.8019, _)),
    "shuffle": ("shuffle", {"groups": 64}, (_, 4.0892, _, _)),
}
ADDED = {
    "se": ("se", {}, (0.0001, 0.0025, 0.0047, 0.00003)),
    "gc": ("gc", {}, (0.0016, 0.0136, 0.0226, 0.0012)),
    "ge theta": ("ge", {"mode": "theta"}, (0.0008, 0.0055, 0.0089, _)),
    "nl": ("nl", {}, (_, 1.47, _, _)),
    "nl without pooling": ("nl", {"pool": False}, (_, 2.80, _, _)),
    "a2": ("a2", {}, (_, 1.156, _, _)),
}


def giga(attention, options, number):
    with torch.device("meta"):
        model = foveate.create_model(f"torchvision/{HOSTS[number]}", attention, **options)
        with FlopCounterMode(display=False) as counter:
            model.eval()(torch.empty(1, 3, 224, 224))
    return counter.get_total_flops() / 2e9


def cases(table):
    return [
        pytest.param(*table[row][:2], number, size, id=f"{row}-{HOSTS[number]}")
        for row in table
        for number, size in enumerate(table[row][2])
        if size is not None
    ]


def half_a_digit(value):
    """Half of the last decimal that was published, and a little for the figure itself."""
    return 0.51 * 10.0 ** -len(f"{value:.5f}".rstrip("0").partition(".")[2])


@pytest.mark.parametrize(("attention", "options", "number", "size"), cases(TOTAL))
def test_networks_do_as_many_operations_as_the_authors(attention, options, number, size):
    # Their figures are rounded, and they read them off with counters of their own.
    assert giga(attention, options, number) == pytest.approx(size, abs=1.01e-4)


@pytest.mark.parametrize(("attention", "options", "number", "size"), cases(ADDED))
def test_attentions_add_as_many_operations_as_arithmetic_says(attention, options, number, size):
    added = giga(attention, options, number) - giga("none", {}, number)
    assert added == pytest.approx(size, abs=half_a_digit(size))


def test_the_offsets_are_what_a_deformable_convolution_adds():
    with torch.device("meta"):
        macs = [
            foveate.accounting.count(foveate.create_model("resnet50", name)).macs
            for name in ("none", "dcn", "dcnv2")
        ]
    assert (macs[1] - macs[0]) / 1e9 == pytest.approx(0.126, abs=5e-4)
    assert (macs[2] - macs[0]) / 1e9 == pytest.approx(0.189, abs=5e-4)


def test_gsop_saves_the_matrix_that_the_authors_center_with():
    # They multiply every d x M map by an M x M matrix to take the mean away: 4.399 in all.
    centering = 128 * (2 * (28 * 28) ** 2 + (14 * 14) ** 2 + (7 * 7) ** 2) / 1e9
    assert giga("gsop", {}, 1) + centering == pytest.approx(4.399, abs=2e-3)
