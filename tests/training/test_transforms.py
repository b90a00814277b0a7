"""Transforms by their pixels."""

import torch

from foveate.training import DataSection
from foveate.training.transforms import eval_transform, normalize, train_transform


def picture(height, width):
    columns = torch.arange(width, dtype=torch.uint8).expand(height, width)
    return torch.stack([columns, columns + 50, columns + 100])


def test_an_image_that_fits_is_shown_as_it_is():
    image = picture(16, 16)
    assert eval_transform(DataSection(size=16))(image) is image


def test_evaluation_crops_the_center():
    shown = eval_transform(DataSection(size=16))(picture(16, 24))
    assert torch.equal(shown, picture(16, 24)[:, :, 4:20])


def test_evaluation_after_random_crops_shows_the_central_seven_eighths():
    shown = eval_transform(DataSection(size=28, augment="imagenet"))(picture(32, 32))
    assert torch.equal(shown, picture(32, 32)[:, 2:30, 2:30])


def test_flip_gives_the_image_or_its_mirror_and_both_occur():
    image, seen = picture(16, 16), set()
    flip = train_transform(DataSection(size=16, augment="flip"))
    for _ in range(20):
        shown = flip(image)
        mirrored = torch.equal(shown, image.flip(-1))
        assert mirrored or torch.equal(shown, image)
        seen.add(mirrored)
    assert seen == {True, False}


def test_crop_flip_shifts_by_four_at_most():
    image = picture(16, 16) + 1
    crop = train_transform(DataSection(size=16, augment="crop_flip"))
    shifts = set()
    for _ in range(40):
        kept = crop(image)[0]
        shifts.add(int((kept == 0).all(0).sum()))
    assert max(shifts) <= 4
    assert len(shifts) > 2


def test_random_crops_and_randaugment_keep_size_and_type():
    for name in ("imagenet", "randaugment"):
        shown = train_transform(DataSection(size=24, augment=name))(picture(40, 50))
        assert shown.shape == (3, 24, 24)
        assert shown.dtype == torch.uint8


def test_normalize_in_closed_form():
    data = DataSection(mean=(0.5, 0.0, 0.25), std=(0.5, 1.0, 0.25))
    batch = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    shown = normalize(batch, data)
    assert shown.dtype == torch.float32
    assert shown[0, :, 0, 0].tolist() == [1.0, 1.0, 3.0]
