"""A survey of small networks: what is written is what the parts say, image by image."""

import csv
import json
import math
from dataclasses import replace

import pytest
import torch

import foveate
from foveate.data import ImageDataset, Unreadable, open_dataset
from foveate.explain import Subject, grad_cam
from foveate.explain.regions import Region, TruthRegions
from foveate.explain.scores import ScoreSettings, score_maps, sfd
from foveate.explain.survey import Grid, SurveySettings, default_layers, survey
from foveate.explain.survey.ledger import CONSTANT, UNKNOWN
from foveate.explain.survey.stream import FIXED
from foveate.training import DataSection

pytest.importorskip("captum")
SIZE = 32
LAYERS = ("stage4", "stage4:before", "stage3")


def subject(label, attention="none", seed=None, size=SIZE):
    torch.manual_seed(len(label))
    net = foveate.create_model("resnet10t", attention, num_classes=8, stem="small", width=0.25)
    with torch.no_grad():
        net.fc.weight.abs_()  # Every channel speaks for the class, so no map is empty.
    data = DataSection(source="scenes", size=size)
    return Subject(label, net.eval(), data, open_dataset("scenes", "val").classes, seed)


class Some(ImageDataset):
    """Scenes of which one cannot be read."""

    def __init__(self, count=5, broken=2):
        self.base = open_dataset("scenes", "val", size=SIZE, limit=count)
        self.classes, self.broken = self.base.classes, broken

    @property
    def labels(self):
        return self.base.labels

    def __len__(self):
        return len(self.base)

    def __getitem__(self, index):
        if index == self.broken:
            return Unreadable(index, f"scenes/val/{index:06d}", "empty file (0 bytes)")
        return self.base[index]

    def annotation(self, index):
        return self.base.annotation(index)


def settings(**changes):
    return SurveySettings(**{"layers": LAYERS, "batch_size": 2, **changes})


def table(folder):
    with (folder / "scores.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_every_number_is_that_of_its_part(tmp_path):
    gated, plain, images = subject("das", "das"), subject("none"), Some()
    ledger = survey([gated, plain], images, TruthRegions(), tmp_path, settings())
    assert ledger.done == {0, 1, 3, 4}
    assert ledger.left_out == [{"image": "scenes/val/000002", "reason": "empty file (0 bytes)"}]
    rows = {(r["index"], r["network"], r["layer"]): r for r in table(tmp_path)}
    assert len(rows) == 4 * 2 * 3
    item = images[3]
    mask = images.annotation(3).mask[None]
    ready = gated.ready(item.image[None])
    for layer in LAYERS:
        cam = grad_cam(gated.model, ready, layer)
        want = score_maps(cam.maps, cam.raw, mask, ScoreSettings())
        row = rows["3", "das", layer]
        for name, value in want.items():
            got = float(row[name]) if row[name] else math.nan
            assert got == pytest.approx(float(value), rel=1e-5, abs=1e-6, nan_ok=True), name
        assert row["sfd base=10 shift=0 threshold=0.5"] == row["sfd"]
        assert int(row["said"]) == int(gated.model(ready).argmax())
        assert int(row["truth"]) == item.label


def test_without_a_gate_both_sides_are_the_end_of_the_stage(tmp_path):
    survey([subject("none")], Some(2), TruthRegions(), tmp_path, settings())
    by_layer = {
        layer: [r["sfd"] for r in table(tmp_path) if r["layer"] == layer] for layer in LAYERS
    }
    assert by_layer["stage4"] == by_layer["stage4:before"] != by_layer["stage3"]


def test_the_same_b_is_what_any_network_calls_salient(tmp_path):
    pair, images = [subject("das", "das"), subject("none")], Some(2)
    survey(pair, images, TruthRegions(), tmp_path, settings(layers=("stage4",)))
    ready = pair[0].ready(images[1].image[None])
    cams = [grad_cam(one.model, ready, "stage4").maps for one in pair]
    salient = (cams[0] >= 0.5) | (cams[1] >= 0.5)
    for one, cam in zip(pair, cams, strict=True):
        want = sfd(cam, images.annotation(1).mask[None], salient=salient)
        (row,) = (r for r in table(tmp_path) if r["index"] == "1" and r["network"] == one.label)
        assert float(row[FIXED]) == pytest.approx(float(want.score), rel=1e-5)
        assert float(row[f"{FIXED}:chance"]) == pytest.approx(float(want.chance), rel=1e-5)


def test_it_goes_on_where_it_stopped(tmp_path):
    images, pair = Some(6), [subject("das", "das"), subject("none")]

    def stop(done, _total):
        if done >= 4:
            raise KeyboardInterrupt

    survey(pair, images, TruthRegions(), tmp_path / "whole", settings())
    with pytest.raises(KeyboardInterrupt):
        survey(pair, images, TruthRegions(), tmp_path / "parts", settings(), progress=stop)
    first = len(table(tmp_path / "parts"))
    assert 0 < first < len(table(tmp_path / "whole"))
    seen = []
    survey(
        pair, images, TruthRegions(), tmp_path / "parts", settings(batch_size=1),
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen[-1] == (6, 6) and len(seen) < 5
    whole, parts = table(tmp_path / "whole"), table(tmp_path / "parts")
    assert [row["index"] for row in whole] == [row["index"] for row in parts]
    for one, other in zip(whole, parts, strict=True):
        for key in ("network", "layer", "said", "flag"):
            assert one[key] == other[key]
        assert float(one["sfd"]) == pytest.approx(float(other["sfd"]), rel=1e-4)


def test_an_interruption_leaves_no_trace(tmp_path, monkeypatch):
    images, pair = Some(7, broken=1), [subject("das", "das"), subject("none")]
    sizes = []

    def look(model, batch, *words):
        sizes.append(len(batch))
        return grad_cam(model, batch, *words)

    monkeypatch.setattr("foveate.explain.survey.stream.grad_cam", look)

    def run(name):
        sizes.clear()
        asked = settings(batch_size=3, layers=("stage4",))
        survey(pair, images, TruthRegions(), tmp_path / name, asked)
        return (tmp_path / name / "scores.csv").read_bytes()

    whole = run("whole")
    assert sizes == [2, 2, 3, 3, 1, 1]
    lines = whole.splitlines(keepends=True)
    # Rows are left of no image, of a part of the first batch, of all of it, of a part of the next.
    for kept, again in ((0, 6), (3, 6), (5, 4), (8, 4)):
        place = tmp_path / f"cut{kept}"
        place.mkdir()
        for name in ("survey.json", "left-out.csv"):
            (place / name).write_bytes((tmp_path / "whole" / name).read_bytes())
        (place / "scores.csv").write_bytes(b"".join(lines[:kept]) + lines[kept][:-4])
        assert run(place.name) == whole, kept
        assert sizes == [2, 2, 3, 3, 1, 1][-again:], "batches are those of one go"
    assert run("whole") == whole
    assert not sizes, "all is done"


def test_names_of_files_break_no_line(tmp_path):
    class Odd(Some):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), name=f"a\n{index}\r,\udcff.png")

    survey([subject("none")], Odd(2, broken=1), TruthRegions(), tmp_path, settings())
    assert {row["image"] for row in table(tmp_path)} == {"a\\n0\\r,\\udcff.png"}
    left = (tmp_path / "left-out.csv").read_text().splitlines()
    assert left[1:] == ['1,"a\\n1\\r,\\udcff.png",empty file (0 bytes)']


def test_a_network_or_images_that_changed_are_refused(tmp_path):
    one = subject("none")
    survey([one], Some(2), TruthRegions(), tmp_path, settings())
    with torch.no_grad():
        one.model.fc.bias[0] += 1
    with pytest.raises(ValueError, match="weights of none changed"):
        survey([one], Some(2), TruthRegions(), tmp_path, settings())


def test_images_without_region_and_constant_maps_are_noted_not_scored(tmp_path):
    class Sometimes:
        def describe(self):
            return {"source": "test"}

        def region(self, dataset, index, image, class_name):
            if index == 0:
                return Region(None, "test", "nothing found", {})
            return Region(dataset.annotation(index).mask, "test", "", {})

    one = subject("none")
    torch.nn.init.zeros_(one.model.layer4[0].bn2.weight)
    for parameter in one.model.layer4.parameters():
        torch.nn.init.zeros_(parameter)
    survey([one], Some(2), Sometimes(), tmp_path, settings(layers=("stage4",)))
    first, second = table(tmp_path)
    assert first["flag"] == "nothing found" and first["sfd"] == ""
    assert second["flag"] == CONSTANT and second["sfd"] == "" and second["iou"] == ""


def test_the_class_that_is_explained_can_be_the_label(tmp_path):
    one, images = subject("none"), Some(3)
    survey([one], images, TruthRegions(), tmp_path, settings(explained="label"))
    assert all(row["explained"] == row["truth"] for row in table(tmp_path))
    unknown = Subject("x", one.model, one.data, None)
    with pytest.raises(ValueError, match="images whose labels x knows"):
        survey([unknown], images, TruthRegions(), tmp_path / "y", settings(explained="label"))


def test_an_image_whose_label_is_unknown_is_not_explained_by_another_class(tmp_path):
    images = Some(4, broken=None)
    one, names = subject("none"), images.classes
    first = names[images.labels[0]]
    some = Subject(
        "some", one.model, one.data, tuple(f"not {n}" if n == first else n for n in names)
    )
    survey([some], images, TruthRegions(), tmp_path, settings(explained="label", deletion=2))
    for row in table(tmp_path):
        unknown = names[images.labels[int(row["index"])]] == first
        assert row["flag"] == (UNKNOWN if unknown else "")
        assert unknown == (row["truth"] == "") == (row["explained"] == "")
        scores = list(row)[list(row).index("flag") + 1 :]
        if unknown:
            assert not any(row[name] for name in scores)
    survey([some], images, TruthRegions(), tmp_path / "predicted", settings())
    assert all(row["explained"] and row["sfd"] for row in table(tmp_path / "predicted"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_networks_of_half_precision_are_scored(tmp_path, dtype):
    one = subject("das", "das")
    half = Subject("half", subject("das", "das").model.to(dtype), one.data, one.classes)
    survey([one, half], Some(2), TruthRegions(), tmp_path, settings(layers=("stage4",)))
    rows = {(row["network"], row["index"]): float(row["sfd"]) for row in table(tmp_path)}
    for index in "01":
        assert rows["half", index] == pytest.approx(rows["das", index], abs=0.1)


def test_a_side_of_a_module_without_a_gate_is_the_module(tmp_path):
    asked = ("layer3.0.conv2", "layer3.0.conv2:before", "layer3.0.conv2:after")
    survey([subject("none")], Some(2), TruthRegions(), tmp_path, settings(layers=asked))
    by_layer = {one: [r["sfd"] for r in table(tmp_path) if r["layer"] == one] for one in asked}
    assert by_layer[asked[0]] == by_layer[asked[1]] == by_layer[asked[2]]
    for wrong in ("stage4:beside", "layer9:before", ":before"):
        with pytest.raises(ValueError, match="--layers expects names of maps"):
            survey([subject("none")], Some(2), TruthRegions(), tmp_path / "x",
                   settings(layers=(wrong,)))  # fmt: skip


def test_wrong_layers_are_named_before_anything_is_read(tmp_path):
    with pytest.raises(ValueError, match=r"got 'stage9'; none has stage1, stage2, stage3, stage4"):
        survey([subject("none")], Some(), TruthRegions(), tmp_path, settings(layers=("stage9",)))
    assert not (tmp_path / "scores.csv").exists()


def test_what_decides_a_score_is_written_and_held(tmp_path):
    survey([subject("none")], Some(2), TruthRegions(), tmp_path, settings())
    tree = json.loads((tmp_path / "survey.json").read_text())
    assert tree["scores"]["base"] == 10.0 and tree["networks"] == ["none"]
    survey([subject("none")], Some(2), TruthRegions(), tmp_path, settings(batch_size=7))
    with pytest.raises(ValueError, match="choose another folder"):
        survey([subject("none")], Some(2), TruthRegions(), tmp_path, settings(grid=Grid((2.0,))))


def test_deletion_is_told_for_the_first_layer(tmp_path):
    survey([subject("none")], Some(2), TruthRegions(), tmp_path, settings(deletion=4))
    for row in table(tmp_path):
        assert bool(row["deletion"]) == (row["layer"] == "stage4")
        assert bool(row["insertion:chance"]) == (row["layer"] == "stage4")


def test_networks_of_different_sizes_are_surveyed_together(tmp_path):
    pair = [subject("none"), subject("larger", size=48)]
    survey(pair, Some(2), TruthRegions(), tmp_path, settings())
    assert {row["network"] for row in table(tmp_path)} == {"none", "larger"}
    assert FIXED not in table(tmp_path)[0]


def test_default_layers_are_the_last_stages():
    assert default_layers(subject("none").model) == LAYERS
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    with pytest.raises(ValueError, match="known stages"):
        default_layers(flat, torch.zeros(1, 3, 2, 2))


def test_settings_are_checked():
    for wrong in ({"layers": ()}, {"layers": ("a", "a")}, {"explained": "x"}, {"batch_size": 0}):
        with pytest.raises(ValueError, match="explain expects"):
            settings(**wrong)
