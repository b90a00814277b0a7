"""The conditions of a measurement."""

import re
import sys

from foveate.core import environment


def test_versions_name_what_is_absent():
    found = environment.versions(("torch", "no-such-package"))
    assert set(found) == {"python", "torch", "no-such-package"}
    assert re.match(r"\d+\.\d+", found["torch"])
    assert found["no-such-package"] is None


def test_the_command_shows_no_folders_of_its_program(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/some/where/foveate", "bench", "gate"])
    assert environment.command() == "foveate bench gate"
    monkeypatch.setattr("sys.argv", ["/somewhere/src/foveate/__main__.py", "list"])
    assert environment.command() == "python -m foveate list"


def test_machine_and_time_have_their_form():
    assert environment.machine()["cores"] >= 1 and environment.processor()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", environment.timestamp())
    commit = environment.commit()
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}\+?", commit)
