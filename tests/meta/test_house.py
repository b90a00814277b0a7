"""The house itself: the stack of packages, sizes, names, what an import brings in."""

import ast
import difflib
import doctest
import importlib
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import foveate

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "foveate"
RUNGS = {
    "core": 1,
    "ops": 2,
    "attention": 3,
    "surgery": 4,
    "accounting": 4,
    "data": 4,
    "models": 5,
    "training": 6,
    "explain": 7,
    "export": 6,
    "bench": 6,
    "detection": 7,
    "segmentation": 7,
    "stereo": 7,
    "integrations": 7,
    "report": 8,
    "paper": 9,
    "cli": 10,
}
SOURCES = sorted(SRC.rglob("*.py"))


def imports_of(path):
    """Every package of foveate that a file imports, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "foveate" and len(parts) > 1 and parts[1] in RUNGS:
                yield parts[1], node.lineno


def test_packages_import_downward_only():
    climbing = []
    for path in SOURCES:
        here = path.relative_to(SRC).parts[0]
        if here not in RUNGS:
            continue  # the public face and __main__ stand above the stack
        for there, line in imports_of(path):
            if there != here and RUNGS[there] >= RUNGS[here]:
                climbing.append(f"{path.relative_to(ROOT)}:{line} imports {there}")
    assert climbing == []


def test_every_package_has_its_rung():
    packages = {path.parent.name for path in SRC.glob("*/__init__.py")}
    assert packages <= set(RUNGS)


def test_files_stay_small():
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := p.read_text().count("\n")) > 400}
    assert long == {}


def test_files_are_not_copies_of_each_other():
    texts = {}
    for path in SOURCES:
        lines = [line.strip() for line in path.read_text().splitlines()]
        lines = [line for line in lines if line and not line.startswith(("#", "import ", "from "))]
        if len(lines) > 30:
            texts[path.relative_to(SRC)] = lines
    alike = []
    for (a, left), (b, right) in itertools.combinations(texts.items(), 2):
        matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
        bounds = (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)
        if all(bound() > 0.6 for bound in bounds):
            alike.append(f"{a} ~ {b}: {matcher.ratio():.2f}")
    assert alike == []


def test_every_attention_file_is_registered_and_tested_by_a_closed_form():
    support = {"__init__", "card", "place", "registry", "where"}
    files = {path.stem for path in (SRC / "attention").glob("*.py")} - support
    assert files == set(foveate.list_attentions(undefined=True))
    designs = {path.stem for path in (SRC / "attention/ablations").glob("[!_]*.py")}
    assert designs == set(foveate.list_attentions("ablation"))
    tests = "\n".join(path.read_text() for path in (ROOT / "tests/attention").glob("*.py"))
    for name in (files | designs) - {"das"}:
        assert f"def test_{name}_is_its_formula" in tests
    assert "def test_closed_form" in (ROOT / "tests/attention/test_das.py").read_text()


def test_the_source_names_no_machine_and_no_registry():
    pattern = re.compile(r"(^|[^\w.-])/(work|root|home)/\w|files\.pythonhosted|index-url", re.M)
    checked = [*SOURCES, *ROOT.glob("*.md"), ROOT / "pyproject.toml", ROOT / "Makefile"]
    checked += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "recipes").rglob("*.toml")]
    assert [str(path) for path in checked if pattern.search(path.read_text())] == []


EXTRAS = (
    *("captum", "faster_coco_eval", "jinja2", "lightning", "matplotlib", "onnx", "openvino"),
    *("pydantic", "rich", "scipy", "tensorboard", "timm", "tomli_w", "torchmetrics"),
    *("torchvision", "transformers", "typer", "PIL"),
)

HIDDEN = """
import sys
for name in {extras!r}:
    sys.modules[name] = None
import torch, foveate
net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU())
foveate.insert_(net, "das", ["1"], example=torch.zeros(1, 3, 8, 8))
net(torch.rand(1, 3, 8, 8)).sum().backward()
assert foveate.accounting.count(net, (3, 8, 8)).macs > 0
for call in (lambda: foveate.create_model("resnet18"), lambda: foveate.create_attention("se", 8)):
    try:
        call()
    except ImportError as error:
        assert 'pip install "foveate[models]"' in str(error), error
    else:
        raise SystemExit("timm is hidden, but nothing complained")
print("fine")
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_the_core_works_with_every_extra_hidden():
    result = run(HIDDEN.format(extras=EXTRAS))
    assert result.stdout == "fine\n", result.stderr


def test_importing_brings_no_extra_in_and_says_nothing():
    result = run(
        "import sys, foveate; assert 'torch' not in sys.modules; foveate.load, foveate.insert_;"
        f"print(sorted(set(sys.modules) & set({EXTRAS!r})))"
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_public_names_are_there_and_documented():
    for name in foveate.__all__:
        assert getattr(foveate, name) is not None
        if name != "__version__":
            assert getattr(foveate, name).__doc__


DOCTESTED = [
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCES
    if ">>> " in path.read_text() and "+SKIP" not in path.read_text()
]


@pytest.mark.parametrize("module", DOCTESTED)
def test_examples_in_docstrings_are_true(module):
    found = doctest.testmod(importlib.import_module(module), extraglobs={"torch": torch})
    assert found.attempted > 0
    assert found.failed == 0
