"""Regions found by their words: Grounding DINO draws boxes, SAM masks what is in them."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from foveate.core import check_choice, check_ratio, require
from foveate.data.samples import ImageDataset
from foveate.explain.regions.region import Region, asked_class
from foveate.explain.regions.weights import Checkpoint
from foveate.explain.regions.words import SLOT, check_prompt, write_prompt

DETECTOR = "IDEA-Research/grounding-dino-tiny"
SEGMENTER = "facebook/sam-vit-base"
DETECTORS = ("grounding-dino", "mm-grounding-dino")
SEGMENTERS = ("sam", "sam2", "sam2_video", "sam_hq")

_WHO = "GroundedSam"
_SOURCE = "grounded-sam"
_MARKS = re.compile(r"\[[A-Z]+\]")
_SIZES = ("original_sizes", "reshaped_input_sizes")
_NARROW = 64
_PIXELS = 1 << 26
"""Mask pixels made at once: 64 boxes of a megapixel, one of a very large photo."""


class GroundedSam:
    """What a text-prompted detector and a segmenter find where the class is asked for.

    The detector's boxes above ``box_threshold`` are handed to the segmenter, which gives one mask
    each. Both make mistakes: look at the contact sheet before trusting a score that stands on
    them. Models load when the first region is asked for.

    Args:
        detector: A folder or a hub id of Grounding DINO.
        segmenter: A folder or a hub id of SAM, SAM-HQ or SAM 2.
        prompt: What to ask for; ``{class}`` stands for each name of the class in turn, dots part
            phrases.
        box_threshold: In (0, 1]; boxes at or below this score do not count.
        text_threshold: In (0, 1]; words at or below it are not named as what a box shows. It
            moves no box.
        region: ``"union"`` of all masks, or the mask of the ``"best"`` box alone.
        device: Where the models run.

    Raises:
        TypeError: If a threshold is no number.
        ValueError: If a threshold, the prompt or ``region`` is none of these.

    Source: Liu et al., Grounding DINO, 2023; Kirillov et al., Segment Anything, 2023; Ravi et al.,
        SAM 2, 2024.
    """

    def __init__(
        self,
        detector: str = DETECTOR,
        segmenter: str = SEGMENTER,
        *,
        prompt: str = SLOT,
        box_threshold: float = 0.35,
        text_threshold: float = 0.25,
        region: str = "union",
        device: str = "cpu",
    ) -> None:
        self.prompt = check_prompt(_WHO, prompt)
        self.box_threshold = check_ratio(_WHO, "box_threshold", box_threshold)
        self.text_threshold = check_ratio(_WHO, "text_threshold", text_threshold)
        check_choice(_WHO, "region", region, ("union", "best"))
        self.which, self.device = region, device
        auto = "AutoModelForZeroShotObjectDetection"
        self.detector = Checkpoint(detector, "detector", auto, DETECTORS)
        self.segmenter = Checkpoint(
            segmenter, "segmenter", "AutoModelForMaskGeneration", SEGMENTERS
        )

    @cached_property
    def _description(self) -> dict[str, Any]:
        return {
            "kind": _SOURCE,
            "prompt": self.prompt,
            "box_threshold": self.box_threshold,
            "text_threshold": self.text_threshold,
            "region": self.which,
            "detector": self.detector.provenance,
            "segmenter": self.segmenter.provenance,
        }

    def describe(self) -> dict[str, Any]:
        """Return prompt, thresholds and, for each model, name, type and digests of its files.

        Raises:
            ValueError: If the models are neither here nor to be had, or of another kind.
        """
        return dict(self._description)

    @cached_property
    def _detect_with(self) -> tuple[Any, Any]:
        return self.detector.load(self.device)

    @cached_property
    def _segment_with(self) -> tuple[Any, Any]:
        return self.segmenter.load(self.device)

    def region(
        self, dataset: ImageDataset, index: int, image: Tensor, class_name: str | None
    ) -> Region:
        """Find the class in one image.

        Raises:
            ValueError: If the models are neither here nor to be had, or of another kind.
            MissingExtraError: If transformers is not installed.
        """
        text = write_prompt(self.prompt, asked_class(dataset, index, class_name))
        if text is None:
            return Region(None, _SOURCE, f"the image has no class to put into {self.prompt!r}")
        if max(image.shape[1:]) > _NARROW * min(image.shape[1:]):
            return Region(None, _SOURCE, "the image is too narrow for the detector")
        pillow = require("PIL.Image", "explain", _SOURCE)
        picture = pillow.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())
        detail: dict[str, Any] = {"prompt": text}
        found, detail["best_score"] = self._detect(picture, text)
        detail["boxes"] = found
        if not found:
            return Region(None, _SOURCE, "the detector found no box", detail)
        mask = self._segment(picture, found)
        if not mask.any():
            return Region(None, _SOURCE, "the segmenter found no pixel in the boxes", detail)
        return Region(mask, _SOURCE, "", detail)

    @torch.inference_mode()
    def _detect(self, picture: Any, text: str) -> tuple[list[dict[str, Any]], float]:
        """Return the boxes inside the image, the best first, and the best score of all."""
        model, processor = self._detect_with
        inputs = processor(images=picture, text=text, return_tensors="pt").to(self.device)
        outputs = model(**inputs)
        result = processor.post_process_grounded_object_detection(
            outputs,
            inputs["input_ids"],
            threshold=self.box_threshold,
            text_threshold=self.text_threshold,
            target_sizes=[(picture.height, picture.width)],
        )[0]
        scores, boxes = result["scores"].cpu(), result["boxes"].float().cpu()
        phrases = result["text_labels"] if "text_labels" in result else result["labels"]
        boxes[:, 0::2] = boxes[:, 0::2].clamp(0, picture.width)
        boxes[:, 1::2] = boxes[:, 1::2].clamp(0, picture.height)
        # A box beside the image or without an area asks the segmenter for nothing.
        sides = boxes[:, 2:] - boxes[:, :2]
        kept = (torch.isfinite(sides) & (sides > 0)).all(dim=1)
        order = [int(at) for at in torch.argsort(scores, descending=True, stable=True) if kept[at]]
        found = [
            {
                "box": [round(edge, 2) for edge in boxes[at].tolist()],
                "score": round(float(scores[at]), 4),
                "phrase": _MARKS.sub("", str(phrases[at])).strip(" ."),
            }
            for at in (order[:1] if self.which == "best" else order)
        ]
        return found, round(float(outputs.logits.float().sigmoid().max()), 4)

    @torch.inference_mode()
    def _segment(self, picture: Any, found: list[dict[str, Any]]) -> Tensor:
        """Return the (H, W) union of the masks of all boxes, and note the pixels of each."""
        model, processor = self._segment_with
        mask = torch.zeros(picture.height, picture.width, dtype=torch.bool)
        step = max(1, _PIXELS // mask.numel())
        for start in range(0, len(found), step):
            part = found[start : start + step]
            inputs = processor(
                images=picture, input_boxes=[[entry["box"] for entry in part]], return_tensors="pt"
            )
            sizes = [inputs[name] for name in _SIZES if name in inputs]
            ready = {
                name: value.to(self.device, torch.float32 if value.is_floating_point() else None)
                for name, value in inputs.items()
                if name not in _SIZES
            }
            outputs = model(**ready, multimask_output=False)
            masks = processor.post_process_masks(outputs.pred_masks.float().cpu(), *sizes)[0][:, 0]
            for entry, one in zip(part, masks, strict=True):
                entry["pixels"] = int(one.sum())
            mask |= masks.any(dim=0)
        return mask
