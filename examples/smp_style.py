"""Gates in a segmentation network of segmentation_models_pytorch (smp).

Two ways. Into the encoder of any network of smp, with whatever weights it has, which stay as they
are; and by name, where smp takes its encoder from timm (``tu-resnet18.das``). Either network then
trains for a few steps on generated pictures of discs.

    pip install segmentation-models-pytorch
    python examples/smp_style.py --steps 10
"""

import argparse

import segmentation_models_pytorch as smp
import torch

import foveate
import foveate.integrations.timm


def discs(count, size):
    """Noise with a brighter disc, and the disc's mask."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    y, x = torch.randint(size // 4, 3 * size // 4, (2, count, 1, 1))
    masks = (((rows - y) ** 2 + (columns - x) ** 2) < (size // 6) ** 2).float()[:, None]
    return 0.5 * torch.randn(count, 3, size, size) + masks, masks


def inserted(size):
    """Published weights first, gates after: closed, they leave the output as it is."""
    model = smp.Unet("resnet18", encoder_weights=None, classes=1).eval()
    images, _ = discs(2, size)
    with torch.no_grad():
        before = model(images)
        done = foveate.insert_(model.encoder, "das", "stages", start="identity", example=images[:1])
        after = model(images)
    print(done)
    print(f"the output is what it was: {torch.equal(before, after)}")
    return model


def named():
    """An encoder of timm by name: its features are the maps behind the gates."""
    return smp.Unet("tu-resnet18.das", encoder_weights=None, classes=1)


def train(model, steps, size):
    loss_of = smp.losses.DiceLoss("binary")
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-3)
    losses = []
    for _ in range(steps):
        images, masks = discs(4, size)
        loss = loss_of(model(images), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels")
    settings = parser.parse_args(words)
    torch.manual_seed(0)
    found = {}
    for name, model in (("inserted", inserted(settings.size)), ("named", named())):
        found[name] = train(model, settings.steps, settings.size)
        print(f"{name}: Dice loss {found[name][0]:.3f}, then {found[name][-1]:.3f}")
    return found


if __name__ == "__main__":
    main()
