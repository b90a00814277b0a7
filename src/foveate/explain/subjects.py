"""The networks to explain, each with its way of preparing images: runs, saved networks, names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import Words, expected, require
from foveate.data import ImageDataset, open_images
from foveate.models import create_model, load
from foveate.training.recipe import IMAGENET_MEAN, IMAGENET_STD, DataSection
from foveate.training.run_folder import RunFolder
from foveate.training.study import StudyFolder
from foveate.training.transforms import eval_transform, normalize

_WHO = "explain"


@dataclass(frozen=True)
class Subject:
    """A classifier to explain.

    Attributes:
        label: What it is called in tables; runs of one label differ by their seed.
        model: In eval mode.
        data: How its images are prepared.
        classes: Names of its classes in order; None if nobody knows.
        seed: Of its run; None if it has none.
        about: What else is known, for the conditions: words and numbers, no paths.
    """

    label: str
    model: nn.Module
    data: DataSection
    classes: tuple[str, ...] | None = None
    seed: int | None = None
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Label and seed in one."""
        return self.label if self.seed is None else f"{self.label} (seed {self.seed})"

    @cached_property
    def _fit(self) -> Callable[[Tensor], Tensor]:
        return eval_transform(self.data)

    def shown(self, image: Tensor) -> Tensor:
        """Resize and crop an image (3, H, W) uint8 to what the network sees, (3, h, w) uint8."""
        return self._fit(image)

    def ready(self, shown: Tensor) -> Tensor:
        """Normalize a batch (N, 3, h, w) uint8 of images for the network: its device and dtype."""
        like = next(self.model.parameters(), torch.empty(0))
        return normalize(shown.to(like.device), self.data).to(like.dtype)

    def blank(self) -> Tensor:
        """One gray image as the network takes it, for a run that finds out about its shapes."""
        side = self.data.size
        return self.ready(torch.full((1, 3, side, side), 128, dtype=torch.uint8))

    def fit_mask(self, mask: Tensor) -> Tensor:
        """Resize and crop a mask (H, W) bool as the image: (h, w) bool, the nearer half counts."""
        return self._fit((mask.to(torch.uint8) * 255).expand(3, -1, -1))[0] >= 128

    def class_name(self, index: int) -> str:
        """The name of a class, or its number if it has none."""
        return self.classes[index] if self.classes is not None else f"class {index}"


def open_subjects(
    target: str | Path, *, size: int | None = None, device: str | torch.device | None = None
) -> list[Subject]:
    """Open what the word of a command stands for.

    Args:
        target: A study folder (all its finished runs), a finished run folder, a folder of
            ``foveate.save``, or the name of a model with published weights.
        size: Side of the images in pixels, for what does not know it; 224 by default, or what the
            published weights were made for.
        device: Where to compute; by default on a GPU if there is one.

    Raises:
        FileNotFoundError: If the folder holds no finished run.
        ValueError: If the word means nothing, ``size`` is given to a run, which has its own, or
            the device is not there.
        OSError: If published weights are not at hand and cannot be loaded.
    """
    path = Path(target).expanduser()
    place = _place(device)
    if (path / "study.toml").is_file():
        found = _study(path)
    elif (path / "config.toml").is_file():
        found = [_run(RunFolder(path), path.name)]
    elif (path / "model.json").is_file():
        found = [_saved(path, size)]
    elif path.exists():
        rule = "a run, a study or a folder of foveate.save"
        raise ValueError(expected(_WHO, rule, str(target)))
    else:
        found = [_published(str(target), size)]
    if size is not None and found[0].data.size != size:
        rule = f"no size for a run, whose images have {found[0].data.size} pixels"
        raise ValueError(expected(_WHO, rule, size))
    for subject in found:
        subject.model.to(place).eval()
    return found


def _place(device: str | torch.device | None) -> torch.device:
    """Where to compute, tried out before anything is loaded."""
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=place).device
    except (RuntimeError, AssertionError) as error:
        first = Words(f"{place} ({str(error).splitlines()[0]})")
        rule = "a device that this machine has"
        raise ValueError(expected("--device", rule, first, "for example cpu")) from error


def truth_of(subject: Subject, dataset: ImageDataset, label: int) -> int | None:
    """The network's own number of a class of the images; None if it does not know it."""
    if subject.classes is None or not 0 <= label < len(dataset.classes):
        return None
    name = dataset.classes[label]
    return subject.classes.index(name) if name in subject.classes else None


def object_name(subject: Subject, dataset: ImageDataset, label: int, said: int) -> str | None:
    """What to look for in an image: its label, else the class the network says, in words.

    None where neither has a name, and no object can be asked for.
    """
    if 0 <= label < len(dataset.classes):
        return dataset.classes[label]
    return subject.class_name(said) if subject.classes is not None else None


def told_apart(groups: list[list[Subject]]) -> list[Subject]:
    """One list of all subjects, in which a label stands for one network.

    Raises:
        ValueError: If two groups share a label, whose networks would count as seeds of one.
    """
    found: list[Subject] = []
    for group in groups:
        taken = {other.label for other in found}
        for one in group:
            if one.label in taken:
                rule = "networks of different names"
                remedy = "name another one, rename its folder, or name single runs of a study"
                raise ValueError(expected(_WHO, rule, one.name, remedy))
        found.extend(group)
    return found


def _study(path: Path) -> list[Subject]:
    folder = StudyFolder(path)
    runs = [(label, run) for label in folder.labels for run in folder.runs(label)]
    done = [_run(run, label, run.recipe.seed) for label, run in runs if run.is_finished]
    if not done:
        raise FileNotFoundError(expected(_WHO, "a study with finished runs", str(path)))
    return done


def _run(run: RunFolder, label: str, seed: int | None = None) -> Subject:
    result = run.result or {}
    model = run.load_model()  # Says what is missing if the run is not finished.
    recipe = run.recipe
    about = {"network": recipe.model.name, "attention": recipe.model.attention}
    about |= {key: result[key] for key in ("top1", "images", "params") if key in result}
    classes = result.get("classes")
    return Subject(label, model, recipe.data, tuple(classes) if classes else None, seed, about)


def _saved(path: Path, size: int | None) -> Subject:
    model = load(path)
    return Subject(path.name, model, _usual(model, size), None, None, {"network": path.name})


def _published(name: str, size: int | None) -> Subject:
    from foveate.core import MissingExtraError

    try:
        model = create_model(name, pretrained=True)
    except (ImportError, MissingExtraError, TypeError):
        raise
    except ValueError as error:
        rule = "a run folder, a study, a folder of foveate.save or the name of a model"
        raise ValueError(expected(_WHO, rule, name, Words(str(error)))) from error
    except Exception as error:  # The hub, a mirror or the network: each has errors of its own.
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        rule = f"the published weights of {name}"
        remedy = "without a network give a folder of foveate.save or a run"
        raise OSError(expected(_WHO, rule, Words(first), remedy)) from error
    data = _usual(model, size)
    return Subject(name, model, data, _imagenet_names(model), None, {"network": name})


def _usual(model: nn.Module, size: int | None) -> DataSection:
    """How published weights want their images: the model says so, else as for ImageNet."""
    given = getattr(model, "pretrained_cfg", None) or {}
    side = given.get("input_size", (3, 224, 224))[-1]
    return DataSection(
        size=size or side,
        mean=given.get("mean") or IMAGENET_MEAN,
        std=given.get("std") or IMAGENET_STD,
        augment="imagenet",
    )


def _imagenet_names(model: nn.Module) -> tuple[str, ...] | None:
    if getattr(model, "num_classes", 1000) != 1000:
        return None
    info: Any = require("timm.data", "models", _WHO).ImageNetInfo()
    return tuple(str(info.index_to_description(i)).split(",")[0] for i in range(1000))


def open_images_for(
    subject: Subject,
    source: str | None,
    *,
    limit: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[ImageDataset, str]:
    """Open the images to explain a network on.

    Args:
        subject: The network; a run knows its own images.
        source: Where they come from (see :func:`foveate.data.open_images`); by default the
            validation images of the run.
        limit: Images at most; by default all, or as many as the run validated on.
        options: Of the source, beside those of the run if the source is the run's own.

    Returns:
        The images, and the source in a word.

    Raises:
        ValueError: If no source is given and the network has none.
    """
    data = subject.data
    own = source is None or source == data.source
    if source is None and subject.classes is None:
        rule = f"images to explain {subject.name} on"
        raise ValueError(expected(_WHO, rule, Words("none"), "name a folder of images"))
    if source is None and limit is None:
        limit = data.limit_val
    dataset = open_images(
        source or data.source,
        size=data.size,
        seed=data.seed,
        limit=limit,
        **{**(data.options if own else {}), **(options or {})},
    )
    return dataset, source or data.source
