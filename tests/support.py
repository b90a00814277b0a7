"""Shared tools of the tests: one comparison, one table of tolerances, gradients, tiny networks."""

import torch
from torch import nn

# Largest RMS error relative to the RMS of what is wanted. No environment variable changes these.
TOLERANCE = {
    torch.float64: 1e-9,
    torch.float32: 1e-5,
    torch.float16: 3e-3,
    torch.bfloat16: 2e-2,
}


def assert_same(got, want, what="result", limit=None):
    """Fail unless ``got`` is as near ``want`` as its dtype allows, in the same shape."""
    limit = TOLERANCE[got.dtype] if limit is None else limit
    if limit >= 0.1:
        raise ValueError(f"{what}: a limit of {limit} would let anything pass")
    assert got.shape == want.shape, f"{what}: shape {tuple(got.shape)}, not {tuple(want.shape)}"
    got, want = got.detach().double(), want.detach().double()
    if got.numel() == 0:
        return
    assert torch.isfinite(got).all(), f"{what}: not finite"
    size = want.square().mean().sqrt()
    if size == 0:
        raise ValueError(f"{what}: wanted is all zero, which any dead code would match")
    error = (got - want).square().mean().sqrt() / size
    worst = (got - want).abs().max() / size
    assert error <= limit, f"{what}: relative RMS error {error:.2e} > {limit:.0e}"
    assert worst <= 10 * limit, f"{what}: worst element off by {worst:.2e} of the RMS"


def gradients_of(run, inputs, upstream=None):
    """Run ``run(**inputs)``; return the output and the gradient of each floating input by name."""
    leaves = {
        name: value.detach().clone().requires_grad_()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
        else value
        for name, value in inputs.items()
    }
    out = run(**leaves)
    if upstream is None:
        generator = torch.Generator().manual_seed(1)
        upstream = torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out)
    wanted = {k: v for k, v in leaves.items() if isinstance(v, torch.Tensor) and v.requires_grad}
    grads = torch.autograd.grad(out, list(wanted.values()), upstream)
    return out.detach(), dict(zip(wanted, grads, strict=True))


class TinyBlock(nn.Module):
    """A residual block of two convolutions, like a ResNet's."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + skip)


class TinyResNet(nn.Module):
    """Stages of two residual blocks each; 3 classes. Two stages take images of 16x16."""

    def __init__(self, width=4, classes=3, stages=2):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 2, 1)
        self.layer1 = nn.Sequential(TinyBlock(width, width), TinyBlock(width, width))
        for number in range(2, stages + 1):
            wide = 2 * width
            blocks = TinyBlock(width, wide, 2), TinyBlock(wide, wide)
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            width = wide
        self.stages = stages
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.stem(x)
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return self.head(x.mean((2, 3)))


def drop_before_(module: nn.Module, p: float = 0.5) -> None:
    """Drop values of a module's input in training, and leave the network's structure as it is."""
    module.register_forward_pre_hook(
        lambda module, args: (nn.functional.dropout(args[0], p, module.training), *args[1:])
    )
