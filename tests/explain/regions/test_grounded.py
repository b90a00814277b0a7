"""A detector and a segmenter, tiny and random, from a folder to a region."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from foveate.data import open_images
from foveate.explain.regions import GroundedSam, open_regions

SCENES = open_images("scenes", size=64, limit=16)


@pytest.fixture
def grounded(models):
    def make(segmenter="sam", **options):
        return GroundedSam(str(models / "dino"), str(models / segmenter), **options)

    return make


@pytest.fixture
def detecting(grounded, monkeypatch):
    """A source whose detector says what the test says; the segmenter is real."""

    def make(boxes, scores, **options):
        source = grounded(**options)
        model, processor = source.detector.load("cpu")

        class Detector(torch.nn.Module):
            def forward(self, **inputs):
                outputs = model(**inputs)
                logits = torch.full_like(outputs.logits, -20)
                logits[0, : len(scores), 1] = torch.tensor(scores).logit()
                centers = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
                outputs.pred_boxes[0, : len(scores)] = centers
                outputs.logits = logits
                return outputs

        source.__dict__["_detect_with"] = (Detector(), processor)
        return source

    return make


def ask(source, image=None, class_name=None):
    image = SCENES[0].image if image is None else image
    return source.region(SCENES, 0, image, class_name)


@pytest.mark.parametrize("segmenter", ["sam", "sam2", "sam2_video", "sam_hq"])
def test_models_in_folders_make_a_region(grounded, segmenter):
    source = grounded(segmenter, box_threshold=0.05)
    image = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8)
    kept = image.clone()
    region = ask(source, image, "big_Cat, dog")
    assert torch.equal(image, kept)
    assert region.detail["prompt"] == "big cat. dog."
    boxes = region.detail["boxes"]
    assert 0 < len(boxes) <= 10 and json.loads(json.dumps(region.detail)) == region.detail
    scores = [box["score"] for box in boxes]
    assert scores == sorted(scores, reverse=True) and scores[0] == region.detail["best_score"]
    assert min(scores) > 0.05
    for box in boxes:
        x1, y1, x2, y2 = box["box"]
        assert 0 <= x1 < x2 <= 70 and 0 <= y1 < y2 <= 50
        assert 0 <= box["pixels"] <= 50 * 70 and "[" not in box["phrase"]
    assert region.source == "grounded-sam" and region.reason == ""
    assert region.mask.shape == (50, 70) and region.mask.dtype == torch.bool
    most = max(box["pixels"] for box in boxes)
    assert most <= int(region.mask.sum()) <= sum(box["pixels"] for box in boxes)
    assert torch.equal(ask(source, image, "big_Cat, dog").mask, region.mask)


def test_the_image_is_segmented_where_the_boxes_are(grounded, models):
    """The union is that of the masks which the published classes make, one box at a time."""
    from transformers import SamModel, SamProcessor

    source = grounded(box_threshold=0.05)
    region = ask(source)
    model = SamModel.from_pretrained(models / "sam").eval()
    processor = SamProcessor.from_pretrained(models / "sam")
    union = torch.zeros(64, 64, dtype=torch.bool)
    for box in region.detail["boxes"]:
        pixels = SCENES[0].image.permute(1, 2, 0).numpy()
        inputs = processor(images=pixels, input_boxes=[[box["box"]]], return_tensors="pt")
        inputs["input_boxes"] = inputs["input_boxes"].float()
        with torch.no_grad():
            outputs = model(**inputs, multimask_output=False)
        sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
        union |= processor.post_process_masks(outputs.pred_masks, *sizes)[0][0, 0]
    assert torch.equal(region.mask, union)


def test_boxes_in_parts_give_the_same(grounded, monkeypatch):
    whole = ask(grounded("sam2", box_threshold=0.05))
    assert len(whole.detail["boxes"]) > 3
    monkeypatch.setattr("foveate.explain.regions.grounded._PIXELS", 64 * 64 * 2)
    parts = ask(grounded("sam2", box_threshold=0.05))
    assert torch.equal(parts.mask, whole.mask) and parts.detail == whole.detail


def test_best_is_the_mask_of_the_best_box(detecting):
    boxes, scores = [[0.3, 0.3, 0.4, 0.4], [0.7, 0.7, 0.2, 0.2]], [0.5, 0.9]
    best = ask(detecting(boxes, scores, region="best"))
    union = ask(detecting(boxes, scores))
    assert [box["score"] for box in best.detail["boxes"]] == [0.9]
    assert best.detail["boxes"][0]["box"] == pytest.approx([38.4, 38.4, 51.2, 51.2])
    assert [box["score"] for box in union.detail["boxes"]] == [0.9, 0.5]
    assert int(best.mask.sum()) == union.detail["boxes"][0]["pixels"]
    assert (union.mask | best.mask).equal(union.mask)


def test_the_threshold_decides(detecting):
    boxes, scores = [[0.3, 0.3, 0.4, 0.4], [0.7, 0.7, 0.2, 0.2]], [0.5, 0.9]
    assert len(ask(detecting(boxes, scores, box_threshold=0.6)).detail["boxes"]) == 1
    none = ask(detecting(boxes, scores, box_threshold=0.95))
    assert none.mask is None and none.reason == "the detector found no box"
    assert none.detail["best_score"] == pytest.approx(0.9) and none.detail["boxes"] == []


def test_boxes_without_area_or_outside_are_dropped(detecting):
    nan = float("nan")
    boxes = [
        [0.5, 0.5, 0.0, 0.5],
        [1.5, 0.5, 0.2, 0.2],
        [nan, 0.5, 0.2, 0.2],
        [0.0, 0.0, 0.5, 0.5],
    ]
    region = ask(detecting(boxes, [0.9, 0.8, 0.7, 0.6]))
    assert [box["box"] for box in region.detail["boxes"]] == [[0.0, 0.0, 16.0, 16.0]]
    nothing = ask(detecting(boxes[:3], [0.9, 0.8, 0.7]))
    assert nothing.mask is None and nothing.reason == "the detector found no box"


def test_masks_without_a_pixel_are_a_reason(grounded, monkeypatch):
    source = grounded(box_threshold=0.05)
    model, processor = source.segmenter.load("cpu")

    def nothing(**inputs):
        outputs = model(**inputs)
        outputs.pred_masks.fill_(-5)
        return outputs

    source.__dict__["_segment_with"] = (nothing, processor)
    region = ask(source)
    assert region.mask is None and "no pixel" in region.reason and region.detail["boxes"]


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (700, 1100)])
def test_odd_sizes_are_taken(grounded, shape):
    region = ask(grounded(box_threshold=0.05), torch.full((3, *shape), 90, dtype=torch.uint8))
    assert region.mask is None or region.mask.shape == shape


def test_what_cannot_be_asked_is_a_reason(grounded, tmp_path):
    strip = torch.zeros(3, 1, 900, dtype=torch.uint8)
    assert "too narrow" in ask(grounded(), strip).reason
    from PIL import Image

    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    loose = open_images(tmp_path)
    region = grounded().region(loose, 0, loose[0].image, None)
    assert region.mask is None and region.reason == "the image has no class to put into '{class}'"
    plain = grounded(prompt="cat", box_threshold=0.05).region(loose, 0, loose[0].image, None)
    assert plain.detail["prompt"] == "cat."


def test_models_are_told_apart_by_their_files(grounded, models, tmp_path):
    told = grounded(prompt="a {class}", box_threshold=0.5).describe()
    assert json.loads(json.dumps(told)) == told
    assert (told["prompt"], told["box_threshold"], told["region"]) == ("a {class}", 0.5, "union")
    assert (told["detector"]["name"], told["detector"]["type"]) == ("dino", "grounding-dino")
    weights = models / "sam" / "model.safetensors"
    digest = subprocess.run(["sha256sum", weights], capture_output=True, text=True, check=True)
    assert told["segmenter"]["sha256"]["model.safetensors"] == digest.stdout.split()[0]
    other = tmp_path / "sam"
    shutil.copytree(models / "sam", other)
    assert (
        GroundedSam(str(models / "dino"), str(other)).describe()["segmenter"] == (told["segmenter"])
    )
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    (other / "model.safetensors").write_bytes(content)
    assert (
        GroundedSam(str(models / "dino"), str(other)).describe()["segmenter"] != (told["segmenter"])
    )


def test_models_of_the_hub_are_found_where_it_keeps_them(models, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("dino", "sam"):
        home, commit = tmp_path / f"models--tiny--{name}", "0" * 40
        shutil.copytree(models / name, home / "snapshots" / commit)
        (home / "refs").mkdir()
        (home / "refs" / "main").write_text(commit)
    source = GroundedSam("tiny/dino", "tiny/sam", box_threshold=0.05)
    local = GroundedSam(str(models / "dino"), str(models / "sam"), box_threshold=0.05)
    told, wanted = source.describe()["detector"], local.describe()["detector"]
    assert told["name"] == "tiny/dino" and told["sha256"] == wanted["sha256"]
    assert torch.equal(ask(source).mask, ask(local).mask)


def test_the_screen_stays_clear_and_settings_as_they_were(grounded, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    ask(grounded("sam2_video", box_threshold=0.05))
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_absent_weights_say_what_to_do(models):
    source = open_regions("grounded-sam", segmenter=str(models / "sam"))
    text = (
        r"weights of its detector 'IDEA-Research/grounding-dino-tiny' here or on the hub; got"
        r" neither \(HF_HUB_OFFLINE is set.*--detector FOLDER --segmenter FOLDER"
    )
    with pytest.raises(ValueError, match=text):
        ask(source)
    with pytest.raises(ValueError, match=text):
        source.describe()


def test_absent_weights_fail_at_once_in_a_process_that_is_offline():
    code = (
        "from foveate.explain.regions import open_regions\n"
        "try: open_regions('grounded-sam', detector='./nowhere/at/all').describe()\n"
        "except ValueError as error: print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment
    )
    assert "detector './nowhere/at/all'" in shown.stdout and shown.stderr == ""


def test_a_folder_of_another_kind_is_refused(models, tmp_path):
    swapped = GroundedSam(str(models / "sam"), str(models / "dino"))
    with pytest.raises(ValueError, match=r"detector of type grounding-dino.*got 'sam'; give"):
        ask(swapped)
    with pytest.raises(ValueError, match=r"segmenter of type sam,.*got no config.json"):
        GroundedSam(str(models / "dino"), str(tmp_path)).describe()
    (tmp_path / "config.json").write_text("[3")
    with pytest.raises(ValueError, match=r"got config.json: "):
        GroundedSam(str(models / "dino"), str(tmp_path)).describe()
    (tmp_path / "config.json").write_text("[3]")
    with pytest.raises(ValueError, match=r"got config.json: "):
        GroundedSam(str(models / "dino"), str(tmp_path)).describe()


def test_damaged_models_are_refused(models, tmp_path):
    import safetensors.torch

    broken = tmp_path / "sam"
    shutil.copytree(models / "sam", broken)
    source = GroundedSam(str(models / "dino"), str(broken), box_threshold=0.05)
    file = broken / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    lost = next(name for name in weights if name.startswith("mask_decoder"))
    del weights[lost]
    safetensors.torch.save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"all weights of the segmenter.*got 1 missing, mask_dec"):
        ask(source)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"a segmenter and its processor that can be read"):
        ask(source)
    (broken / "processor_config.json").unlink()
    with pytest.raises(ValueError, match=r"a segmenter and its processor that can be read"):
        ask(source)


def test_wrong_settings_are_refused():
    for options, text in [
        ({"prompt": " "}, "a prompt such as"),
        ({"box_threshold": 0}, r"box_threshold in \(0, 1\]"),
        ({"text_threshold": 1.5}, r"text_threshold in \(0, 1\]"),
        ({"region": "all"}, "a known region; got 'all'"),
    ]:
        with pytest.raises(ValueError, match=f"GroundedSam expects {text}"):
            GroundedSam(**options)
    with pytest.raises(TypeError, match="a number box_threshold"):
        GroundedSam(box_threshold="0.3")
