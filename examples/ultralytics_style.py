"""Gates in a detector of the YOLO family: no YAML is edited and no parser is patched.

Such networks are a list of layers, each of which says where its input comes from. Gates go in by
the names of the layers, here behind the three that feed the head. The network below is of that
kind and made for this example; ``--real yolo11n.yaml`` does the same to one of the ultralytics
package if you have installed it (its license is AGPL-3.0; foveate neither needs nor contains it).

    python examples/ultralytics_style.py
    python examples/ultralytics_style.py --real yolo11n.yaml
"""

import argparse
import itertools

import torch
from torch import nn

import foveate


class ConvNormAct(nn.Sequential):
    def __init__(self, inputs, outputs, kernel=3, stride=1):
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.SiLU())


class SplitBlock(nn.Module):
    """Half of the channels pass by, the other half goes through residual pairs of convolutions."""

    def __init__(self, channels, depth=1):
        super().__init__()
        half = channels // 2
        self.split = ConvNormAct(channels, channels, 1)
        pairs = (
            nn.Sequential(ConvNormAct(half, half), ConvNormAct(half, half)) for _ in range(depth)
        )
        self.pairs = nn.ModuleList(pairs)
        self.merge = ConvNormAct((2 + depth) * half, channels, 1)

    def forward(self, x):
        parts = list(self.split(x).chunk(2, dim=1))
        for pair in self.pairs:
            parts.append(parts[-1] + pair(parts[-1]))
        return self.merge(torch.cat(parts, dim=1))


class Head(nn.Module):
    """Boxes and classes for each place of three maps."""

    def __init__(self, channels, classes):
        super().__init__()
        self.predict = nn.ModuleList(nn.Conv2d(wide, 4 + classes, 1) for wide in channels)

    def forward(self, maps):
        return [predict(one) for predict, one in zip(self.predict, maps, strict=True)]


class ListedDetector(nn.Module):
    """Layers in a list; the head takes the outputs of several."""

    def __init__(self, classes=2, width=16):
        super().__init__()
        wide = [width, 2 * width, 4 * width, 8 * width]
        layers = [ConvNormAct(3, width, stride=2)]
        for inputs, outputs in itertools.pairwise(wide):
            layers += [ConvNormAct(inputs, outputs, stride=2), SplitBlock(outputs)]
        self.model = nn.ModuleList([*layers, Head(wide[1:], classes)])
        self.taken = (2, 4, 6)

    def forward(self, x):
        kept = []
        for number, layer in enumerate(self.model[:-1]):
            x = layer(x)
            if number in self.taken:
                kept.append(x)
        return self.model[-1](kept)


def gate_(detector, layers, size):
    """Insert behind some layers, closed, and show that the detector is what it was."""
    images = torch.rand(1, 3, size, size)
    weights = {name: value.clone() for name, value in detector.state_dict().items()}
    detector.eval()
    with torch.no_grad():
        before = tensors(detector(images))
        done = foveate.insert_(
            detector, "das", [f"model.{one}" for one in layers], start="identity", example=images
        )
        after = tensors(detector(images))
    same = all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    detector.load_state_dict(weights)  # Published weights of the plain detector, strictly.
    print(done)
    print(f"the output is what it was: {same}")
    return same


def tensors(found):
    """All tensors of an output, whatever it is made of."""
    if isinstance(found, torch.Tensor):
        return [found]
    parts = found.values() if isinstance(found, dict) else found
    return [one for part in parts for one in tensors(part)]


def gradients(detector, size):
    """Take one step's gradient, to see that it reaches the gates."""
    detector.train()
    loss = sum(one.square().mean() for one in tensors(detector(torch.rand(2, 3, size, size))))
    loss.backward()
    return {
        name: weight.grad.abs().sum().item()
        for name, weight in detector.named_parameters()
        if name.endswith("openness")
    }


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", help="a model of the ultralytics package, such as yolo11n.yaml")
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    settings = parser.parse_args(words)
    torch.manual_seed(0)
    if settings.real:
        from ultralytics import YOLO

        detector = YOLO(settings.real).model
        layers = detector.model[-1].f  # What the head takes.
        for weight in detector.parameters():
            weight.requires_grad_(True)
    else:
        detector = ListedDetector()
        layers = detector.taken
    same = gate_(detector, layers, settings.size)
    reached = gradients(detector, settings.size)
    print(f"gradients reach {sum(value > 0 for value in reached.values())} of {len(reached)} gates")
    return same and all(value > 0 for value in reached.values())


if __name__ == "__main__":
    main()
