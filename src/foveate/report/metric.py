"""What a study is measured by: one score a run, which its task decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from foveate.core import expected, suggest
from foveate.report.unit import PERCENT, PIXELS, Unit

# Below this multiple of chance a classifier has hardly learned.
_FAR = 1.5
# Below this average precision a detector has hardly learned.
_NOTHING = 0.01


@dataclass(frozen=True)
class Metric:
    """The score that a study compares, and how it is spoken of.

    Attributes:
        task: The ``task`` of ``study.toml``.
        key: Where ``result.json`` has the score; ``metrics.csv`` has it after ``val_``.
        title: What tables and axes call it.
        heading: What the comparison is about.
        further: Scores that are shown with intervals and never tested: key and title of each.
        dashed: The column of ``metrics.csv`` that is drawn beside the score, and what it is.
        epochs: Columns of ``metrics.csv`` that are kept; parts of the loss are kept besides.
        command: The command that makes such a study.
        network: What one of its networks is called.
        by_class: Of what ``per_class`` of a result holds, the score and what it was measured on,
            each with its title; empty where there is nothing by class.
        further_title: Heading of the further scores.
        further_note: What they are.
        seen: Heading of the pictures.
        unit: What the score is told in; of percents the score is a fraction.
        lower: Whether less is better.
        units: Units of further scores that have another than percent, by key.
        head: What stands on the backbone, where recipes have no choice of it.
        item: What a network looks at.
    """

    task: str
    key: str
    title: str
    heading: str
    further: tuple[tuple[str, str], ...]
    dashed: tuple[str, str]
    epochs: tuple[str, ...]
    command: str
    network: str
    by_class: tuple[tuple[str, str], ...] = ()
    further_title: str = ""
    further_note: str = ""
    seen: str = "What the networks find"
    unit: Unit = PERCENT
    lower: bool = False
    units: Mapping[str, Unit] = field(default_factory=dict)
    head: str = ""
    item: str = "image"

    @property
    def curve(self) -> str:
        """The column of ``metrics.csv`` that follows the score."""
        return f"val_{self.key}"

    @property
    def by_seed(self) -> str:
        """The key of a kept study that has the score by label and seed."""
        return f"{self.key}_by_seed"

    @property
    def axis(self) -> str:
        """The score in words, as an axis has it."""
        return f"validation {self.title} {self.unit.name}"

    @property
    def better_side(self) -> str:
        """Where better scores lie in a chart."""
        return "Down" if self.lower else "Up"

    @property
    def gaps(self) -> str:
        """What differences of the further scores are in, where their heads say nothing else."""
        return f"{PERCENT.long}, or in what a head says" if self.units else PERCENT.long

    def unit_of(self, key: str) -> Unit:
        """The unit of a further score."""
        return self.units.get(key, PERCENT)

    def is_better(self, difference: float) -> bool:
        """Whether a score that differs by so much is the better one."""
        return difference < 0 if self.lower else difference > 0

    def best(self, scores: Iterable[float]) -> float:
        """The best of some scores."""
        return min(scores) if self.lower else max(scores)

    def is_perfect(self, score: float) -> bool:
        """Whether no score could be better."""
        return score == (0 if self.lower else 1)

    def unlearned(self, best: float, classes: int | None) -> str:
        """A sentence if even the best network has hardly learned, else nothing."""
        if not classes or best >= _FAR / classes:
            return ""
        return (
            f"All networks are near chance ({100 / classes:.2f} %): they have learned too"
            " little to be compared; train longer or on more images."
        )

    def perfect(self, names: str) -> str:
        """What a score of 1 in every run of some networks means."""
        return (
            f"Every image was right in every run of {names}: this task cannot rank them,"
            " and an interval of width 0 does not say that other images would be right too."
        )

    def measured(self, result: Mapping[str, Any]) -> list[str]:
        """What the score was measured on, from the result of any run."""
        images, classes = result.get("images"), len(result.get("classes") or ())
        if not images:
            return []
        chance = f" Chance is {100 / classes:.2f} %." if classes else ""
        return [
            f"Accuracy is measured on {images} images: one image moves top-1 by"
            f" {100 / images:.2f} points.{chance}"
        ]


class _Precision(Metric):
    """Average precision, which chance does not bound from below."""

    def unlearned(self, best: float, classes: int | None) -> str:
        """A sentence if even the best detector finds hardly anything, else nothing."""
        if best >= _NOTHING:
            return ""
        return (
            f"The best detector has an AP of {100 * best:.2f} %: they have learned too little to be"
            " compared; train longer or on more images."
        )

    def perfect(self, names: str) -> str:
        """What an AP of 1 in every run of some detectors means."""
        return (
            f"Every object was found exactly in every run of {names}: this task cannot rank them."
        )

    def measured(self, result: Mapping[str, Any]) -> list[str]:
        """What AP is and what it was measured on, from the result of any run."""
        images, objects = result.get("images"), result.get("objects")
        on = f" It is measured on {images} images with {objects} objects." if images else ""
        titles = [title for _, title in self.further]
        return [
            "AP is COCO's: the mean over classes and over ten overlaps from 0.5 to 0.95 that count"
            f" as found.{on} Only AP is tested; {', '.join(titles)} have intervals without tests.",
            "Objects are small (APs) below 32 x 32 pixels and large (APl) from 96 x 96, in pixels"
            " of the annotated images; a dash says that there is none of that size.",
        ]


class _Overlap(Metric):
    """Mean intersection over union of the classes of pixels."""

    def unlearned(self, best: float, classes: int | None) -> str:
        """A sentence if even the best network does little more than find the background."""
        if not classes or best >= _FAR / classes:
            return ""
        return (
            f"The best segmenter has a mIoU of {100 * best:.2f} %, and one that calls every pixel"
            f" background has up to {100 / classes:.2f} %: they have learned too little to be"
            " compared; train longer or on more images."
        )

    def perfect(self, names: str) -> str:
        """What a mIoU of 1 in every run of some networks means."""
        return f"Every pixel was right in every run of {names}: this task cannot rank them."

    def measured(self, result: Mapping[str, Any]) -> list[str]:
        """What mIoU is and what it was measured on, from the result of any run."""
        images, pixels = result.get("images"), result.get("pixels")
        on = f" It is measured on {images} images with {pixels} judged pixels." if images else ""
        absent = result.get("absent") or ()
        left = f" Left out, being in no mask and never found: {', '.join(absent)}." * bool(absent)
        stride = result.get("output_stride")
        at = [f"The last map of the backbones has a cell for {stride} x {stride} pixels."]
        return [
            "mIoU is the mean over classes, the background among them, of intersection over union,"
            f" from one confusion matrix of all images.{on}{left} Only mIoU is tested; pixel"
            " accuracy has intervals without tests.",
            *(at if stride else []),
        ]


class _Error(Metric):
    """The mean error of a disparity, which has no ceiling."""

    def unlearned(self, best: float, classes: int | None) -> str:
        """Nothing: what an error is worth hangs on the disparities, which the limits tell."""
        return ""

    def perfect(self, names: str) -> str:
        """What an error of 0 in every run of some networks means."""
        return f"Every disparity was exact in every run of {names}: this task cannot rank them."

    def measured(self, result: Mapping[str, Any]) -> list[str]:
        """What EPE is and what it was measured on, from the result of any run."""
        images, pixels = result.get("images"), result.get("pixels")
        mean, spread = result.get("disparity_mean"), result.get("disparity_spread")
        on = f" It is measured on {images} pairs with {pixels} known pixels." if images else ""
        usual = ""
        if isinstance(mean, (int, float)) and isinstance(spread, (int, float)):
            usual = (
                f" Disparities are {mean:.2f} px in the mean; to answer that everywhere would have"
                f" an error of {spread:.2f} px."
            )
        return [
            "EPE, the end-point error, is the mean of |found - true| disparity over all known"
            f" pixels; less is better.{on}{usual} Only EPE is tested; the other scores have"
            " intervals without tests.",
            "bad-1 and bad-3 are the shares of pixels that are off by more than 1 and 3 px; D1 is"
            " KITTI's: off by more than 3 px and by more than 5 % of the truth. Seen: without"
            " the pixels that the right view does not show.",
        ]


CLASSIFICATION = Metric(
    task="classification",
    key="top1",
    title="top-1",
    heading="Accuracy",
    further=(),
    dashed=("train_top1", "training"),
    epochs=("lr", "train_loss", "train_top1", "val_loss", "val_top1", "val_top5", "seconds"),
    command="foveate compare",
    network="network",
)
DETECTION = _Precision(
    task="detection",
    key="ap",
    title="AP",
    heading="Average precision",
    further=(
        *(("ap50", "AP50"), ("ap75", "AP75")),
        *(("aps", "APs"), ("apm", "APm"), ("apl", "APl")),
    ),
    dashed=("val_ap50", "AP50"),
    epochs=("lr", "train_loss", "val_ap", "val_ap50", "val_ap75", "seconds"),
    command="foveate detect compare",
    network="detector",
    by_class=(("ap", "AP %"), ("objects", "objects")),
    further_title="By overlap and size",
    further_note="AP50 and AP75 count a box as found at one overlap; APs, APm and APl are of small,"
    " medium and large objects.",
    seen="What the detectors find",
)
SEGMENTATION = _Overlap(
    task="segmentation",
    key="miou",
    title="mIoU",
    heading="Intersection over union",
    further=(("pixel_accuracy", "pixel accuracy"),),
    dashed=("val_pixel_accuracy", "pixel accuracy"),
    epochs=("lr", "train_loss", "val_loss", "val_miou", "val_pixel_accuracy", "seconds"),
    command="foveate segment compare",
    network="segmenter",
    by_class=(("iou", "IoU %"), ("pixels", "pixels")),
    further_title="By pixels",
    further_note="The share of the judged pixels that have the right class.",
    seen="What the segmenters find",
)
STEREO = _Error(
    task="stereo",
    key="epe",
    title="EPE",
    heading="End-point error",
    further=(("epe_seen", "EPE seen"), ("bad1", "bad-1"), ("bad3", "bad-3"), ("d1", "D1")),
    dashed=("val_epe_seen", "EPE seen"),
    epochs=("lr", "train_loss", "val_epe", "val_epe_seen", "val_bad3", "val_d1", "seconds"),
    command="foveate stereo compare",
    network="stereo network",
    further_title="Where both views see, and by size of the error",
    further_note="EPE without the pixels that the right view does not show; shares of pixels that"
    " are off by more than 1 and 3 px, and by KITTI's D1.",
    seen="What the stereo networks find",
    unit=PIXELS,
    lower=True,
    units={"epe_seen": PIXELS},
    head="recurrent stereo",
    item="pair",
)
METRICS = {metric.task: metric for metric in (CLASSIFICATION, DETECTION, SEGMENTATION, STEREO)}


def metric_of(tree: Mapping[str, Any]) -> Metric:
    """The metric of a study, or of what was kept of one; without a task it is of classification.

    Raises:
        ValueError: If its task is unknown.

    Example:
        >>> metric_of({"task": "detection"}).title
        'AP'
    """
    task = str(tree.get("task", CLASSIFICATION.task))
    if task not in METRICS:
        raise ValueError(expected("report", "a known task", task, suggest(task, METRICS)))
    return METRICS[task]
