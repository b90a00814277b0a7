"""Average precision against pycocotools, against a case done by hand, and at its edges."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch

from foveate.detection.metrics import (
    draw_curves,
    read_detections,
    score_boxes,
    to_detections,
    write_detections,
)

NAMES = ("ap", "ap50", "ap75", "aps", "apm", "apl", "ar1", "ar10", "ar100", "ars", "arm", "arl")


def by_pycocotools(truth, detections):
    """The twelve numbers of the reference implementation, None for -1."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        gold = coco.COCO()
        gold.dataset = json.loads(json.dumps({**truth, "info": {}}))
        gold.createIndex()
        judge = cocoeval.COCOeval(gold, gold.loadRes(json.loads(json.dumps(detections))), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {n: None if v < 0 else v for n, v in zip(NAMES, judge.stats, strict=True)}, judge


def case(seed, *, images=12, classes=3, crowd=True, ties=False):
    """Objects of all sizes, some crowds, images without any; detections near them and elsewhere."""
    rng = np.random.default_rng(seed)
    annotations, detections = [], []
    for image in range(1, images + 1):
        for _ in range(0 if image % 4 == 0 else rng.integers(1, 6)):
            side = float(rng.choice([12, 25, 60, 90, 150, 220]))
            x, y = (float(v) for v in rng.uniform(0, 300, 2))
            wide, high = side * rng.uniform(0.7, 1.3), side * rng.uniform(0.7, 1.3)
            label = int(rng.integers(1, classes + 1))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": [x, y, wide, high],
                    "area": wide * high * 0.8,
                    "iscrowd": int(crowd and rng.random() < 0.15),
                }
            )
            for _ in range(rng.integers(0, 3)):
                shift = rng.normal(0, 0.08 * side, 4)
                box = [x + shift[0], y + shift[1], wide + abs(shift[2]), high + abs(shift[3])]
                detections.append(_detection(rng, image, label, box, ties))
        for _ in range(rng.integers(0, 4)):
            box = [*rng.uniform(0, 300, 2), *rng.uniform(5, 120, 2)]
            detections.append(_detection(rng, image, int(rng.integers(1, classes + 1)), box, ties))
    truth = {
        "images": [{"id": n, "height": 500, "width": 500} for n in range(1, images + 1)],
        "categories": [{"id": n, "name": f"class {n}"} for n in range(1, classes + 1)],
        "annotations": annotations,
    }
    return truth, detections


def _detection(rng, image, label, box, ties):
    score = float(rng.random())
    return {
        "image_id": image,
        "category_id": label,
        "bbox": [float(v) for v in box],
        "score": round(score, 1) if ties else score,
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
def test_all_twelve_numbers_are_those_of_pycocotools(seed, ties):
    truth, detections = case(seed, crowd=seed != 1, ties=ties)
    ours = score_boxes(truth, detections)
    theirs, judge = by_pycocotools(truth, detections)
    for name in NAMES:
        mine = getattr(ours, name)
        assert mine == (
            theirs[name] if theirs[name] is None else pytest.approx(theirs[name], abs=1e-6)
        )
    for place, one in enumerate(ours.per_class):
        line = judge.eval["precision"][:, :, place, 0, 2]
        assert one.ap == pytest.approx(line[line > -1].mean(), abs=1e-6)
        counted = [a for a in truth["annotations"] if a["category_id"] == place + 1]
        assert one.objects == sum(not a["iscrowd"] for a in counted)


def test_objects_of_one_size_leave_the_others_undefined():
    box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}
    truth = {
        "images": [{"id": 1, "height": 50, "width": 50}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{**box, "id": 1, "area": 100, "iscrowd": 0}],
    }
    scores = score_boxes(truth, [{**box, "score": 0.9}])
    assert (scores.ap, scores.aps, scores.apm, scores.apl) == (1.0, 1.0, None, None)
    assert scores.per_class[1].ap is None and scores.per_class[1].objects == 0


def test_a_case_done_by_hand():
    """Two objects; hits of overlap 1 and 0.6, between them a miss.

    At 0.5: precision 1 up to recall 0.5 (51 of 101 points), then 2/3: (51 + 50 * 2/3) / 101. The
    second hit counts at 0.50, 0.55 and 0.60 alone; above, precision is 0 beyond recall 0.5.
    """
    truth = {
        "images": [{"id": 1, "height": 200, "width": 200}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 1, "bbox": b, "area": 100, "iscrowd": 0}
            for n, b in ((1, [0, 0, 10, 10]), (2, [100, 100, 10, 10]))
        ],
    }
    rows = (([0, 0, 10, 10], 0.9), ([50, 50, 10, 10], 0.8), ([100, 100, 10, 6.1], 0.7))
    found = [{"image_id": 1, "category_id": 1, "bbox": b, "score": s} for b, s in rows]
    both, one = (51 + 50 * 2 / 3) / 101, 51 / 101
    scores = score_boxes(truth, found)
    assert scores.ap50 == pytest.approx(both) and scores.ap75 == pytest.approx(one)
    assert scores.ap == pytest.approx((3 * both + 7 * one) / 10)
    assert scores.curves["0.50"][0] == 1 and scores.curves["0.50"][-1] == pytest.approx(2 / 3)
    assert scores.per_class[0].best_score == pytest.approx(0.7)


def test_nothing_found_is_zero_and_nothing_there_is_undefined():
    truth, detections = case(0)
    nothing = score_boxes(truth, [])
    assert nothing.ap == nothing.ar100 == 0 and nothing.per_class[0].ap == 0
    empty = score_boxes({**truth, "annotations": []}, detections)
    assert empty.ap is None and empty.curves == {}
    crowds = [{**one, "iscrowd": 1} for one in truth["annotations"]]
    assert score_boxes({**truth, "annotations": crowds}, detections).ap is None


@pytest.mark.parametrize("areas", [(5.0,), (1024.0,), (9216.0, 50.0), (1e5,)])
def test_where_nothing_is_found_sizes_that_no_object_has_are_undefined(areas):
    """A needless box far away changes none of the numbers, so it tells what none at all gives."""
    truth, _ = case(0)
    changed = [{**one, "area": areas[n % len(areas)]} for n, one in enumerate(truth["annotations"])]
    truth = {**truth, "annotations": [{**one, "iscrowd": 0} for one in changed]}
    miss = {"image_id": 1, "category_id": 1, "bbox": [490, 490, 5, 5], "score": 0.5}
    nothing, theirs = score_boxes(truth, []), by_pycocotools(truth, [miss])[0]
    assert {name: getattr(nothing, name) for name in NAMES} == theirs


def test_annotations_may_count_from_zero_and_leave_out_what_is_usual():
    """COCO's evaluators take the number 0 for no match at all."""
    truth, detections = case(3, crowd=False)
    for one in truth["annotations"]:
        one["area"] = one["bbox"][2] * one["bbox"][3]
    bare = [
        {"id": one["id"] - 1, **{key: one[key] for key in ("image_id", "category_id", "bbox")}}
        for one in truth["annotations"]
    ]
    assert score_boxes({**truth, "annotations": bare}, detections) == score_boxes(truth, detections)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"image_id": 99}, "image_id.*99 in detection 0"),
        ({"category_id": 99}, "category_id.*99 in detection 0"),
        ({"image_id": [1]}, "image_id.*in detection 0"),
        ({"score": None}, "without score"),
        ({"score": "0.5"}, "score.*'0.5' in detection 0"),
        ({"score": float("nan")}, "score.*nan in detection 0"),
        ({"bbox": [0, 0, 1]}, r"four finite numbers.*\[0, 0, 1\] in detection 0"),
        ({"bbox": [0, 0, 1, float("inf")]}, "four finite numbers.*in detection 0"),
        ({"bbox": 7}, "four finite numbers.*7 in detection 0"),
    ],
)
def test_a_detection_that_does_not_belong_is_named(change, text):
    truth, detections = case(0)
    one = {key: value for key, value in {**detections[0], **change}.items() if value is not None}
    with pytest.raises(ValueError, match=text):
        score_boxes(truth, [one, *detections[1:]])


@pytest.mark.parametrize("key", ["image_id", "category_id"])
def test_an_annotation_that_does_not_belong_is_named(key):
    truth, detections = case(0)
    truth["annotations"][2][key] = 99
    with pytest.raises(ValueError, match=f"{key}.*99 in annotation 2"):
        score_boxes(truth, detections)


def test_each_class_has_its_curve():
    truth, detections = case(4)
    scores = score_boxes(truth, detections)
    for one in scores.per_class:
        assert len(one.curve) == 101 and np.mean(one.curve) == pytest.approx(one.ap50, abs=1e-5)
    mean = np.mean([one.curve for one in scores.per_class], axis=0)
    assert scores.curves["0.50"] == pytest.approx(mean.tolist(), abs=1e-5)
    assert score_boxes({**truth, "annotations": []}, []).per_class[0].curve == []


def test_detections_survive_their_file_and_refuse_other_files(tmp_path):
    found = {
        "boxes": torch.tensor([[1.25, 2.0, 11.5, 8.0], [0.0, 0.0, 4.0, 4.0]]),
        "scores": torch.tensor([0.75, 0.5]),
        "labels": torch.tensor([1, 0]),
    }
    detections = to_detections(5, found, (7, 3))
    assert detections[0] == {
        "image_id": 5,
        "category_id": 3,
        "bbox": [1.25, 2.0, 10.25, 6.0],
        "score": 0.75,
    }
    assert read_detections(write_detections(tmp_path / "d.json", detections)) == detections
    for text in ("{}", "[1]", "nonsense", '[{"image_id": 1}]'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ValueError, match=r"bad\.json expects a list of detections"):
            read_detections(tmp_path / "bad.json")
    with pytest.raises(FileNotFoundError, match="read_detections"):
        read_detections(tmp_path / "absent.json")


def test_the_curves_are_drawn_even_where_there_is_nothing(tmp_path):
    truth, detections = case(2)
    truth["categories"][0]["name"] = "$x$ <b>"
    for number, found in enumerate((detections, [])):
        file = draw_curves(score_boxes(truth, found).as_dict(), tmp_path / f"{number}.png")
        assert file.read_bytes().startswith(b"\x89PNG")
    empty = score_boxes({**truth, "annotations": []}, [])
    assert draw_curves(empty.as_dict(), tmp_path / "none.png").stat().st_size > 1000
