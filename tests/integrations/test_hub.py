"""Networks pushed to a stand-in of the Hub, saved into folders of its form, and loaded again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import foveate
from foveate.surgery import inserted
from made_runs import make_run

hub = pytest.importorskip("huggingface_hub")
sharing = pytest.importorskip("foveate.integrations.hub")
HubModel, model_card = sharing.HubModel, sharing.model_card

IMAGE = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return foveate.create_model("resnet10t", "das", num_classes=3, width=0.25).eval()


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A Hub in a folder: what is uploaded is copied there."""

    def create_repo(self, repo_id, private=None, exist_ok=False, **_):
        (tmp_path / "hub" / repo_id).mkdir(parents=True, exist_ok=exist_ok)
        return hub.RepoUrl(f"https://huggingface.co/{repo_id}")

    def upload_folder(self, *, repo_id, folder_path, **_):
        shutil.copytree(folder_path, tmp_path / "hub" / repo_id, dirs_exist_ok=True)
        return f"https://huggingface.co/{repo_id}/commit/1"

    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub.HfApi, "create_repo", create_repo)
    monkeypatch.setattr(hub.HfApi, "upload_folder", upload_folder)
    return tmp_path / "hub"


def cached(repo, files, cache):
    """Lay files out as the Hub's cache does: links to blobs."""
    home = cache / f"models--{repo.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("a" * 40)
    (home / "snapshots" / ("a" * 40)).mkdir(parents=True)
    (home / "blobs").mkdir()
    for file in Path(files).iterdir():
        shutil.copyfile(file, home / "blobs" / file.name)
        (home / "snapshots" / ("a" * 40) / file.name).symlink_to(home / "blobs" / file.name)
    return cache


def same(one, other):
    with torch.no_grad():
        return torch.equal(one(IMAGE), other(IMAGE))


def test_a_folder_comes_back_as_the_same_network(network, tmp_path):
    assert HubModel(network).save_pretrained(tmp_path) is None
    names = {"model.safetensors", "model.json", "config.json", "README.md"}
    assert {path.name for path in tmp_path.iterdir()} == names
    again = HubModel.from_pretrained(tmp_path)
    assert isinstance(again, hub.PyTorchModelHubMixin) and not again.training
    assert same(again, network) and same(again.network, network)
    assert same(foveate.load(tmp_path), network)
    assert list(inserted(again.network)) == ["layer1", "layer2", "layer3", "layer4"]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["library_name"] == "foveate" and config["attentions"] == ["das"]
    assert HubModel.from_pretrained(str(tmp_path)).state_dict().keys() == again.state_dict().keys()


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_output(network, tmp_path):
    HubModel(network).save_pretrained(tmp_path)
    torch.save(IMAGE, tmp_path / "image.pt")
    code = (
        "import torch; from foveate.integrations.hub import HubModel\n"
        f"model = HubModel.from_pretrained({str(tmp_path)!r})\n"
        f"image = torch.load({str(tmp_path / 'image.pt')!r})\n"
        f"torch.save(model(image).detach(), {str(tmp_path / 'out.pt')!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)
    with torch.no_grad():
        assert torch.equal(torch.load(tmp_path / "out.pt"), network(IMAGE))


def test_what_is_pushed_is_loaded_from_the_cache(network, remote, tmp_path):
    where = HubModel(network).push_to_hub("me/net", model_card_kwargs={"license": "mit"})
    assert where == "https://huggingface.co/me/net/commit/1"
    card = (remote / "me/net/README.md").read_text()
    assert 'HubModel.from_pretrained("me/net").network' in card and "license: mit" in card
    cache = cached("me/net", remote / "me/net", tmp_path / "cache")
    again = HubModel.from_pretrained("me/net", cache_dir=cache, local_files_only=True)
    assert same(again, network)


def test_offline_is_respected_with_one_clear_error(network, tmp_path, monkeypatch):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)

    def no_network(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", no_network)
    with pytest.raises(OSError, match=r"push_to_hub expects .*got HF_HUB_OFFLINE=1; unset it"):
        HubModel(network).push_to_hub("me/net")
    with pytest.raises(OSError, match=r"from_pretrained expects a folder, or .*HF_HUB_OFFLINE is"):
        HubModel.from_pretrained("me/net", cache_dir=tmp_path)
    with pytest.raises(OSError, match=r"from_pretrained expects a folder, or .*no/such/folder"):
        HubModel.from_pretrained("no/such/folder")


def test_a_folder_that_is_none_of_ours_is_said_to_lack_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a folder with model\.json"):
        HubModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{", '{"network": 1, "other": 2}'])
def test_a_config_of_another_hand_does_no_harm(network, tmp_path, text):
    HubModel(network).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(text)
    if "network" in text:
        assert isinstance(HubModel.from_pretrained(tmp_path).network, type(network))
        return
    with pytest.raises(ValueError, match=r"config\.json with an object"):
        HubModel.from_pretrained(tmp_path)


def test_what_cannot_be_saved_changes_nothing(tmp_path, network):
    HubModel(network).save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    foveate.insert_(network, lambda channels: torch.nn.Identity(), ["layer1.0.bn1"])
    with pytest.raises(ValueError, match="save expects"):
        HubModel(network).save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    with pytest.raises(TypeError, match="HubModel expects a network; got str"):
        HubModel("resnet18")


def test_the_card_says_what_the_network_is(network):
    card = model_card(network, license="apache-2.0")
    data = hub.ModelCard(card).data
    assert data.library_name == "foveate" and data.license == "apache-2.0"
    assert data.pipeline_tag == "image-classification"
    assert data.tags == ["foveate", "image-classification", "das"]
    params = sum(weight.numel() for weight in network.parameters())
    gates = sum(w.numel() for name, w in network.named_parameters() if "foveate" in name)
    assert f"| parameters | {params:,}, {gates:,} of them in attentions |" in card
    assert f"{foveate.accounting.count(network, (3, 176, 176)).macs / 1e9:.3f} G an image" in card
    assert "| sites | layer1, layer2, layer3, layer4 |" in card and "| classes | 3 |" in card
    assert "title = {DAS: A Deformable Attention" in card and "2311.12091" in card
    assert all(text in card for text in foveate.attention_spec("das").departs)
    other = model_card(foveate.create_model("resnet10t", "triplet", start="identity"))
    assert "https://arxiv.org/abs/2010.03045" in other and "closed (identity)" in other
    assert "has not stated a license" in other and hub.ModelCard(other).data.license is None
    plain = model_card(foveate.create_model("resnet10t"))
    assert "without attention" in plain and "What was inserted" not in plain


def test_the_card_of_a_run_has_its_results_and_no_folder_of_its_maker(tmp_path, network):
    run = make_run(tmp_path / "run", "das", seed=3)
    card = model_card(foveate.load(run), run=run, repo_id="me/net")
    (accuracy, top5) = hub.ModelCard(card).data.eval_results
    assert (accuracy.dataset_name, accuracy.metric_value, top5.metric_value) == ("scenes", 12.5, 60)
    assert "| top-1 | 12.50 % |" in card and "| seed | 3, a single run: no interval |" in card
    assert "| image | 3 x 32 x 32 |" in card and str(tmp_path) not in card
    with pytest.raises(ValueError, match="a run of 3 classes, as the network has; got"):
        model_card(network, run=run)
    (run / "result.json").unlink()
    with pytest.raises(ValueError, match="a finished run"):
        model_card(foveate.load(run), run=run)
    with pytest.raises(FileNotFoundError, match=r"config\.toml"):
        model_card(network, run=tmp_path)
