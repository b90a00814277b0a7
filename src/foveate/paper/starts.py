"""Gates put into a trained network: what each start does to it, and how fine-tuning goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foveate.report.starts import BASE
from foveate.training import Recipe, Study, StudyFolder, default_study, run_study

EPOCHS = 5
SLOWER = 10
# The plain network, fine-tuned alike, is what "none" stands for in this study.
STARTS: dict[str, dict[str, Any]] = {
    "paper": {},
    "two-phase": {"train.gates_first": 1},
    "identity": {"model.start": "identity", "model.opening": "learn"},
    "identity-linear": {"model.start": "identity", "model.opening": "linear"},
    # Opened within one epoch, the network may not follow: four are the whole study but its end.
    "identity-linear-4": {
        "model.start": "identity",
        "model.opening": "linear",
        "model.opening_epochs": 4.0,
    },
}
NOTE = (
    f"Every network starts from the plain one of its seed, trained by the same recipe on the same"
    f" images (base), and is fine-tuned on them for {EPOCHS} epochs at 1/{SLOWER} of that rate, by"
    " cosine without warm-up; none is the plain network, fine-tuned alike. Nothing is said of"
    " other rates, or of training on other images."
)


def studies(recipe: Recipe, seeds: int | list[int], folder: str | Path) -> tuple[Study, Study]:
    """The study that trains the base networks, and the one that puts gates into them.

    Args:
        recipe: How the base networks are trained.
        seeds: Seeds of both.
        folder: Where the second study lies; the first one lies in its folder ``base``.

    Raises:
        ValueError: If the recipe starts from weights of its own.
    """
    base = default_study(recipe=recipe, attentions=["none"], seeds=seeds, control=False)
    runs = StudyFolder(Path(folder).resolve() / BASE).path / "runs"
    tuned = base.recipe.changed(
        **{
            "train.epochs": EPOCHS,
            "train.lr": recipe.train.base_lr / SLOWER,
            "train.schedule": "cosine",
            "train.milestones": [],
            "train.warmup_epochs": 0.0,
            "train.validate_start": True,
            "model.attention": "das",
            "model.pretrained": False,
            "model.weights": str(runs / "none-seed{seed}"),
        }
    )
    variants = {label: {"attention": "das", "changes": made} for label, made in STARTS.items()}
    return base, default_study(
        recipe=tuned, attentions=["none"], seeds=seeds, control=False, variants=variants
    )


def run_starts(
    recipe: Recipe, seeds: int | list[int], folder: str | Path, progress: bool = True
) -> None:
    """Train the base networks, then fine-tune them with gates; redo only what is missing.

    Raises:
        ValueError: If the folder holds another study.
        Interrupted: On Ctrl-C; finished runs are kept.
    """
    base, tuned = studies(recipe, seeds, folder)
    target = StudyFolder(folder)
    target.check(tuned, resume=True)
    # The folder of the base networks lies inside, which must be a study before it has others in it.
    target.start(tuned)
    run_study(base, target.path / BASE, progress=progress)
    run_study(tuned, target.path, progress=progress)
