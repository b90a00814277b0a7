"""OFDet is listed, and nothing is made in its name."""

import pytest

import foveate
from foveate.attention import OFDet, attention_spec, list_attentions

REFUSED = r"foveate expects an attention with a definition; got 'ofdet'; no public .*csa_parallel"


def test_ofdet_is_its_formula():
    # There is none: nothing is made, by whichever way it is asked for.
    spec = attention_spec("ofdet")
    for make in (
        lambda: foveate.create_attention("ofdet", 8),
        lambda: spec.factory(8),
        lambda: OFDet(8),
        lambda: spec.params(8),
    ):
        with pytest.raises(ValueError, match=REFUSED):
            make()


def test_it_is_listed_as_undefined_only():
    assert "ofdet" not in list_attentions()
    assert "ofdet" in list_attentions(undefined=True)
    assert "ofdet" in list_attentions("both", undefined=True)


def test_the_block_it_names_can_be_made():
    assert "no reproduction" in attention_spec("ofdet").undefined
    assert foveate.create_attention("csa_parallel", 8) is not None
