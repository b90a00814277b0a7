"""The tables: what is counted, how it reads, and that what is not known says so."""

import json
import re
from pathlib import Path

import pytest

from foveate.paper import TABLES, page, paper_table
from foveate.paper.detection import detector_sizes
from foveate.paper.figure3 import ALPHAS, alpha_costs, figure3_png
from foveate.training import ModelSection

# Parameters and MACs of the gated networks: as printed (M, G), in full (M, G), exact parameters.
DAS = {
    "ResNet-18": (11.82, 1.86, 12.44, 1.95, 12_438_830),
    "ResNet-50": (26.90, 4.39, 36.90, 5.87, 36_903_598),
    "ResNet-101": (45.89, 8.12, 55.90, 9.60, 55_895_726),
    "MobileNetV2": (3.58, 0.35, 3.83, 0.38, 3_832_193),
}
# Exact parameters of the others, counted on their authors' networks or derived from the structure.
OTHERS = {
    ("ResNet-18", "plain"): 11_689_512,
    ("ResNet-18", "SENet"): 11_778_592,
    ("ResNet-18", "BAM"): 11_712_503,
    ("ResNet-18", "CBAM"): 11_779_392,
    ("ResNet-18", "Triplet"): 11_691_912,
    ("ResNet-18", "EMCA"): 11_689_628,
    ("ResNet-50", "plain"): 25_557_032,
    ("ResNet-50", "SENet"): 28_088_024,
    ("ResNet-50", "CBAM"): 28_089_624,
    ("ResNet-50", "A2-Nets"): 32_907_304,
    ("ResNet-50", "GC-Net"): 28_105_032,
    ("ResNet-50", "GSoP-Net1"): 28_285_224,
    ("ResNet-50", "ECA-Net"): 25_557_118,
    ("ResNet-50", "Triplet"): 25_561_832,
    ("ResNet-50", "EMCA"): 25_557_293,
    ("ResNet-101", "plain"): 44_549_160,
    ("ResNet-101", "SENet"): 49_326_872,
    ("ResNet-101", "CBAM"): 49_330_172,
    ("MobileNetV2", "plain"): 3_504_872,
    ("MobileNetV2", "SENet"): 3_563_492,
    ("MobileNetV2", "CBAM"): 3_536_585,
    ("MobileNetV2", "Triplet"): 3_505_892,
}
# MACs of the plain networks in G, by a counter of others.
BASELINES = {"ResNet-18": 1.824, "ResNet-50": 4.134, "ResNet-101": 7.866, "MobileNetV2": 0.328}
# Designs on ResNet-18: as printed and in full, M and G.
DESIGNS = {
    "a": (12.40, 1.93, 12.40, 1.93),
    "b": (11.91, 1.86, 11.91, 1.86),
    "c": (11.816, 1.857, 12.439, 1.947),
    "d": (11.925, 1.917, 15.058, 2.379),
    "e": (12.048, 1.880, 12.048, 1.880),
    "f": (11.840, 1.850, 11.840, 1.850),
    "g": (11.925, 1.917, 15.058, 2.379),
    "h": (11.816, 1.857, 12.439, 1.947),
}


# Many networks each, whose costs are held to known ones elsewhere; the page has all of them.
UNCOUNTED = ("table5", "figure3")


class Made(dict):
    """Tables without any run, each made when it is first asked for."""

    def __init__(self, uncounted_table):
        self.uncounted_table = uncounted_table

    def __missing__(self, name):
        make = self.uncounted_table if name in UNCOUNTED else paper_table
        self[name] = make(name)
        return self[name]


@pytest.fixture(scope="module")
def tables(uncounted_table):
    """Every table by its name."""
    return Made(uncounted_table)


@pytest.fixture(scope="module")
def counted(tables):
    """Costs of table 1 by group and label."""
    return {(r["group"], r["label"]): r["counted"] for r in tables["table1"].records}


@pytest.mark.parametrize("group", DAS)
def test_gated_networks_cost_what_the_paper_prints_and_what_they_cost(counted, group):
    cost = counted[group, "DAS"]
    printed = (cost["params_published"] / 1e6, cost["macs_published"] / 1e9)
    full = (cost["params"] / 1e6, cost["macs"] / 1e9)
    assert tuple(round(value, 2) for value in (*printed, *full)) == DAS[group][:4]
    assert cost["params"] == DAS[group][4]


def test_every_network_of_table_1_has_exactly_its_size(counted):
    found = {key: counted[key]["params"] for key in OTHERS}
    assert found == OTHERS
    assert {label for _, label in counted.keys() - OTHERS.keys()} == {"DAS", "das_lite, ours"}
    for group, macs in BASELINES.items():
        assert round(counted[group, "plain"]["macs"] / 1e9, 3) == macs


def test_designs_cost_what_their_structure_says(tables):
    records = {
        r["label"][0]: r["counted"] for r in tables["table4"].records if r["label"][1] == ":"
    }
    assert records.keys() == DESIGNS.keys()
    for letter, wanted in DESIGNS.items():
        cost = records[letter]
        keys = ("params_published", "macs_published", "params", "macs")
        found = [cost[key] / (1e6 if "params" in key else 1e9) for key in keys]
        digits = 2 if letter in "ab" else 3
        assert [round(value, digits) for value in found] == [*wanted], letter


def test_the_text_is_held_to_both_conventions(tables):
    said = {
        cells[0]: cells[1:]
        for table in ("table1", "table2", "table4")
        for section in tables[table].sections
        if section.title.startswith("What the text says")
        for cells in section.rows
    }
    assert said["DAS-50 has 1.39 M fewer parameters than GSoP-Net1"] == (
        "1.39 M fewer",
        "8.62 M more",
    )
    share = said["DAS-50 has about 60 % of ResNet-101's parameters"]
    assert share == ("60.4 %", "82.8 %")
    assert said["DAS-50 has about 60 % of ResNet-101's MACs"] == ("55.8 %", "74.6 %")
    for words in (
        "DAS-101 has fewer parameters than SENet-101",
        "DAS-50 has fewer parameters than SENet-50",
    ):
        assert said[words][0].endswith("fewer") and said[words][1].endswith("more")
    assert said["e has more MACs than c"] == ("0.02 G more", "0.07 G fewer")
    assert len(said) == 14


def test_detectors_have_the_reported_size_but_for_what_is_frozen():
    # 225 344 weights of the frozen stem and first stage, and 4 100 of a box for the background.
    for name, reported in (("resnet50", 41.53), ("resnet101", 60.52)):
        everything, printed = detector_sizes(ModelSection(name=f"torchvision/{name}"))
        assert everything == printed
        assert round((everything - 225_344 - 4_100) / 1e6, 2) == reported
    gated = detector_sizes(ModelSection(name="torchvision/resnet50", attention="das"))
    assert gated == (41_757_156 + 11_346_566, 41_757_156 + 11_346_566 - 10_006_272)


def test_figure_3_passes_through_the_readings_of_the_paper(monkeypatch):
    some = (0.02, 0.1, 0.2)
    assert set(some) < set(ALPHAS) and ALPHAS[0] == 0.01 and ALPHAS[-1] == 1
    monkeypatch.setattr("foveate.paper.figure3.ALPHAS", some)
    costs = alpha_costs(["ResNet-50"])["ResNet-50"]
    assert tuple(costs) == some
    assert [round(costs[a].params_published / 1e6, 2) for a in (0.1, 0.2)] == [26.25, 26.90]
    assert [round(costs[a].params / 1e6, 3) for a in (0.02, 0.1)] == [26.706, 31.240]
    assert [round(costs[a].macs / 1e9, 3) for a in (0.02, 0.1)] == [4.321, 5.005]
    growing = [cost.macs for cost in costs.values()]
    assert growing == sorted(growing)


def test_figure_3_is_drawn(uncounted):
    assert figure3_png().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("width", [80, 130])
def test_text_fits_and_cuts_nothing_off(tables, name, width):
    text = tables[name].render("text", width)
    assert max(map(len, text.splitlines())) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    for section in tables[name].sections:
        for cells in section.rows:
            for cell in cells:
                assert cell in text or len(cell) > 30


@pytest.mark.parametrize("name", TABLES)
def test_markdown_has_a_cell_for_every_column(tables, name):
    text = tables[name].render("md")
    assert text.startswith(f"## {tables[name].title}\n")
    heads = None
    for line in text.splitlines():
        if not line.startswith("|"):
            heads = None
        elif heads is None:
            heads = line.count("|")
        else:
            assert line.count("|") == heads


@pytest.mark.parametrize("name", TABLES)
def test_json_says_where_figures_are_from(tables, name):
    tree = json.loads(tables[name].render("json"))
    assert tree["table"] == name
    assert len(tree["rows"]) == len(tables[name].records)
    for row in tree["rows"]:
        for figure in row.get("paper", {}).values():
            assert figure["tag"] in "SFDC"


def test_nothing_recalled_is_shown_and_nothing_is_run(tables):
    for name in TABLES:
        text = tables[name].render("md")
        assert "[R" not in text
        assert "not run" in text, name
    accuracy = next(s for s in tables["table1"].sections if s.title.startswith("Accuracy"))
    named = [cells for cells in accuracy.rows if len(cells) > 1 and cells[0]]
    assert {cells[3] for cells in named} == {"not run"}


def test_every_mark_is_explained_and_every_explanation_used(tables):
    for table in map(tables.__getitem__, TABLES):
        cells = [cell for s in table.sections for row in s.rows for cell in row]
        used = set(re.findall(r"\[([A-Z]\d*)\]", " ".join(cells)))
        # Table 2 has its marks in a column of their own.
        used |= {
            mark for cell in cells for mark in cell.split(", ") if re.fullmatch(r"[DF]\d+", mark)
        }
        explained = {m[1] for note in table.notes if (m := re.match(r"\[([A-Z]\d*)\] ", note))}
        assert used == explained, table.name


def test_rows_can_be_chosen(uncounted):
    table = paper_table("table1", only=("resnet18", "MobileNet-V2"))
    assert {record["group"] for record in table.records} == {"ResNet-18", "MobileNetV2"}
    assert len(paper_table("figure3", only=("resnet18",)).records) == len(ALPHAS)
    with pytest.raises(ValueError, match="rows of table1; got 'resnet19'; did you mean 'resnet18'"):
        paper_table("table1", only=("resnet19",))
    with pytest.raises(ValueError, match="--rows expects a table with groups; got sfd"):
        paper_table("sfd", only=("resnet50",))


def test_progress_is_told():
    told = []
    paper_table("table4", tell=lambda label, share: told.append((label, share)))
    assert told[0] == ("counting ResNet-18 plain", 0.0)
    assert len(told) == 9 and all(0 <= share < 1 for _, share in told)


def test_unknown_names_and_formats_are_refused(tables):
    with pytest.raises(ValueError, match="did you mean 'table1'"):
        paper_table("tabel1")
    with pytest.raises(ValueError, match="known --format"):
        tables["sfd"].render("html")


PAGE = Path(__file__).parents[2] / "docs" / "paper.md"
AGAIN = "run: python docs/build.py --paper"


def test_the_page_holds_every_table(tables):
    kept = PAGE.read_text(encoding="utf-8")
    for name, table in ((name, tables[name]) for name in TABLES):
        assert f"\n## {table.title}\n" in kept
        assert table.render("md") in kept or name in UNCOUNTED, AGAIN
    assert kept.count("\n# ") == 0 and kept.startswith("# ")
    assert (
        max(len(line) for line in kept.splitlines() if not line.startswith(("|", "-", "**"))) <= 100
    )


@pytest.mark.slow
def test_the_page_is_what_is_printed():
    assert page() == PAGE.read_text(encoding="utf-8"), AGAIN
