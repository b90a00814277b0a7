"""Pooling of boxes: torchvision's RoIAlign is the truth."""

import pytest
import torch

ops = pytest.importorskip("torchvision.ops")
from foveate.detection.model.pooling import RegionPooling, separable_roi_align  # noqa: E402


def random_boxes(count, side, generator):
    """Boxes of which many reach beyond the image, and some have hardly an area."""
    corners = torch.rand(count, 2, generator=generator) * side * 1.4 - side * 0.2
    sizes = torch.rand(count, 2, generator=generator) ** 3 * side
    return torch.cat([corners, corners + sizes], dim=1)


@pytest.mark.parametrize(("height", "width", "side", "samples"), [(16, 12, 7, 2), (3, 5, 5, 1)])
def test_matrix_products_are_roi_align_and_so_are_their_gradients(height, width, side, samples):
    generator = torch.Generator().manual_seed(height)
    maps = torch.randn(3, 4, height, width, generator=generator, dtype=torch.float64)
    boxes = random_boxes(60, 4 * height, generator).double()
    images = torch.randint(3, (60,), generator=generator).sort().values
    rois = torch.cat([images[:, None].double(), boxes], dim=1)
    ours, theirs = maps.clone().requires_grad_(), maps.clone().requires_grad_()
    got = separable_roi_align(ours, images, boxes, 0.25, side, samples)
    truth = ops.roi_align(theirs, rois, side, spatial_scale=0.25, sampling_ratio=samples)
    torch.testing.assert_close(got, truth, rtol=1e-12, atol=1e-12)
    ahead = torch.randn(got.shape, generator=generator, dtype=torch.float64)
    got.backward(ahead)
    truth.backward(ahead)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("side", [64, 256])
def test_boxes_of_all_sizes_are_cut_from_the_levels_that_torchvision_takes(side):
    generator = torch.Generator().manual_seed(1)
    maps = {
        str(level): torch.randn(2, 3, side // stride, side // stride, generator=generator)
        for level, stride in enumerate((4, 8, 16, 32))
    }
    boxes = [random_boxes(30, 4 * side, generator), random_boxes(20, side, generator)]
    pool = RegionPooling((4, 8, 16, 32), 7)
    truth = ops.MultiScaleRoIAlign(list(maps), 7, 2)(maps, boxes, [(side, side)] * 2)
    got = pool(maps, boxes, [(side, side)] * 2)
    torch.testing.assert_close(got, truth, rtol=1e-5, atol=1e-5)


def test_an_image_much_smaller_than_its_batch_does_not_mislead():
    """The first batch decides nothing: torchvision would take 40 pixels for the whole 64."""
    maps = {"0": torch.randn(1, 2, 16, 16), "1": torch.randn(1, 2, 8, 8)}
    boxes = [torch.tensor([[4.0, 4, 24, 20]])]
    rois = torch.cat([torch.zeros(1, 1), boxes[0]], dim=1)
    truth = ops.roi_align(maps["0"], rois, 7, spatial_scale=0.25, sampling_ratio=2)
    pool = RegionPooling((4, 8), 7)
    torch.testing.assert_close(pool(maps, boxes, [(40, 40)]), truth, rtol=1e-5, atol=1e-5)


def test_no_boxes_at_all_pool_to_nothing_with_a_gradient():
    maps = {"0": torch.randn(2, 3, 8, 8, requires_grad=True)}
    pooled = RegionPooling((4,), 7)(maps, [torch.zeros(0, 4)] * 2, [(32, 32)] * 2)
    assert pooled.shape == (0, 3, 7, 7)
    pooled.sum().backward()
    assert maps["0"].grad.abs().sum() == 0
