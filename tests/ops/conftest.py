"""Fixtures of the operators' tests."""

import pytest
import torch


@pytest.fixture(params=["implicit", "columns"])
def scheme(request, monkeypatch):
    """Force one of the two forward schemes of Triton's kernels, whatever their plan is."""
    from foveate.ops.deform.triton import plan

    real = plan.choose

    def forced(dtype, channels, width):
        if request.param == "implicit":
            return real(torch.bfloat16, min(channels, 256), width)
        return real(torch.float32, channels, width)

    monkeypatch.setattr(plan, "choose", forced)
    return request.param
