"""``foveate push``: a folder to look at, or an upload."""

import pytest
from typer.testing import CliRunner

import foveate
from foveate.cli import build
from made_runs import make_run

hub = pytest.importorskip("huggingface_hub")


def call(*words):
    return CliRunner().invoke(build(), ["push", *map(str, words)])


def test_a_run_is_written_as_it_would_be_uploaded(tmp_path):
    run = make_run(tmp_path / "run", "se")
    words = ("me/net", "--folder", tmp_path / "look", "--license", "mit")
    result = call(run, *words)
    assert result.exit_code == 0, result.output
    assert "nothing was uploaded" in result.output
    card = hub.ModelCard.load(tmp_path / "look" / "README.md")
    assert card.data.license == "mit" and "| top-1 | 12.50 % |" in card.text
    assert foveate.load(tmp_path / "look").num_classes == foveate.load(run).num_classes


def test_a_place_is_needed_and_offline_is_respected(tmp_path):
    run = make_run(tmp_path / "run", "se")
    result = call(run)
    assert result.exit_code == 1 and "expects OWNER/NAME or --folder; got neither" in result.output
    result = call(run, "me/net")
    assert result.exit_code == 1 and "HF_HUB_OFFLINE=1" in result.output


def test_what_is_pushed_is_the_network_with_its_card(tmp_path, monkeypatch):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(
        hub.HfApi, "create_repo", lambda self, **how: hub.RepoUrl("https://huggingface.co/me/net")
    )
    seen = {}

    def upload_folder(self, *, folder_path, repo_id, **_):
        seen[repo_id] = {path.name for path in folder_path.iterdir()}
        return "https://huggingface.co/me/net/commit/1"

    monkeypatch.setattr(hub.HfApi, "upload_folder", upload_folder)
    result = call(make_run(tmp_path / "run", "se"), "me/net", "--private")
    assert result.exit_code == 0, result.output
    assert "https://huggingface.co/me/net/commit/1" in result.output
    assert seen == {"me/net": {"model.safetensors", "model.json", "config.json", "README.md"}}
