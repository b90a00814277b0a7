"""What the site adds to the pages: links that lead right, formulas, pages made from the code."""

import re
import sys
from pathlib import Path

import pytest
from pages import ROOT, SHELLS, blocks_of, commands_of

sys.path.append(str(ROOT / "docs/making"))

import attentions
import benchmarks
import choices
import links
import mathml
import reference

import foveate

ELSEWHERE = {"README.zh.md": "zh.md", "benchmarks/README.md": "benchmarks/index.md"}


def led(text, home="docs/explain.md", source="explain.md"):
    return links.on_site(text, home, source, ROOT, ELSEWHERE)


def test_links_lead_to_where_things_are_on_the_site():
    assert led("[a](attentions.md#das) [b](paper.md#x)") == "[a](attentions/das.md) [b](paper.md#x)"
    assert led("[a](../README.md#speed)") == "[a](index.md)"
    assert led("[a](../benchmarks/README.md)") == "[a](benchmarks/index.md)"
    assert (
        led("[a](../benchmarks/results/sweep.json)") == "[a](files/benchmarks/results/sweep.json)"
    )
    assert led("[a](https://b/c) [d](#e) `[f](../README.md)`").count("../README.md") == 1
    table = led("[das](#das)", "docs/attentions.md", "attentions.md")
    assert table == "[das](attentions/das.md)"
    chinese = led(
        "![p](docs/images/a.png) [r](docs/results) [d](docs/a.md)", "README.zh.md", "zh.md"
    )
    assert chinese == "![p](images/a.png) [r](results/README.md) [d](a.md)"


def test_files_outside_of_docs_that_pages_link_to_are_shipped():
    shipped = links.outside(ROOT, ELSEWHERE)
    assert "benchmarks/results/detection_step.json" in shipped
    assert not [path for path in shipped if path.startswith("docs/") or path in ELSEWHERE]


def test_formulas_become_mathml_and_a_broken_one_names_its_page():
    html = r'<p><span class="arithmatex">\(y = \sum_k w_k &lt; 1\)</span> of <code>x</code></p>'
    shown = mathml.set_formulas(html, "a.md")
    assert "<math" in shown and "<code>x</code>" in shown and "arithmatex" not in shown
    with pytest.raises(ValueError, match=r"a\.md: the formula .*cannot be set"):
        mathml.set_formulas(r'<span class="arithmatex">\(x_\)</span>', "a.md")


def test_every_public_name_is_on_a_page_of_the_reference():
    told = "\n".join(reference.pages().values())
    for package in reference.packages():
        for name in reference.public_names(package):
            assert f"::: {reference.home_of(package, name)}\n" in told, f"{package}.{name}"
    everything = {name for name in foveate.__all__ if not name.startswith("__")}
    packages = {package.partition(".")[2] for package in reference.packages()}
    assert everything <= {*reference.public_names("foveate"), *packages}


@pytest.mark.slow
def test_every_attention_has_a_page_that_says_what_is_known_and_runs(tmp_path, monkeypatch):
    made = attentions.pages()
    assert [Path(name).stem for name in made] == foveate.list_attentions(undefined=True)
    page = made["attentions/das.md"]
    assert "# 4 sites, +749,318 parameters" in page and "| `das` | 11,327 | 145,796 |" in page
    assert "## Departures" in page and "](../results/scenes-96.md)" in page
    for name in ("das", "dcnv2"):
        code = re.search(r"```python\n(.*?)```", made[f"attentions/{name}.md"], re.DOTALL)[1]
        exec(compile(code, name, "exec"), {})
    left = attentions.without_cards((ROOT / "docs/attentions.md").read_text())
    assert "### das\n" not in left and "## All of them" in left


def test_every_result_file_of_the_benchmarks_has_a_page():
    made = benchmarks.pages()
    assert {Path(name).stem for name in made} == {
        path.stem for path in benchmarks.FOLDER.glob("*.json")
    }
    assert "| attention | parameters |" in made["benchmarks/detection_step.md"]
    assert "3.74x" in "".join(made.values())
    cells = [
        benchmarks._words(value) for value in (None, True, 12345, 0.123456, ["a", 2], {"k": 1})
    ]
    assert cells == ["-", "yes", "12,345", "0.1235", "a, 2", "k 1"]


def test_the_page_of_open_choices_has_every_option_of_the_gate():
    options = foveate.attention_spec("das").options
    assert set(choices.CHOICES) == set(options)
    for name, (others, why) in choices.CHOICES.items():
        assert options[name] not in others and why.endswith(".")
    params, macs = choices._cost({})
    assert params == foveate.attention_spec("das").params(256) == 145_796
    assert choices._other("deform_weight", "dw_pw", params, macs).startswith("`'dw_pw'`: \u2212")
    assert choices._other("residual", True, params, macs) == "`True`: the same"


def test_the_chinese_readme_has_the_code_and_the_commands_of_the_english_one():
    english, chinese = ROOT / "README.md", ROOT / "README.zh.md"
    codes = [
        [block.code for block in blocks_of(page) if block.language == "python"]
        for page in (english, chinese)
    ]
    assert codes[0] == codes[1]
    shells = [
        [block.code for block in blocks_of(page) if block.language in SHELLS]
        for page in (english, chinese)
    ]
    assert len(shells[1]) >= 6 and set(shells[1]) <= set(shells[0])
    assert next(words for _, words in commands_of(chinese))[0] == "pip"
    assert "README.zh.md" in english.read_text() and "(README.md)" in chinese.read_text()
