"""What foveate stands on is listed, licensed, and bounded below by what was tested."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SBOM = json.loads((ROOT / "docs/sbom.json").read_text())
VERSIONS = json.loads((ROOT / "tests/versions.json").read_text())


def test_the_lists_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "docs/supply.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_package_has_a_version_and_a_license():
    for one in SBOM["components"]:
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
        assert one["licenses"][0]["license"]["name"] != "unknown", one["name"]
    assert len({one["bom-ref"] for one in SBOM["components"]}) == len(SBOM["components"]) > 50


def test_the_list_is_a_cyclonedx_document():
    assert (SBOM["bomFormat"], SBOM["specVersion"], SBOM["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", SBOM["serialNumber"])
    assert {"type", "name", "version"} <= set(SBOM["metadata"]["component"])
    assert "://" not in (ROOT / "docs/sbom.json").read_text()


def test_strong_copyleft_is_named_on_the_page():
    page = (ROOT / "docs/dependencies.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("- Strong copyleft"))
    for one in SBOM["components"]:
        if re.search(r"(?<!L)\bA?GPL", one["licenses"][0]["license"]["name"]):
            assert one["name"] in line


def test_lower_bounds_are_those_that_were_tested():
    text = (ROOT / "pyproject.toml").read_text()
    bounds = dict(re.findall(r'"([A-Za-z][\w.-]*)>=([\d.]+)', text))
    tested = VERSIONS["lowest"]["packages"]
    for name, version in tested.items():
        bound = bounds[name].split(".")
        assert version.split(".")[: len(bound)] == bound, name
    runtime = text[text.index("\ndependencies = ") : text.index("\narchives = ")]
    assert set(dict(re.findall(r'"([A-Za-z][\w.-]*)>=([\d.]+)', runtime))) - {"tomli"} <= set(
        tested
    )
