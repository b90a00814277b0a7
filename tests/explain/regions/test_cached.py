"""Regions on disk: never out of date, never half written."""

import json
import multiprocessing
import shutil

import pytest
import torch
from PIL import Image

from foveate.data import open_images
from foveate.explain.regions import Cached, Overridden, Region, open_regions
from foveate.explain.regions.cached import read_entry

SCENES = open_images("scenes", size=32, limit=16)


class Counting:
    """A source that marks a pixel for each time it was asked, and remembers what for."""

    def __init__(self, **settings):
        self.settings, self.asked = {"kind": "counting", **settings}, []

    def describe(self):
        return self.settings

    def region(self, dataset, index, image, class_name):
        self.asked.append((index, class_name))
        if self.settings.get("blind"):
            return Region(None, "counting", "nothing there", {"best_score": 0.1})
        mask = torch.zeros(image.shape[1:], dtype=torch.bool)
        mask.view(-1)[: len(self.asked)] = True
        return Region(mask, "counting", "", {"boxes": [{"box": [0.0, 1.5], "score": 0.25}]})


def ask(source, index=0, data=SCENES, name=None, image=None):
    return source.region(data, index, data[index].image if image is None else image, name)


def same(one, other):
    masks = (one.mask is None and other.mask is None) or torch.equal(one.mask, other.mask)
    return masks and (one.source, one.reason, one.detail) == (
        other.source,
        other.reason,
        other.detail,
    )


@pytest.mark.parametrize("blind", [False, True])
def test_a_region_is_made_once(tmp_path, blind):
    first, second = Counting(blind=blind), Counting(blind=blind)
    made = ask(Cached(first, tmp_path))
    cached = Cached(second, tmp_path)
    assert same(ask(cached), made) and second.asked == []
    assert (cached.read, cached.made) == (1, 0)
    assert cached.describe() == second.describe()


def test_what_it_stands_on_is_written_beside_it(tmp_path):
    ask(Cached(Counting(prompt="a {class}"), tmp_path), 3)
    (file,) = tmp_path.glob("*.json")
    content = json.loads(file.read_text())
    assert content["settings"] == {"kind": "counting", "prompt": "a {class}"}
    assert content["image"]["name"] == "scenes/val/000003"
    assert content["class"] == SCENES.classes[SCENES.labels[3]]
    assert content["region"]["detail"]["boxes"] == [{"box": [0.0, 1.5], "score": 0.25}]
    assert content["versions"]["torch"] and content["made"].endswith("Z")
    assert file.name.startswith("000003-")
    with Image.open(*tmp_path.glob("*.png")) as mask:
        assert (mask.size, mask.getpixel((0, 0)), mask.getpixel((1, 0))) == ((32, 32), 255, 0)
    assert not list(tmp_path.glob(".*")), "temporary files are gone"


def test_another_image_class_or_setting_is_another_entry(tmp_path):
    source = Counting()
    cached = Cached(source, tmp_path)
    ask(cached)
    changed = SCENES[0].image.clone()
    changed[2, 31, 31] ^= 1
    ask(cached, image=changed)
    ask(cached, image=SCENES[0].image.transpose(1, 2))
    ask(cached, name="cat")
    ask(Cached(Counting(box_threshold=0.3), tmp_path))
    assert len(source.asked) == 4 and len(list(tmp_path.glob("*.json"))) == 5
    ask(cached), ask(cached, name=SCENES.classes[SCENES.labels[0]])
    assert len(source.asked) == 4


@pytest.mark.parametrize("damage", ["no mask", "short mask", "other mask", "json", "key", "list"])
def test_a_damaged_entry_is_made_anew(tmp_path, damage):
    made = ask(Cached(Counting(), tmp_path))
    (file,) = tmp_path.glob("*.json")
    (mask,) = tmp_path.glob("*.png")
    if damage == "no mask":
        mask.unlink()
    elif damage == "short mask":
        mask.write_bytes(mask.read_bytes()[:20])
    elif damage == "other mask":
        Image.new("1", (32, 32), 1).save(mask)
    elif damage == "json":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "key":
        file.write_text(file.read_text().replace('"key": "', '"key": "0'))
    else:
        file.write_text("[1, 2]")
    source = Counting()
    assert same(ask(Cached(source, tmp_path)), made) and len(source.asked) == 1
    assert same(ask(Cached(source, tmp_path)), made) and len(source.asked) == 1


def test_names_of_every_kind_have_files(tmp_path):
    folder = tmp_path / "photos"
    names = ["a/x.png", "b/x.png", "b/x.jpg", "b/ü ñ 猫.png", "b/x: y?.png", f"b/{'l' * 200}.png"]
    for number, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 7), (number, 30, 60)).save(file)
    photos = open_images(f"loose:{folder}")
    source = Counting()
    cached = Cached(source, tmp_path / "cache")
    for index in range(len(photos)):
        ask(cached, index, photos)
    assert len(source.asked) == len(names) == len(list((tmp_path / "cache").glob("*.json")))
    for index in range(len(photos)):
        assert ask(cached, index, photos).mask is not None
    assert len(source.asked) == len(names)


def test_equal_images_share_an_entry(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (9, 7), (1, 30, 60)).save(tmp_path / name)
    photos, source = open_images(tmp_path), Counting()
    cached = Cached(source, tmp_path / "cache")
    ask(cached, 0, photos), ask(cached, 0, photos), ask(cached, 1, photos)
    assert cached.read == 1, "an image of another name may have an entry of its own"


def fill(folder, start):
    data = open_images("scenes", size=32, limit=16)
    cached = Cached(Counting(), folder)
    start.wait()
    for index in range(16):
        ask(cached, index, data)  # masks differ between the processes, as on some accelerators


def test_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    start = context.Barrier(3)
    workers = [context.Process(target=fill, args=(tmp_path, start)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    entries = [read_entry(path) for path in tmp_path.glob("*.json")]
    assert len(entries) == 16 and all(entry is not None for entry in entries)
    assert not list(tmp_path.glob(".*"))


def test_a_file_for_a_folder_is_refused(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(ValueError, match="Cached expects a folder for regions"):
        Cached(Counting(), tmp_path / "cache")


def test_models_that_changed_are_asked_again(models, tmp_path):
    other = tmp_path / "sam"
    shutil.copytree(models / "sam", other)

    def opened():
        return open_regions(
            "grounded-sam",
            detector=str(models / "dino"),
            segmenter=str(other),
            box_threshold=0.05,
            cache=tmp_path / "cache",
        )

    made = ask(opened())
    again = opened()
    assert same(ask(again), made) and (again.read, again.made) == (1, 0)
    assert "_detect_with" not in again.source.__dict__, "no model was loaded"
    with (other / "model.safetensors").open("r+b") as handle:
        handle.seek(-1, 2)
        last = handle.read(1)
        handle.seek(-1, 2)
        handle.write(bytes([last[0] ^ 1]))
    changed = opened()
    ask(changed)
    assert (changed.read, changed.made) == (0, 1)


def draw(folder, name, white, size=(32, 32), mode="L"):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new(mode, size)
    for place in white:
        picture.putpixel(place, 255 if mode == "L" else (255, 255, 255, 255))
    picture.save(file)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_a_mask_drawn_by_hand_wins(tmp_path, mode):
    draw(tmp_path, "scenes/val/000003.png", [(4, 2), (5, 2)], mode=mode)
    source = Counting()
    drawn = Overridden(source, tmp_path)
    region = ask(drawn, 3)
    assert region.source == "override" and region.detail == {"file": "scenes/val/000003.png"}
    assert torch.nonzero(region.mask).tolist() == [[2, 4], [2, 5]] and source.asked == []
    ask(drawn, 4)
    assert source.asked == [(4, None)]
    some = open_images("scenes", size=32, count=16, limit=8)
    place = some.indices.index(3) if 3 in some.indices else None
    for index in range(8):
        assert (ask(drawn, index, some).source == "override") == (index == place)


def test_all_black_says_that_there_is_no_object(tmp_path):
    draw(tmp_path, "scenes/val/000003.png", [])
    region = ask(Overridden(Counting(), tmp_path), 3)
    assert region.mask is None and region.reason == "drawn by hand: no object here"


def test_wrong_masks_are_one_clear_error(tmp_path):
    draw(tmp_path, "scenes/val/000003.png", [], size=(30, 32))
    (tmp_path / "scenes/val/000004.png").write_bytes(b"no image")
    drawn = Overridden(Counting(), tmp_path)
    with pytest.raises(ValueError, match=r"000003.png expects a mask .*32x32 pixels; got 30x32; "):
        ask(drawn, 3)
    with pytest.raises(ValueError, match=r"000004.png expects a mask that can be read; got not an"):
        ask(drawn, 4)
    with pytest.raises(ValueError, match="by hand expects a folder that exists"):
        Overridden(Counting(), tmp_path / "none")


def test_names_in_another_form_of_unicode_are_found(tmp_path):
    composed, parted = "\u00fc.png", "u\u0308.png"
    Image.new("RGB", (32, 32)).save(tmp_path / composed)
    masks = tmp_path / "masks"
    draw(masks, f"{parted}.png", [(0, 0)])
    photos = open_images(tmp_path / composed)
    drawn = Overridden(Counting(), masks)
    assert ask(drawn, 0, photos).source == "override" and drawn.unmatched(photos) == []


def test_masks_of_no_image_are_warned_of(tmp_path):
    draw(tmp_path, "scenes/val/000003.png", [(0, 0)])
    draw(tmp_path, "000003.png", [(0, 0)])
    some = open_images("scenes", size=32, count=16, limit=8)
    with pytest.warns(UserWarning, match=r"1 masks drawn by hand belong to no image.*: 000003.png"):
        drawn = open_regions("boxes", dataset=some, overrides=tmp_path)
    told = drawn.describe()
    assert told["kind"] == "boxes" and told["overrides"]["count"] == 2
    draw(tmp_path, "000003.png", [(1, 0)])
    assert Overridden(Counting(), tmp_path).describe()["overrides"] != told["overrides"]
