"""One word for images with boxes: scenes, COCO files, folders in COCO's layout."""

import pickle
import shutil

import pytest
import torch

from foveate.data.scenes import SceneOptions, Scenes
from foveate.data.scenes.writer import write_scenes
from foveate.detection.data import DetectionSample, open_detection

SHAPE = {"height": 12, "width": 20}


def test_scenes_have_the_exact_box_of_their_object():
    scenes = open_detection("scenes", "train", size=32, seed=3, limit=5, classes=4)
    source = Scenes("train", size=32, seed=3, count=5, options=SceneOptions(classes=4))
    assert len(scenes) == 5 and scenes.classes == source.classes
    for place, sample in enumerate(scenes):
        assert torch.equal(sample.image, source[place].image)
        assert torch.equal(sample.boxes, source.annotation(place).boxes)
        assert sample.labels.tolist() == [source.labels[place]] and not sample.crowd.any()
        assert sample.areas.tolist() == [float(source.annotation(place).masks.sum())]
        assert scenes.size_of(place) == (32, 32) and sample.image_id == place + 1
        assert sample.name == scenes.name_of(place) == source.name_of(place)
        if place == 4:
            break
    assert not scenes.problems


def test_written_scenes_are_the_generated_ones(tmp_path):
    write_scenes(tmp_path / "out", count=3, val=2, size=32, seed=1)
    for split, count in (("train", 3), ("val", 2)):
        made = open_detection("scenes", split, size=32, seed=1, count=count)
        read = open_detection(str(tmp_path / "out"), split)
        assert len(read) == count and read.classes == made.classes
        assert read.category_ids == made.category_ids and not read.problems
        for a, b in zip(
            (read[i] for i in range(count)), (made[i] for i in range(count)), strict=True
        ):
            assert isinstance(a, DetectionSample) and torch.equal(a.image, b.image)
            for name in ("boxes", "labels", "areas", "crowd"):
                assert torch.equal(getattr(a, name), getattr(b, name))
        assert read.truth()["annotations"] == made.truth()["annotations"]


@pytest.mark.parametrize("source", ["coco:{root}/annotations/{{split}}.json:{root}", "{root}"])
def test_a_folder_and_its_file_are_the_same(write_coco, annotation, tmp_path, source):
    write_coco([annotation(1, [2, 2, 4, 4])])
    write_coco([], split="train")
    source = source.format(root=tmp_path)
    assert len(open_detection(source, "val")[0].boxes) == 1
    assert len(open_detection(source, "train")[0].boxes) == 0


def test_images_are_found_where_coco_puts_them(write_coco, annotation, tmp_path):
    file = write_coco([annotation(1, [2, 2, 4, 4])])
    official = tmp_path / "annotations" / "instances_val2017.json"
    shutil.move(file, official)
    (tmp_path / "val2017").mkdir()
    shutil.move(tmp_path / "a.png", tmp_path / "val2017" / "a.png")
    for source in (str(tmp_path), f"coco:{official}", f"coco:{official}:{tmp_path}/val2017"):
        dataset = open_detection(source, "val")
        assert isinstance(dataset[0], DetectionSample) and dataset.name_of(0) == "a.png"


def test_a_limit_is_a_seeded_choice(write_coco, annotation, tmp_path):
    images = [{"id": n, "file_name": f"{n}.png"} | SHAPE for n in range(1, 9)]
    boxes = [annotation(n, [n, 1, 2, 2], image_id=n) for n in range(1, 9)]
    write_coco(boxes, images)
    few = open_detection(str(tmp_path), "val", limit=3)
    numbers = [few.image_id_of(place) for place in range(3)]
    assert len(few) == 3 and numbers == sorted(numbers)
    assert [few[place].boxes[0, 0].item() for place in range(3)] == numbers
    assert len(few.truth()["annotations"]) == 3
    again = open_detection(str(tmp_path), "val", limit=3)
    assert [again.image_id_of(place) for place in range(3)] == numbers
    others = {
        tuple(open_detection(str(tmp_path), "val", limit=3, seed=s).table.images) for s in range(5)
    }
    assert len(others) > 1 and len(open_detection(str(tmp_path), "val", limit=99)) == 8


@pytest.mark.parametrize(
    ("source", "options", "error", "said"),
    [
        (3, {}, TypeError, "a string source; got int"),
        ("nowhere", {}, FileNotFoundError, "scenes, coco:ANNOTATIONS.json"),
        ("coco:nowhere.json", {}, FileNotFoundError, "a COCO file; got 'nowhere.json'"),
        ("scenes", {"limit": 0}, ValueError, "limit"),
        ("scenes", {"split": "test"}, ValueError, "split"),
        ("scenes", {"colour": 1}, ValueError, "known option"),
        ("coco:a.json", {"colour": 1}, ValueError, "no option but check_images; got colour"),
    ],
)
def test_what_cannot_be_opened_is_said(source, options, error, said):
    with pytest.raises(error, match=said):
        open_detection(source, **{"split": "val"} | options)


def test_a_folder_without_annotations_or_images_is_said(write_coco, annotation, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no annotations/val\.json"):
        open_detection(str(tmp_path), "val")
    write_coco([annotation(1, [2, 2, 4, 4])], files=[])
    with pytest.raises(FileNotFoundError, match="name their folder, coco:"):
        open_detection(str(tmp_path), "val")


def test_worker_processes_can_have_a_data_set(write_coco, annotation, tmp_path):
    write_coco([annotation(1, [2, 2, 0, 4]), annotation(2, [2, 2, 4, 4])])
    for source, options in ((str(tmp_path), {}), ("scenes", {"size": 32, "limit": 2})):
        dataset = open_detection(source, "val", **options)
        copy = pickle.loads(pickle.dumps(dataset))
        assert copy.truth() == dataset.truth() and torch.equal(copy[0].image, dataset[0].image)
        assert copy.problems.as_dict() == dataset.problems.as_dict()
