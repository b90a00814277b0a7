"""``foveate list``."""

from foveate.attention import attention_spec, list_attentions
from foveate.cli.list import HEADS, attention_rows


def test_in_a_pipe_there_is_one_line_of_columns_per_attention(foveate):
    code, out, _ = foveate("list")
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == list_attentions(undefined=True)
    assert all(len(row) == len(HEADS) for row in rows)
    das = next(row for row in rows if row[0] == "das")
    assert das[3:7] == ["2023", "stages", "36.90 M", "5.87 G"]
    assert das[8] == "changed" and "offsets" in das[10]
    unmade = [row for row in rows if row[5] == "-"]
    assert {row[0] for row in unmade} == {*list_attentions(undefined=True)} - {*list_attentions()}


def test_a_name_says_everything(foveate):
    code, out, _ = foveate("list", "triplet", "gsop")
    assert code == 0
    assert out.startswith("triplet: Triplet attention (both, 2020)")
    assert "https://arxiv.org/abs/2010.03045" in out
    assert "landskape-ai/triplet-attention at 2cf02fb" in out
    assert "kernel=7" in out and "network='net2'" in out
    assert "of it the last block of every stage" in out
    assert "ResNet-50            25.56 M parameters, 4.18 G MACs" in out
    code, _, err = foveate("list", "tripplet")
    assert code == 1 and "did you mean 'triplet'" in err


def test_a_kind_filters_and_an_unknown_one_names_the_known(foveate):
    assert [row[0] for row in attention_rows("channel")] == list_attentions("channel")
    assert all(attention_spec(row[0]).kind == "channel" for row in attention_rows("channel"))
    code, out, err = foveate("list", "--kind", "chanel")
    assert (code, out) == (1, "")
    assert "did you mean 'channel'" in err
