"""``hubconf.py``: networks by torch.hub from the repository itself."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch

import foveate

pytest.importorskip("timm")
ROOT = Path(__file__).parents[2]


def load(*args, **kwargs):
    return torch.hub.load(str(ROOT), *args, source="local", **kwargs)


def test_the_list_holds_networks_and_nothing_else_and_each_has_help(tmp_path, monkeypatch):
    # Lists and help are for repositories of GitHub; one that was fetched is not fetched again.
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "me_foveate_main").symlink_to(ROOT)
    known = {"skip_validation": True, "trust_repo": True}
    names = torch.hub.list("me/foveate:main", **known)
    bases = ("resnet18", "resnet34", "resnet50", "resnet101", "mobilenetv2_100")
    gated = {f"{base}_{gate}" for base in bases for gate in ("das", "das_lite")}
    assert set(names) == gated | {"create_model", "load"}
    for name in ("resnet50_das", "create_model", "load"):
        assert len(torch.hub.help("me/foveate:main", name, **known)) > 100
    assert "closed" in torch.hub.help("me/foveate:main", "resnet50_das", **known)


def test_networks_come_by_name(tmp_path):
    torch.manual_seed(0)
    got = load("resnet18_das", num_classes=3, alpha=0.5)
    torch.manual_seed(0)
    want = foveate.create_model("resnet18", "das", num_classes=3, alpha=0.5)
    assert all(map(torch.equal, got.state_dict().values(), want.state_dict().values()))
    assert list(got.state_dict()) == list(want.state_dict())
    small = load("create_model", "resnet10t", "se", num_classes=2)
    foveate.save(small, tmp_path)
    again = load("load", str(tmp_path))
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(again(image), small.eval()(image))


@pytest.mark.slow
def test_the_copy_in_the_repository_serves_where_foveate_is_not_installed():
    code = (
        "import sys, torch\n"
        f"net = torch.hub.load({str(ROOT)!r}, 'resnet50_das', source='local')\n"
        "import foveate; print(foveate.__file__)\n"
    )
    # Without site, links to packages are not followed: the environment has all but foveate.
    packages = sysconfig.get_paths()["purelib"]
    run = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.append({packages!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=300,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert run.stdout.strip() == str(ROOT / "src" / "foveate" / "__init__.py"), run.stderr
