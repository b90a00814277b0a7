"""No network where none was asked for, and HF_HUB_OFFLINE counts wherever something is fetched."""

import json
import os
import subprocess
import sys

import pytest

LOOK = r"""
import contextlib, importlib, io, json, pkgutil, socket, sys, time, warnings
warnings.simplefilter("ignore")
asked = []

def refuse(*arguments, **_):
    asked.append(repr(arguments)[:200])
    raise OSError("this test has no network")

real = socket.socket.connect
def connect(self, address):
    return real(self, address) if self.family == socket.AF_UNIX else refuse(address)

socket.socket.connect = socket.socket.connect_ex = connect
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse
found = {"missing": []}
import foveate

for info in pkgutil.walk_packages(foveate.__path__, "foveate."):
    if info.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(info.name)
    except ImportError as error:
        found["missing"].append(f"{info.name}: {error}")
from foveate.cli import main

for words in (["--help"], ["list"], ["list", "das"], ["train", "--help"], ["--version"]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(words)
foveate.create_model("resnet18", "das", num_classes=4)
found["quiet"] = list(asked)

def attempt(call):
    asked.clear()
    begun = time.process_time()
    try:
        call()
        said = "nothing"
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    return [said, list(asked), time.process_time() - begun]

from foveate.explain.regions.weights import Checkpoint
from foveate.explain.subjects import open_subjects

found["timm"] = attempt(lambda: foveate.create_model("resnet18", pretrained=True))
other = "torchvision/resnet18"
found["torchvision"] = attempt(lambda: foveate.create_model(other, pretrained=True))
found["explain"] = attempt(lambda: open_subjects("resnet18"))
one = Checkpoint("facebook/sam-vit-base", "segmenter", "AutoModel", ("sam",))
found["regions"] = attempt(lambda: one.folder)
print("FOUND" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a process without a network and with empty caches found out."""
    home = str(tmp_path_factory.mktemp("home"))
    more = {"HF_HUB_OFFLINE": "1", "HF_HOME": home, "TORCH_HOME": home, "FOVEATE_CACHE": home}
    more |= {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        capture_output=True,
        text=True,
        env={**os.environ, **more},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.rpartition("FOUND")[2])


def test_importing_and_plain_commands_ask_no_network(found):
    assert found["quiet"] == []
    # What is not installed here (MMDetection, smp) cannot be imported; nothing else is missing.
    assert all("foveate.integrations" in one for one in found["missing"]), found["missing"]


@pytest.mark.parametrize("place", ["timm", "torchvision", "explain", "regions"])
def test_offline_is_respected_at_once_with_one_error(found, place):
    said, asked, seconds = found[place]
    assert asked == []
    assert said.startswith(("OSError", "ValueError")) and " expects " in said
    assert "HF_HUB_OFFLINE is set" in said
    assert seconds < 10


CONVERSION = """
import sys, torch, openvino, openvino_telemetry as telemetry
told = []
for name in ("start_session", "send_event", "send_error", "end_session"):
    setattr(telemetry.Telemetry, name, lambda *words, **_: told.append(words[1:3]))
if sys.argv[1] == "silent":
    from foveate.export.openvino import silence
    silence()
openvino.convert_model(torch.export.export(torch.nn.ReLU(), (torch.zeros(1, 3, 4, 4),)))
print(len(told))
"""


def reports_of_a_conversion(how):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CONVERSION, how],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


def test_openvino_reports_no_conversion():
    pytest.importorskip("openvino")
    pytest.importorskip("openvino_telemetry")
    assert reports_of_a_conversion("silent") == 0


@pytest.mark.slow
def test_openvino_would_report_conversions():
    pytest.importorskip("openvino_telemetry")
    assert reports_of_a_conversion("as it comes") > 0
