"""List what foveate stands on: packages, versions, licenses, and the extra that brings each.

python docs/supply.py           docs/dependencies.md and docs/sbom.json (CycloneDX 1.6), and the
                                tables of docs/security.md, from what is installed here
python docs/supply.py --check   only say whether a dependency of pyproject.toml is missing there
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from importlib import metadata
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE, SBOM, SECURITY = DOCS / "dependencies.md", DOCS / "sbom.json", DOCS / "security.md"
VERSIONS = DOCS.parent / "tests" / "versions.json"
FUZZED = DOCS.parent / "tests" / "fuzz" / "results.json"
CORE = "core"
EXTRAS = ("models", "train", "detect", "explain", "archives", "export", "test", "docs", "dev")
"""In the order in which a package is counted to one of them."""
COPYLEFT = re.compile(r"\b(A?GPL|LGPL|MPL|EPL)\b|Lesser|Mozilla", re.IGNORECASE)
STRONG = re.compile(r"(?<!L)\bA?GPL", re.IGNORECASE)
# What distributions say in words, as SPDX says it.
_SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "modified bsd license": "BSD-3-Clause",
    "mit license": "MIT",
    "the mit license": "MIT",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "gnu general public license v2 (gplv2)": "GPL-2.0-only",
    "nvidia proprietary software": "LicenseRef-NVIDIA-Proprietary",
    "other/proprietary license": "LicenseRef-Proprietary",
    "the unlicense (unlicense)": "Unlicense",
}

# What the metadata leave out and the distribution's own files or makers say.
_KNOWN = {
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",
    "faster-coco-eval": "Apache-2.0",
}


def license_of(package: metadata.Distribution) -> str:
    """Return the license of a distribution, as SPDX where its metadata allow; "unknown" if not."""
    told = package.metadata
    said = [told.get("License-Expression") or ""]
    classifiers = told.get_all("Classifier") or []
    said += [
        c.rpartition(" :: ")[2]
        for c in classifiers
        if c.startswith("License :: ") and " :: " in c[11:]
    ]
    said.append((told.get("License") or "").strip().partition("\n")[0])
    for text in said:
        if text and text.lower() not in ("unknown", "dual license", "osi approved", "license"):
            return _SPDX.get(text.lower(), text[:60])
    return _KNOWN.get(_name(told["Name"]), "unknown")


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _needed(text: str, extra: str) -> tuple[str, set[str]] | None:
    """Return the name and the extras of a requirement, None where it does not apply."""
    from packaging.requirements import Requirement

    one = Requirement(text)
    if one.marker is not None and not one.marker.evaluate({"extra": extra}):
        return None
    return _name(one.name), set(one.extras)


def closure(extra: str) -> set[str]:
    """Return the names of all distributions that foveate with an extra needs, itself left out."""
    found: set[str] = set()
    left = [("foveate", "" if extra == CORE else extra)]
    seen = set(left)
    while left:
        name, wanted = left.pop()
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for text in requires:
            needed = _needed(text, wanted)
            if needed is None:
                continue
            found.add(needed[0])
            for more in ("", *needed[1]):
                if (needed[0], more) not in seen:
                    seen.add((needed[0], more))
                    left.append((needed[0], more))
    return found - {"foveate"}


def gather() -> list[dict[str, Any]]:
    """Return name, version, license and extras of every distribution, sorted by name."""
    brought = {extra: closure(extra) for extra in (CORE, *EXTRAS)}
    names = sorted(set().union(*brought.values()))
    rows = []
    for name in names:
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # Of another system or Python.
        by = [extra for extra in (CORE, *EXTRAS) if name in brought[extra]]
        # A package that the core brings is brought by every extra, and so on.
        rows.append(
            {
                "name": name,
                "version": package.version.partition("+")[0],
                "license": license_of(package),
                "by": CORE if CORE in by else by[0],
            }
        )
    return rows


def sbom(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the list as a CycloneDX 1.6 document."""
    own = metadata.distribution("foveate")
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{row['name']}@{row['version']}",
            "name": row["name"],
            "version": row["version"],
            "purl": f"pkg:pypi/{row['name']}@{row['version']}",
            "licenses": [{"license": {"name": row["license"]}}],
            "properties": [{"name": "foveate:extra", "value": row["by"]}],
        }
        for row in rows
    ]
    content = json.dumps(components, sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": "foveate",
                "name": "foveate",
                "version": own.version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
    }


def page(rows: list[dict[str, Any]]) -> str:
    """Return the list for people."""
    direct = len(rows)
    lines = [
        "# Dependencies and their licenses",
        "",
        "Made by `make sbom` from what is installed in the environment that it runs in; the same"
        " list for programs is [sbom.json](sbom.json), CycloneDX 1.6. foveate itself is Apache-2.0."
        " The extra is the first that brings a package: `core` is always installed, `test`, `docs`"
        " and `dev` only for work on foveate itself. Packages of other systems and Pythons are left"
        " out.",
        "",
        *_strong(rows),
        "",
        *_versions(),
        f"## The {direct} packages",
        "",
        "| package | version | license | extra |",
        "|---|---|---|---|",
        *(f"| {r['name']} | {r['version']} | {r['license']} | {r['by']} |" for r in rows),
    ]
    return "\n".join(lines) + "\n"


def _strong(rows: list[dict[str, Any]]) -> list[str]:
    """Name what a company's lawyers ask about."""
    strong = [row for row in rows if STRONG.search(row["license"])]
    weak = [row for row in rows if COPYLEFT.search(row["license"]) and row not in strong]
    closed = [row for row in rows if "roprietary" in row["license"]]

    def told(found: list[dict[str, Any]]) -> str:
        return ", ".join(f"{r['name']} ({r['license']}, {r['by']})" for r in found) or "none"

    return [
        f"- Strong copyleft (GPL, AGPL): {told(strong)}.",
        f"- Weak copyleft (LGPL, MPL): {told(weak)}.",
        f"- Proprietary, brought by PyTorch's CUDA build: {told(closed)}.",
    ]


def _versions() -> list[str]:
    """Show which versions the tests ran with."""
    if not VERSIONS.is_file():
        return []
    lines = ["## Versions that were tested", ""]
    for kind, run in json.loads(VERSIONS.read_text(encoding="utf-8")).items():
        packages = ", ".join(f"{name} {version}" for name, version in run["packages"].items())
        lines += [
            f"**{kind}**, {run['date']}, Python {run['python']}: {packages}.",
            "",
            run["note"],
            "",
        ]
        lines += ["| tests | passed | failed | skipped |", "|---|---:|---:|---:|"]
        for part, told in run["tests"].items():
            cells = told if isinstance(told, list) else [told, "", ""]
            lines.append(f"| {part} | " + " | ".join(str(cell) for cell in cells) + " |")
        lines.append("")
    return lines


def declared() -> set[str]:
    """Return the names of all dependencies that pyproject.toml lists."""
    text = (DOCS.parent / "pyproject.toml").read_text(encoding="utf-8")
    found = re.findall(r'"([A-Za-z][\w.-]*)(?:\[[\w,]*\])?\s*[><=]=?[\d.]+[^"]*"', text)
    return {_name(name) for name in found} - {"hatchling"}


def fuzz_table() -> str:
    """Return what a long run of the fuzz came to."""
    if not FUZZED.is_file():
        return "Not run."
    told = json.loads(FUZZED.read_text(encoding="utf-8"))
    lines = [
        f"`{told['command']}`, {told['ended']}, commit {str(told['commit'])[:12]},"
        f" {told['processor']}; more than {told['limits']['seconds']:g} s of a processor or"
        f" {told['limits']['bytes'] / 2**30:g} GiB for one file is a finding. Readers mended"
        " since, and later ones, were run again (`python tests/fuzz/long.py --only NAME --write`).",
        "",
        "| reader | what it reads | files tried | slowest | findings |",
        "|---|---|---:|---:|---:|",
    ]
    for name, row in told["readers"].items():
        cells = (name, row["files"], row["tried"], f"{row['slowest']:.2f} s", len(row["findings"]))
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def fill(text: str) -> str:
    """Put the generated table into the page on security."""
    begin, end = "<!-- fuzz -->", "<!-- /fuzz -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{fuzz_table()}\n{end}", text)


def main() -> None:
    """Do what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if outdated")
    if parser.parse_args().check:
        listed = {one["name"] for one in json.loads(SBOM.read_text("utf-8"))["components"]}
        missing = sorted(declared() - listed - {"tomli"})
        security = SECURITY.read_text("utf-8")
        if missing or fill(security) != security:
            sys.exit(f"not in docs/sbom.json: {', '.join(missing) or 'nothing'}; run: make sbom")
        return
    rows = gather()
    PAGE.write_text(page(rows), encoding="utf-8")
    SBOM.write_text(json.dumps(sbom(rows), indent=1) + "\n", encoding="utf-8")
    SECURITY.write_text(fill(SECURITY.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
