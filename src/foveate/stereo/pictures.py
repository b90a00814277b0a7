"""Draw what the stereo networks of a study find, side by side."""

from __future__ import annotations

from pathlib import Path

import torch

from foveate.core.files import write_bytes, write_json
from foveate.core.modes import evaluation
from foveate.data import Unreadable
from foveate.stereo.batches import as_batch, found_in, open_pairs
from foveate.stereo.drawing import draw_sheet
from foveate.stereo.run import StereoRun
from foveate.stereo.study import StereoStudyFolder


def draw_disparities(folder: StereoStudyFolder, count: int = 6) -> list[Path]:
    """Draw the first validation pairs with what each network of the first seed finds.

    Writes ``pictures/*.png`` and ``pictures.json`` (a list of ``file`` and ``alt``) into the study
    folder, which its report shows.

    Args:
        folder: A finished study.
        count: How many pairs.

    Raises:
        ImportError: If matplotlib is missing.
    """
    study = folder.study
    runs = {label: StereoRun(folder.run(label, study.seeds[0]).path) for label in folder.labels}
    _, dataset = open_pairs(next(iter(runs.values())).recipe.data)
    networks = {label: run.load_model() for label, run in runs.items()}
    shown: list[Path] = []
    told: list[dict[str, str]] = []
    for index in range(len(dataset)):
        if len(shown) == count:
            break
        pair = dataset[index]
        if isinstance(pair, Unreadable):
            continue
        found, batch = {}, as_batch([(pair, True)])
        for label, network in networks.items():
            with evaluation(network), torch.inference_mode():
                ((_, found[label]),) = found_in(network, batch)
        path = folder.path / "pictures" / f"{len(shown):02d}.png"
        write_bytes(path, draw_sheet(pair, found))
        shown.append(path)
        errors = ", ".join(
            f"{label} {float((one - pair.disparity).abs()[pair.valid].mean()):.2f} px"
            for label, one in found.items()
        )
        alt = f"{pair.name}: both views, the true disparity, and the errors of {errors}"
        told.append({"file": f"pictures/{path.name}", "alt": alt})
    write_json(folder.path / "pictures.json", told)
    return shown
