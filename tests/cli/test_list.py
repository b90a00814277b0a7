"""``foveate list``."""

from foveate.attention import attention_spec, list_attentions
from foveate.cli.list import HEADS, attention_rows


def test_in_a_pipe_there_is_one_line_of_columns_per_attention(foveate):
    code, out, _ = foveate("list")
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == list_attentions()
    assert all(len(row) == len(HEADS) for row in rows)
    das = next(row for row in rows if row[0] == "das")
    assert das[5] == "145,796"
    assert das[3:5] == ["2023", "stages"]


def test_a_kind_filters_and_an_unknown_one_names_the_known(foveate):
    assert [row[0] for row in attention_rows("channel")] == list_attentions("channel")
    assert all(attention_spec(row[0]).kind == "channel" for row in attention_rows("channel"))
    code, out, err = foveate("list", "--kind", "chanel")
    assert (code, out) == (1, "")
    assert "did you mean 'channel'" in err
