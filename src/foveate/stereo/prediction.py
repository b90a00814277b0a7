"""Find the disparity of pairs of images, as PFM and as pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from foveate.core import Words, expected
from foveate.core.files import write_bytes
from foveate.core.modes import evaluation
from foveate.data.images import UnreadableImageError, read_image
from foveate.stereo.data.folder import by_name
from foveate.stereo.data.formats import png_bytes, write_pfm
from foveate.stereo.drawing import colored
from foveate.stereo.run import StereoRun

_WHO = "predict"


@dataclass(frozen=True)
class Predicted:
    """What was written.

    Attributes:
        files: The PFM files.
        pictures: The pictures of them.
        unreadable: Reason by name of the pairs that were left out.
    """

    files: list[Path] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def predict(
    target: str | Path | StereoRun,
    left: str | Path,
    right: str | Path,
    out: str | Path,
    *,
    iterations: int | None = None,
    top: float | None = None,
    draw: bool = True,
    device: str | torch.device | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Predicted:
    """Find the disparity of rectified pairs of any size; write ``NAME.pfm`` and ``NAME.png``.

    Args:
        target: A finished run.
        left: An image, or a folder of images.
        right: The other view, or a folder with images of the same names; endings may differ.
        out: Where to write; folders inside are kept.
        iterations: Steps of the recurrence; by default as in training.
        top: The disparity in pixels that has the last color; by default the largest of each pair.
        draw: Whether to write pictures.
        device: Where to compute; by default on the CPU.
        tell: Told how many pairs are done, of how many.

    Raises:
        FileNotFoundError: If the run is not finished, or there is no such image or folder.
        ValueError: If the folders do not hold the same names, ``top`` is not positive, or a picture
            would take the place of a view.
        OSError: If a file cannot be written.
    """
    run = target if isinstance(target, StereoRun) else StereoRun(target)
    if top is not None and not top > 0:
        raise ValueError(expected(_WHO, "a positive disparity for the last color", top))
    pairs = pairs_of(Path(left), Path(right))
    given = {path.resolve() for both in pairs.values() for path in both}
    for name in pairs:
        for file in (Path(out) / f"{name}.pfm", Path(out) / f"{name}.png"):
            if file.resolve() in given:
                remedy = "write to another folder than that of the images"
                raise ValueError(expected(_WHO, "an OUT without the views", str(file), remedy))
    network, place = run.load_model(), torch.device(device or "cpu")
    network.to(place)
    done = Predicted()
    for number, (name, both) in enumerate(pairs.items(), 1):
        try:
            views = [read_image(path) for path in both]
        except UnreadableImageError as error:
            done.unreadable[name] = str(error)
            tell(number, len(pairs))
            continue
        if views[0].shape != views[1].shape:
            sizes = " and ".join(f"{one.shape[2]}x{one.shape[1]}" for one in views)
            done.unreadable[name] = f"views of different sizes, {sizes}"
            tell(number, len(pairs))
            continue
        with evaluation(network), torch.inference_mode():
            images = [one[None].to(place).float() / 255 for one in views]
            found = network(*images, iterations)[0].cpu()
        file = Path(out) / f"{name}.pfm"
        write_pfm(file, found.numpy())
        done.files.append(file)
        if draw:
            picture = file.with_suffix(".png")
            write_bytes(picture, png_bytes(colored(found, top)))
            done.pictures.append(picture)
        tell(number, len(pairs))
    return done


def pairs_of(left: Path, right: Path) -> dict[str, tuple[Path, Path]]:
    """Return the paths of both views by the name of their pair.

    Raises:
        FileNotFoundError: If one is not there, or a folder holds no image.
        ValueError: If a folder comes with a file, or the folders differ in their names.
    """
    for path in (left, right):
        if not path.exists():
            raise FileNotFoundError(expected(_WHO, "an image or a folder of images", str(path)))
    if left.is_dir() != right.is_dir():
        got = Words(f"{left} and {right}")
        raise ValueError(expected(_WHO, "two images or two folders", got))
    if not left.is_dir():
        return {left.stem: (left, right)}
    found = [by_name(folder) for folder in (left, right)]
    lone = sorted(found[0].keys() ^ found[1].keys())
    if lone:
        more = f" and {len(lone) - 5} more" if len(lone) > 5 else ""
        got = Words(f"one view only of {', '.join(lone[:5])}{more}")
        raise ValueError(expected(_WHO, f"the same names in {left} and {right}", got))
    return {name: (path, found[1][name]) for name, path in found[0].items()}
