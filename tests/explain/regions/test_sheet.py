"""The contact sheet: what is on it, what comes first, and that nothing on it runs."""

import base64
import io
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image

from foveate.data import open_images
from foveate.explain.regions import (
    Cached,
    Region,
    TruthRegions,
    open_regions,
    sheet_entry,
    write_contact_sheet,
)
from foveate.explain.regions.pictures import mask_png, outline_png, read_mask, shrink_mask

SCENES = open_images("scenes", size=64, limit=16)


def entry(index, region, name=None):
    return sheet_entry(SCENES, index, SCENES[index].image, name, region, {"kind": "<test>"})


def boxed(score):
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[10:20, 10:40] = True
    box = {"box": [10.0, 10.0, 40.0, 20.0], "score": score, "phrase": "<b>cat", "pixels": 300}
    return Region(mask, "grounded-sam", "", {"prompt": "a cat.", "boxes": [box]})


def test_a_cache_becomes_a_page(models, tmp_path):
    source = open_regions(
        "grounded-sam",
        detector=str(models / "dino"),
        segmenter=str(models / "sam2"),
        box_threshold=0.05,
        cache=tmp_path / "cache",
    )
    for index in range(3):
        source.region(SCENES, index, SCENES[index].image, None)
    page = write_contact_sheet(tmp_path / "cache", tmp_path / "sheet.html").read_text()
    assert page.count("<li>") == 3 and "Regions of 3 images" in page
    assert source.describe()["segmenter"]["sha256"]["model.safetensors"] in page
    assert "by hand: <code>scenes/val/000001.png</code>" in page and "asked for: " in page
    assert page.count("data:image/jpeg;base64,") == 3
    links = re.findall(r'(?:src|href)="(?!data:)', page)
    assert links == [] and "<script" not in page


def test_the_doubtful_come_first_and_all_are_counted(tmp_path):
    none = Region(None, "grounded-sam", "the detector found no box", {"best_score": 0.2})
    entries = [entry(0, boxed(0.9)), entry(1, none), entry(2, boxed(0.4)), entry(3, none)]
    page = write_contact_sheet(iter(entries), tmp_path / "sheet.html").read_text()
    assert re.findall(r"by hand: <code>scenes/val/00000(\d)", page) == ["1", "3", "2", "0"]
    assert "<td>2</td><td>with a region" in page and "<td>2</td><td>the detector found no" in page
    few = write_contact_sheet(iter(entries), tmp_path / "few.html", limit=1).read_text()
    assert few.count("<li>") == 1 and "The 1 most doubtful of 4." in few


def test_words_of_others_are_shown_not_run(tmp_path):
    evil = '<script>alert("x")</script>'
    region = Region(None, "grounded-sam", evil, {"prompt": evil, "best_score": 0.1})
    page = write_contact_sheet([entry(0, region, evil)], tmp_path / "a.html").read_text()
    page += write_contact_sheet([entry(0, boxed(0.4), evil)], tmp_path / "b.html").read_text()
    assert "<script" not in page and "<b>" not in page and "<test>" not in page
    assert "&lt;script&gt;" in page and "&lt;b&gt;cat" in page


def test_the_outline_lies_around_the_mask():
    mask = torch.zeros(60, 120, dtype=torch.bool)
    mask[20:40, 30:90] = True
    with Image.open(io.BytesIO(outline_png(mask))) as picture:
        pixels = np.asarray(picture.convert("RGBA")).astype(int)
    assert pixels.shape == (180, 360, 4)
    assert (pixels[60:120, 90:270, 3] == 0).all(), "nothing covers the object"
    assert (pixels[60:120, 88:90, 0] > 200).all() and (pixels[60:120, 270:272, 0] > 200).all()
    assert (pixels[:50, :, 3] > 90).all() and (pixels[:50, :, 3] < 150).all()


def test_masks_survive_their_file_and_shrinking():
    mask = torch.rand(37, 53) > 0.7
    assert torch.equal(read_mask(mask_png(mask)), mask)
    large = torch.zeros(3000, 2000, dtype=torch.bool)
    large[1500, 700] = True
    small = shrink_mask(large)
    assert small.shape == (360, 240) and torch.nonzero(small).tolist() == [[180, 84]]
    assert not shrink_mask(torch.zeros(900, 900, dtype=torch.bool)).any()


def test_nothing_to_show_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one region; got none in "):
        write_contact_sheet(tmp_path, tmp_path / "sheet.html")
    with pytest.raises(ValueError, match="limit >= 1; got 0"):
        write_contact_sheet([], tmp_path / "sheet.html", limit=0)


def test_an_entry_without_a_picture_is_shown(tmp_path):
    Cached(TruthRegions(), tmp_path / "c").region(SCENES, 0, SCENES[0].image, None)
    next((tmp_path / "c").glob("*.jpg")).unlink()
    page = write_contact_sheet(tmp_path / "c", tmp_path / "sheet.html").read_text()
    assert "no picture was kept" in page


@pytest.mark.slow
def test_a_browser_draws_it(tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium to draw the page")
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[16:48, 16:48] = True
    white = sheet_entry(
        SCENES, 0, torch.full((3, 64, 64), 255, dtype=torch.uint8), "w", Region(mask, "masks")
    )
    page = write_contact_sheet([white], tmp_path / "sheet.html")
    shot = tmp_path / "sheet.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=600,900"]
    subprocess.run(
        [browser, *flags, f"--screenshot={shot}", page.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with Image.open(shot) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    outline = (abs(pixels - np.array([255, 214, 10])).sum(axis=2) < 30).sum()
    dimmed = (abs(pixels - np.array([141, 142, 144])).sum(axis=2) < 30).sum()
    assert outline > 400 and dimmed > 20_000


def test_pictures_are_inside_and_small(tmp_path):
    large = torch.randint(0, 256, (3, 1500, 1000), dtype=torch.uint8)
    mask = torch.zeros(1500, 1000, dtype=torch.bool)
    mask[100:900, 200:800] = True
    one = sheet_entry(SCENES, 0, large, "big", Region(mask, "masks"))
    assert one.region.mask.shape == (360, 240) and one.share == pytest.approx(0.32)
    page = write_contact_sheet([one], tmp_path / "sheet.html").read_text()
    content = re.search(r"data:image/jpeg;base64,([^\"]+)", page).group(1)
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        assert picture.size == (240, 360)
    assert "32.0 % of the image" in page and "1000 x 1500" in page
