"""Train a gated network in a loop of one's own: no Lightning, no recipe, no run folder.

The five lines that matter are those of ``train``; foveate is one of them. What works on any network
works on this one: optimizers, autocast, schedulers, ``torch.compile``, DistributedDataParallel.

    python examples/plain_loop.py --epochs 2
"""

import argparse

import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import foveate


def squares(count, size):
    """Noise with a small square in one of three colors: the color is the class."""
    images, labels = 0.3 * torch.randn(count, 3, size, size), torch.arange(count) % 3
    side = size // 4
    for image, label in zip(images, labels.tolist(), strict=True):
        top, left = torch.randint(0, size - side, (2,)).tolist()
        image[label, top : top + side, left : left + side] += 2
    return TensorDataset(images, labels)


def train(loader, classes, epochs):
    model = foveate.create_model("resnet10t", "das", num_classes=classes, width=0.25)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for images, labels in (batch for _ in range(epochs) for batch in loader):
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step(), optimizer.zero_grad()
    return model


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    right = [(model(images).argmax(1) == labels).float() for images, labels in loader]
    return torch.cat(right).mean().item()


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=128, help="training images")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels")
    parser.add_argument("--out", help="save the network there")
    settings = parser.parse_args(words)
    torch.manual_seed(0)
    seen, unseen = squares(settings.images, settings.size), squares(96, settings.size)
    model = train(DataLoader(seen, batch_size=16, shuffle=True), 3, settings.epochs)
    found = accuracy(model, DataLoader(unseen, 32))
    print(f"top-1 on unseen images: {100 * found:.1f} %, by chance 33.3 %")
    if settings.out:
        print(f"saved in {foveate.save(model, settings.out)}")
    return found


if __name__ == "__main__":
    main()
