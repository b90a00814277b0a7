"""What ``foveate export`` opens: classifiers, and the backbones of detectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from foveate.data import ImageDataset
    from foveate.detection import DetectionDataset
    from foveate.export import Subject
    from foveate.training.recipe import DataSection

IMAGES = 8


@dataclass(frozen=True)
class Opened:
    """A network that is to be exported.

    Attributes:
        name: For its file.
        model: In evaluation mode, on the CPU.
        data: How its images are prepared.
        about: For the record.
        outputs: Names of the outputs.
        has_images: Whether it comes with images of its own.
        kind: ``"classification"`` or ``"detection"``.
        what: What is exported, in a sentence for the terminal.
        options: Of its own images.
    """

    name: str
    model: nn.Module
    data: DataSection
    about: Subject
    outputs: tuple[str, ...]
    has_images: bool
    kind: str
    what: str
    options: dict[str, Any] = field(default_factory=dict)


def open_network(target: str, size: int | None) -> Opened:
    """Open a run, a saved network or a name; of a detector, its backbone with the pyramid.

    Raises:
        FileNotFoundError: If the run is not finished.
        ValueError: If it is none of these, or a study.
    """
    from foveate.core import expected

    path = Path(target).expanduser()
    if (path / "study.toml").is_file():
        remedy = f"for example {path / 'runs'}/..."
        raise ValueError(expected("export", "one run of a study", target, remedy))
    if _is_detector(path):
        return _detector(path, size)
    return _classifier(target, size)


def images_of(opened: Opened, source: str | None, count: int = IMAGES) -> tuple[Tensor, str] | None:
    """Some images as the network takes them, and where they come from; None if there are none.

    Args:
        opened: The network.
        source: A folder of images, or what ``foveate.data.open_images`` takes; None for the
            validation images of a run.
        count: How many.

    Raises:
        ValueError: If none of the images can be read.
    """
    import torch

    from foveate.core import Words, expected
    from foveate.data import Unreadable
    from foveate.training.transforms import eval_transform, normalize

    if source is None and not opened.has_images:
        return None
    dataset = _dataset(opened, source)
    fit = eval_transform(opened.data)
    shown = []
    for index in range(len(dataset)):
        item = dataset[index]
        if not isinstance(item, Unreadable):
            shown.append(fit(item.image))
        if len(shown) == count:
            break
    if not shown:
        got = Words(f"none of {len(dataset)}")
        raise ValueError(expected("export --images", "readable images", got))
    where = source or f"{opened.data.source}, validation"
    word = "image" if len(shown) == 1 else "images"
    return normalize(torch.stack(shown), opened.data), f"{len(shown)} {word} of {where}"


def _dataset(opened: Opened, source: str | None) -> ImageDataset | DetectionDataset:
    from foveate.data import open_images

    data = opened.data
    common: dict[str, Any] = {"size": data.size, "seed": data.seed, "limit": data.limit_val}
    if source is not None:
        # All images of a folder, whether its subfolders are classes or not.
        whole = f"loose:{source}" if Path(source).is_dir() else source
        return open_images(whole, size=data.size, seed=data.seed)
    if opened.kind == "detection":
        from foveate.detection import open_detection

        return open_detection(data.source, "val", **common, **opened.options)
    return open_images(data.source, **common, **opened.options)


def _is_detector(path: Path) -> bool:
    from foveate.core.reading import read_object

    try:
        return "detector" in read_object(path / "model.json")
    except (OSError, ValueError):
        return False


def _classifier(target: str, size: int | None) -> Opened:
    from foveate.explain.subjects import open_subjects
    from foveate.export import Preparation, Subject
    from foveate.surgery.holder import iter_inserted
    from foveate.training.transforms import short_side

    (one,) = open_subjects(target, size=size, device="cpu")
    data = one.data
    network = str(one.about.get("network", one.label))
    # What is there, not what a file says.
    names = dict.fromkeys(holder.attention_name for _, holder in iter_inserted(one.model))
    attention = ", ".join(names) or None
    is_run = (Path(target).expanduser() / "config.toml").is_file()
    ready = Preparation(data.size, data.mean, data.std, short_side(data))
    about = Subject(network, attention, None, one.classes, ready)
    said = f"{network}{f' with {attention}' if attention else ''}, {_count(one.classes)}"
    name = Path(target).resolve().name if Path(target).exists() else target.replace("/", "-")
    return Opened(
        name, one.model, data, about, ("logits",), is_run, "classification", said, data.options
    )


def _detector(path: Path, size: int | None) -> Opened:
    from foveate.detection import DetectionRun, load_detector
    from foveate.export import Preparation, Subject
    from foveate.training.recipe import DataSection

    is_run = (path / "config.toml").is_file()
    run = DetectionRun(path)
    detector = run.load_model() if is_run else load_detector(path)
    spec: dict[str, Any] = detector.foveate_detector
    given = run.recipe.data if is_run else None
    side = size or (given.size if given else min(spec["size"][0][-1], spec["size"][1]))
    data = DataSection(
        size=-(-side // 32) * 32,  # A detector pads its images to such sides.
        mean=tuple(spec["mean"]),
        std=tuple(spec["std"]),
        augment="none",
        source=given.source if given else "scenes",
        seed=given.seed if given else 0,
        limit_val=given.limit_val if given else None,
    )
    pyramid: Any = detector.body.backbone
    names = tuple(f"stride{stride}" for stride in pyramid.strides)
    about = Subject(
        spec["backbone"],
        spec["attention"],
        "backbone and pyramid of a detector, without its heads",
        None,
        Preparation(data.size, data.mean, data.std),
    )
    gates = f" with {spec['attention']}" if spec["attention"] else ""
    said = (
        f"the backbone {spec['backbone']}{gates} and the pyramid of a {spec['kind']}, without its"
        f" heads: maps {', '.join(names)}"
    )
    options = dict(given.options) if given else {}
    return Opened(
        path.resolve().name, pyramid, data, about, names, is_run, "detection", said, options
    )


def _count(classes: tuple[str, ...] | None) -> str:
    return f"{len(classes)} classes" if classes else "a classifier"
