"""The published figures: every one with its origin, none that is only recalled."""

import pytest

from foveate.paper.published import Figure, parse_figure, published, published_table

# What the tests of the tables stand on: figures stated in the summary of the paper, to be shown.
STATED = {
    ("table1", "ResNet-18", "DAS"): {"top1": "72.03", "top5": "90.70"},
    ("table1", "ResNet-50", "DAS"): {"top1": "78.04", "top5": "94.00"},
    ("table1", "ResNet-101", "DAS"): {"top1": "78.62"},
    ("table1", "MobileNetV2", "DAS"): {"macs": "0.35", "top1": "72.79", "top5": "90.87"},
    ("table3", "CIFAR-100", "ResNet-18 + Triplet"): {"change": "+0.30"},
    ("table3", "CIFAR-100", "ResNet-18 + DAS"): {"change": "+0.79"},
    ("table3", "CIFAR-100", "ResNet-50 + DAS"): {"change": "+2.80"},
    ("table3", "Stanford Dogs", "ResNet-18 + Triplet"): {"change": "-1.36"},
    ("table3", "Stanford Dogs", "ResNet-18 + DAS"): {"change": "+4.91"},
    ("table3", "Stanford Dogs", "ResNet-50 + DAS"): {"change": "+4.47"},
    ("sfd", "", "ResNet-50"): {"sfd": "0.59"},
    ("sfd", "", "ResNet-50 + DAS"): {"sfd": "0.72"},
}
DESIGNS = {"a": "65.00", "b": "65.21", "c": "66.410", "d": "65.338", "e": "65.291", "f": "66.107"}


def row(table, group, label):
    (found,) = (g for g in published_table(table).groups if g.name == group)
    return next(one for one in found.rows if one.label == label)


@pytest.mark.parametrize("place", STATED, ids="-".join)
def test_stated_figures_are_the_stated_ones(place):
    figures = row(*place).paper
    assert {key: figures[key].text for key in STATED[place]} == STATED[place]
    assert all(figures[key].tag == "S" for key in STATED[place])


def test_designs_have_their_figures():
    rows = {one.label[0]: one for one in published_table("table4").rows[1:]}
    assert {key: rows[key].paper["top1"].text for key in DESIGNS} == DESIGNS
    assert [rows[key].paper["top1"].number for key in "gh"] == [None, None]


def test_every_figure_has_an_origin_and_found_ones_a_source():
    figures = [
        figure
        for table in published().values()
        for one in table.rows
        for reported in (one.paper, *one.elsewhere)
        for figure in reported.values()
    ]
    assert len(figures) > 100
    assert {figure.tag for figure in figures} == {"S", "F", "D", "C"}
    assert all(figure.source for figure in figures if figure.tag in "FD")


def test_rows_of_our_own_have_no_published_figures():
    ours = [one for table in published().values() for one in table.rows if one.ours]
    assert len(ours) >= 9
    assert not any(one.paper or one.elsewhere for one in ours)
    assert {one.model.attention for one in ours} == {"das_lite"}


def test_figures_are_parsed():
    assert parse_figure("72.03 [S]") == Figure("72.03", "S")
    assert parse_figure("R50 - 2.26 [S]").number is None
    assert parse_figure("4.33-4.40 [D: how]") == Figure("4.33-4.40", "D", "how")
    assert parse_figure("28.285 [C]", "a repository") == Figure("28.285", "C")
    assert parse_figure("6.50 ?", "a paper") == Figure("6.50", "F", "a paper", "?")
    assert parse_figure("-1.36 [S]").number == -1.36


@pytest.mark.parametrize("text", ["11.82 [R]", "72.03", "72.03 [s]", ""])
def test_figures_without_a_known_origin_are_refused(text):
    with pytest.raises(ValueError, match="published expects a figure and its origin"):
        parse_figure(text)


def test_unknown_tables_are_named():
    with pytest.raises(ValueError, match="did you mean 'figure3'"):
        published_table("figure4")
