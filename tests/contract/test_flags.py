"""Options that are switches take True and False alone, not what merely counts as one of them."""

import pytest

import foveate
from foveate.attention import attention_spec, list_attentions

FLAGS = [
    (name, option)
    for name in (*list_attentions(), *list_attentions("ablation"))
    for option, default in attention_spec(name).options.items()
    if isinstance(default, bool)
]


@pytest.mark.parametrize(("name", "option"), FLAGS)
def test_words_are_no_switches(name, option):
    who = attention_spec(name).factory.__name__
    with pytest.raises(TypeError, match=f"{who} expects True or False for {option}; got 'no'"):
        foveate.create_attention(name, 16, **{option: "no"})
