"""Small folders of images with annotations, made by the tests."""

import json

import pytest
from PIL import Image

CATEGORIES = ({"id": 7, "name": "dog"}, {"id": 2, "name": "cat"})


@pytest.fixture
def write_coco(tmp_path):
    """Write ``annotations/{split}.json`` and its images, 20 wide and 12 high; returns the file."""

    def write(annotations, images=None, categories=CATEGORIES, split="val", files=None):
        if images is None:
            images = [{"id": 5, "file_name": "a.png", "height": 12, "width": 20}]
        wanted = [image["file_name"] for image in images] if files is None else files
        for number, name in enumerate(wanted):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 12), (number, 90, 200)).save(tmp_path / name)
        content = {"images": images, "annotations": annotations, "categories": list(categories)}
        file = tmp_path / "annotations" / f"{split}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))
        return file

    return write


@pytest.fixture
def annotation():
    """Make an annotation of image 5 and category 2."""

    def make(number, bbox, **more):
        base = {"id": number, "image_id": 5, "category_id": 2, "bbox": bbox, "iscrowd": 0}
        return base | {"area": 8.0} | more

    return make
