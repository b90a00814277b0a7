"""Where each attention stands by default, what it is, and whether it starts as the identity.

The defaults are what the papers do, as far as they say; a changed one changes every table.
"""

import re

import pytest

from foveate.attention import attention_spec, list_attentions

DEFAULTS = {
    "a2": ("blocks:second@2..-2", "self-attention", True),
    "bam": ("stages@1..-2", "both", False),
    "cbam": ("post_norm", "both", False),
    "cca": ("stages@-1", "self-attention", True),
    "ccam": ("stages@-1", "self-attention", True),
    "coord": ("post_norm", "both", False),
    "cpam": ("stages@-1", "self-attention", True),
    "csa_parallel": ("post_norm", "both", False),
    "danet": ("stages@-1", "self-attention", True),
    "das": ("stages", "both", False),
    "das_lite": ("stages", "both", False),
    "dcn": ("replace_conv2@2..-1", "convolution", False),
    "dcnv2": ("replace_conv2@2..-1", "convolution", False),
    "dra": ("stages@-1", "self-attention", True),
    "eca": ("post_norm", "channel", False),
    "ema": ("after_conv2", "both", False),
    "emca": ("post_norm", "channel", False),
    "gala": ("block_input@-2", "both", False),
    "gc": ("post_norm", "self-attention", True),
    "ge": ("post_norm", "both", False),
    "gsop": ("post_norm:last", "channel", False),
    "lka": ("post_norm", "both", False),
    "lsk": ("post_norm", "both", False),
    "mlca": ("after_conv2", "both", False),
    "mpm": ("stages@-1", "both", False),
    "nl": ("blocks:second@2..-2", "self-attention", True),
    "rcca": ("stages@-1", "self-attention", True),
    "scse": ("stages", "both", False),
    "se": ("post_norm", "channel", False),
    "shuffle": ("post_norm", "both", False),
    "simam": ("after_conv2", "both", False),
    "sk": ("replace_conv2", "convolution", False),
    "splat": ("replace_conv2", "convolution", False),
    "spm": ("after_conv2:last+after_conv2@-1", "both", False),
    "triplet": ("post_norm", "both", False),
}


def test_every_attention_has_its_row():
    assert list(DEFAULTS) == list_attentions()


@pytest.mark.parametrize("name", DEFAULTS)
def test_site_kind_and_start_are_those_of_the_table(name):
    spec = attention_spec(name)
    assert (spec.site, spec.kind, spec.identity_at_init) == DEFAULTS[name]


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_year_is_that_of_the_paper(name):
    spec = attention_spec(name)
    on_arxiv = re.fullmatch(r"(\d\d)\d\d\.\d{5}", spec.paper)
    in_print = re.search(r"\b(20\d\d)$", spec.paper)
    if on_arxiv or in_print:
        assert spec.year == (2000 + int(on_arxiv[1]) if on_arxiv else int(in_print[1]))
