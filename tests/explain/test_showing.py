"""Names of any kind on their way into pictures and pages."""

import json
import re
from types import SimpleNamespace

import pytest
import torch

import foveate
from foveate.data import ImageDataset, Sample
from foveate.explain import Subject
from foveate.explain.regions import Region
from foveate.explain.showing import draw_pictures, draw_viewer
from foveate.training import DataSection

pytest.importorskip("PIL.Image")
pytest.importorskip("captum")
pytest.importorskip("matplotlib")

EVIL = "</script><img src=x onerror=alert(1)> \" ' & $\\frac{$ @@DATA@@ {{x}} Ü 猫"
"""What a class, a folder and a file may be called, and no page or plot may run or break on."""
STRAY = EVIL + "\n\u2028\x00\udcff.png"


class Photo(ImageDataset):
    """One image of one class."""

    classes = (EVIL, "dog")
    labels = (0,)

    def __len__(self):
        return 1

    def name_of(self, index):
        return STRAY

    def __getitem__(self, index):
        return Sample(torch.full((3, 32, 32), 99, dtype=torch.uint8), 0, index, STRAY)


@pytest.fixture(scope="module")
def subject():
    torch.manual_seed(0)
    net = foveate.create_model("resnet10t", "das", num_classes=2, stem="small", width=0.25)
    return Subject(EVIL, net.eval(), DataSection(size=32), (EVIL, EVIL + "2"))


@pytest.fixture(scope="module")
def regions():
    whole = torch.ones(32, 32, dtype=torch.bool)
    return SimpleNamespace(region=lambda *_: Region(whole, "test", "", {}))


def quietly(*_):
    """Tell nobody."""


def test_a_page_holds_names_as_text(subject, regions, tmp_path, monkeypatch):
    monkeypatch.setattr("foveate.explain.showing.GRID", 1)
    path = draw_viewer([subject], Photo(), regions, tmp_path / "v.html", 1, {}, quietly)
    text = path.read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 2
    assert "<img src=x" not in text
    image = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])["images"][0]
    assert image["name"].startswith(EVIL) and image["name"].isprintable()
    assert image["caption"] == f"class {EVIL}"
    assert image["networks"][0]["label"] == EVIL
    assert image["networks"][0]["says"].startswith(EVIL)


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_a_picture_is_drawn_of_names_that_look_like_formulas(subject, regions, tmp_path):
    (one,) = draw_pictures([subject], Photo(), regions, tmp_path, 1, quietly)
    assert (tmp_path / one["file"]).stat().st_size > 1000
    assert one["name"].isprintable() and one["name"].encode() and one["class"] == EVIL
