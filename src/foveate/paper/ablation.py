"""The paper's ablations, each as a study: which networks it compares, and by which recipe.

Designs are those of table 4, norms those of table 5, alpha that of figure 3. All on one's own
data, by one's own recipe; the defaults are small enough for a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foveate.core import expected, suggest
from foveate.paper.starts import NOTE, run_starts
from foveate.report import write_report
from foveate.report.publish import publish
from foveate.training import Recipe, default_recipe, default_study, parse_recipe, run_study

NORMS = ("none", "batch", "instance", "layer", "group")
ALPHAS = (0.01, 0.03, 0.1, 0.2, 0.5, 1.0)
# Generated scenes whose class is a relation: do object and marker share their color? Half of the
# markers lie far from the object. What a gate reads from far away decides here, so designs differ.
_RELATION: dict[str, Any] = {
    "data": {
        "source": "scenes",
        "size": 64,
        "limit_train": 640,
        "limit_val": 600,
        "augment": "none",
        "options": {"cue": "match"},
    },
    "model": {"name": "resnet14t", "width": 0.375},
    "train": {
        "epochs": 20,
        "batch_size": 16,
        "optimizer": "adamw",
        "warmup_epochs": 2,
        "channels_last": True,
    },
}


@dataclass(frozen=True)
class Ablation:
    """One ablation.

    Attributes:
        title: Its name in words.
        help: What it compares, in a sentence.
        variants: What is compared with the plain network, by label; see
            :class:`foveate.training.study.Variant`. Empty for the study of starts.
        model: The network of the default recipe on generated scenes; "" for the one that
            ``foveate compare`` takes there, with its recipe.
        note: What the page says of the study besides what its files tell.
    """

    title: str
    help: str
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    model: str = "resnet14t"
    note: str = ""

    def recipe(self, source: str = "scenes") -> Recipe:
        """The recipe where the user names none.

        Args:
            source: The data, as in ``foveate.data.open_dataset``.
        """
        if source != "scenes" or not self.model:
            return default_recipe(source)
        tree = {**_RELATION, "model": {**_RELATION["model"], "name": self.model}}
        return parse_recipe(tree, "Ablation.recipe")


ABLATIONS: dict[str, Ablation] = {
    "ablation-design": Ablation(
        title="Designs of the gate",
        help="The designs a to h of table 4 at the gate's sites; c is the gate.",
        variants={
            letter: {"attention": "das" if letter == "c" else f"das_{letter}"}
            for letter in "abcdefgh"
        },
        note="The designs are completed where the paper's text leaves gaps.",
    ),
    "ablation-norm": Ablation(
        title="Norms before and after the deformable convolution",
        help="Every pair of five norms before and after the deformable convolution, as table 5.",
        variants={
            f"{before}-{after}": {
                "attention": "das",
                "options": {"norm_before": before, "norm_after": after},
            }
            for before in NORMS
            for after in NORMS
        },
    ),
    "ablation-alpha": Ablation(
        title="The squeeze ratio alpha",
        help="The squeeze ratio alpha from 0.01 to 1, as figure 3.",
        variants={
            f"alpha-{alpha:g}": {"attention": "das", "options": {"alpha": alpha}}
            for alpha in ALPHAS
        },
    ),
    "ablation-sites": Ablation(
        title="Number and position of gates",
        help="Gates at the end of one stage to all of them, of every block, and before instead of"
        " after the activation.",
        variants={
            "last-stage": {"attention": "das", "where": "stages@-1"},
            "last-two": {"attention": "das", "where": "stages@-2..-1"},
            "all-but-first": {"attention": "das", "where": "stages@2..-1"},
            "stages": {"attention": "das", "where": "stages"},
            "blocks": {"attention": "das", "where": "blocks"},
            "before": {
                "attention": "das",
                "where": "stages",
                "changes": {"model.position": "before"},
            },
            "post-norm": {"attention": "das", "where": "post_norm"},
        },
        # Two blocks a stage: with one, stages and blocks would be the same places.
        model="resnet18",
    ),
    "ablation-start": Ablation(
        title="Gates put into a trained network",
        help="Accuracy right after gates are put into a trained network, and after each epoch of"
        " fine-tuning, by start.",
        # A task that the plain network learns well: there must be something to destroy.
        model="",
        note=NOTE,
    ),
}


def run_ablation(
    name: str,
    *,
    recipe: Recipe | None = None,
    data: str | None = None,
    seeds: int | list[int] = 3,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Path:
    """Run an ablation, or what is missing of it, and write its table and plot.

    Args:
        name: One of ``ABLATIONS``.
        recipe: What all runs share; by default ``ABLATIONS[name].recipe(data)``.
        data: The data instead of the recipe's.
        seeds: How many seeds, or which.
        out: The study folder; by default ``runs/NAME-DATA``.
        quiet: Whether to show no progress.

    Returns:
        The study folder: besides the runs it holds ``report.html``, ``results.csv``, the page
        ``summary.md``, its plot ``summary.png`` and its numbers ``summary.json``.

    Raises:
        ValueError: If the name is unknown, or the folder holds another study.
        FileNotFoundError: If the data are not there.
        Interrupted: On Ctrl-C; the same call goes on.
    """
    if name not in ABLATIONS:
        rule = f"one of {list(ABLATIONS)}"
        raise ValueError(expected("run_ablation", rule, name, suggest(name, ABLATIONS)))
    ablation = ABLATIONS[name]
    base = recipe or ablation.recipe(data or "scenes")
    if data is not None:
        base = base.changed(**{"data.source": data})
    kind = Path(base.data.source.split(":")[0]).name
    folder = Path(out) if out is not None else Path("runs") / f"{name}-{kind}"
    if ablation.variants:
        study = default_study(
            recipe=base,
            attentions=["none"],
            seeds=seeds,
            control=False,
            variants={label: dict(variant) for label, variant in ablation.variants.items()},
        )
        run_study(study, folder, progress=not quiet)
    else:
        run_starts(base, seeds, folder, progress=not quiet)
    write_report(folder)
    publish(folder, folder, title=ablation.title, note=ablation.note)
    return folder
