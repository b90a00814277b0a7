"""Draw the figures of docs/concepts.md from the project itself, into docs/images.

python docs/figures.py              all of them; a minute
python docs/figures.py gate sites   some of them: gate, sites, opening, cost
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

IMAGES = Path(__file__).parent / "images"
INK, QUIET, TEAL, AMBER, ROSE, BLUE = (
    *("#1f2933", "#7b8794", "#00796b"),
    *("#b26a00", "#ad1457", "#1565c0"),
)
FILL = {INK: "#f1f5f9", TEAL: "#d9f0ec", AMBER: "#fdf0d9"}
# One seed and no date, so that the same code draws the same file.
torch.manual_seed(0)


def new_axes(width: float, height: float) -> tuple[Any, Any]:
    """A figure with one pair of axes, in type that is legible on a phone."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "foveate", "font.size": 13, "axes.edgecolor": QUIET})
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def save(figure: Any, name: str) -> Path:
    """Write a figure as SVG."""
    path = IMAGES / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    return path


def gate_steps(channels: int = 64, side: int = 56) -> list[tuple[str, str, int]]:
    """The parts of a DAS gate in the order in which they run: kind, output, parameters.

    Watched in one forward pass of the registered module; what has no module of its own, the
    LayerNorm with sigmoid and product, is what is left of the parameters.
    """
    from foveate.attention import attention_spec, create_attention

    gate = create_attention("das", channels).eval()
    seen: list[tuple[str, str, int]] = []
    hooks = []
    for module in gate.modules():
        if next(module.children(), None) is None:
            hooks.append(
                module.register_forward_hook(
                    lambda part, _, out: seen.append((_title(part), _shape(out), _size(part)))
                )
            )
    with torch.no_grad():
        gate(torch.rand(1, channels, side, side))
    for hook in hooks:
        hook.remove()
    kept = [step for step in seen if step[0] != "Identity"]
    rest = attention_spec("das").params(channels) - sum(count for *_, count in kept)
    kept.append(("LayerNorm, sigmoid", f"{channels} x {side} x {side}", rest))
    return kept


def _title(part: Any) -> str:
    name = type(part).__name__
    if "kernel_size" in vars(part):
        size = "x".join(map(str, part.kernel_size))
        if part.groups > 1:
            return f"depthwise conv {size}"
        if "Pointwise" in name or size == "1x1":
            return f"pointwise conv {size}"
        return f"conv {size}: offsets, mask"
    return {"DeformKernel": "deformable conv 3x3"}.get(name, name)


def _shape(out: Any) -> str:
    return " x ".join(map(str, out.shape[1:]))


def _size(part: Any) -> int:
    return sum(weight.numel() for weight in part.parameters())


def draw_gate() -> Path:
    """The data flow of a gate, from top to bottom."""
    from matplotlib.patches import FancyBboxPatch

    steps = gate_steps()
    figure, axes = new_axes(5.4, 1.05 * (len(steps) + 2))
    top = len(steps) + 1
    axes.set_xlim(0, 10)
    axes.set_ylim(-0.55, top + 0.5)
    axes.axis("off")

    def box(y: float, text: str, below: str, color: str) -> None:
        patch = FancyBboxPatch(
            (1.1, y - 0.36),
            6.6,
            0.72,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=FILL[color],
            edgecolor=color,
        )
        axes.add_patch(patch)
        axes.text(4.4, y + 0.13, text, ha="center", va="center", color=INK, fontsize=14)
        axes.text(4.4, y - 0.2, below, ha="center", va="center", color=INK, fontsize=10.5)

    def arrow(points: list[tuple[float, float]], color: str) -> None:
        xs, ys = zip(*points[:-1], strict=True)
        axes.plot(xs, ys, color=color, lw=1.6, solid_joinstyle="round")
        axes.annotate(
            "",
            points[-1],
            points[-2],
            arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.6, "mutation_scale": 16},
        )

    box(top, "x", "64 x 56 x 56", INK)
    for number, (title, shape, count) in enumerate(steps):
        y = top - 1 - number
        looks = title.startswith(("conv", "deform"))
        said = f"{shape}; {count:,} weights" if count else shape
        box(y, title, said, AMBER if looks else TEAL)
        arrow([(4.4, y + 0.64), (4.4, y + 0.38)], INK)
    box(0, "y = x · gate", "64 x 56 x 56", INK)
    arrow([(4.4, 0.64), (4.4, 0.38)], INK)
    arrow([(7.7, top), (9.2, top), (9.2, 0), (7.74, 0)], QUIET)
    spot = next(n for n, step in enumerate(steps) if step[0].startswith("conv"))
    before, after = top - spot, top - 2 - spot
    arrow([(1.1, before), (0.4, before), (0.4, after), (1.06, after)], AMBER)
    return save(figure, "gate")


def draw_sites() -> Path:
    """Where attentions go in a ResNet-18, as foveate.plan finds it."""
    import foveate

    net = foveate.create_model("resnet18").eval()
    wheres = ("stages", "blocks", "skips", "strides", "post_norm", "after_conv2", "replace_conv2")
    found = {}
    for where in wheres:
        attention = "dcnv2" if where.startswith("replace") else "das"
        found[where] = {site.name for site in foveate.plan(net, attention, where).sites}
    blocks = [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]
    parts = [f"{block}.{part}" for block in blocks for part in ("conv2", "bn2", "")]
    columns = ["stem", *(part.rstrip(".") for part in parts), "head"]
    figure, axes = new_axes(7.2, 4.4)
    for row, where in enumerate(wheres):
        y = len(wheres) - row
        axes.plot([0, len(columns) - 1], [y, y], color="#d5dbe1", lw=2, zorder=1)
        spots = []
        for name in found[where]:
            name = name if name in columns else f"{name}.1"  # a stage ends with its second block
            spots.append(columns.index(name))
        axes.scatter(spots, [y] * len(spots), s=90, color=TEAL, zorder=2, edgecolor="white")
        axes.text(len(columns), y, f"{len(spots)}", va="center", color=INK)
    for stage in (1, 2, 3, 4):
        left, right = columns.index(f"layer{stage}.0.conv2"), columns.index(f"layer{stage}.1")
        axes.axvspan(left - 0.5, right + 0.5, color=FILL[INK] if stage % 2 else "white", zorder=0)
        axes.text((left + right) / 2, len(wheres) + 0.75, f"layer{stage}", ha="center", color=INK)
    axes.set_yticks(range(len(wheres), 0, -1), wheres, fontfamily="monospace", fontsize=12)
    axes.set_xticks([0, len(columns) - 1], ["stem", "head"])
    axes.set_ylim(0.4, len(wheres) + 1.2)
    axes.set_xlim(-1, len(columns) + 1)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return save(figure, "sites")


def draw_opening() -> Path:
    """How far the output moves from the plain network's while the gates open."""
    import foveate
    from foveate.surgery import set_openness_

    figure, axes = new_axes(6, 4)
    images = torch.rand(8, 3, 64, 64)
    steps = [number / 20 for number in range(21)]
    for name, color, lift in (("das", TEAL, 3), ("se", AMBER, -4), ("cbam", ROSE, -11)):
        torch.manual_seed(0)
        net = foveate.create_model("torchvision/resnet18", name, start="identity").eval()
        moved = []
        with torch.no_grad():
            plain = net(images)
            for step in steps:
                set_openness_(net, step)
                moved.append(float((net(images) - plain).norm() / plain.norm()))
        axes.plot(steps, moved, color=color, lw=2.2)
        end = (steps[-1], moved[-1])
        axes.annotate(name, end, (6, lift), textcoords="offset points", color=color)
    axes.set_xlabel("openness")
    axes.set_ylabel("change of the output, relative")
    axes.set_xlim(0, 1.12)
    axes.set_ylim(0)
    axes.grid(color="#e4e7eb")
    axes.spines[["top", "right"]].set_visible(False)
    return save(figure, "opening")


def draw_cost() -> Path:
    """What attentions of 256 channels cost against the side of the map, counted."""
    from foveate.accounting import count
    from foveate.attention import create_attention

    figure, axes = new_axes(6, 4.2)
    sides = (7, 14, 28, 56, 112)
    drawn = (("nl", ROSE), ("das", TEAL), ("das_lite", BLUE), ("se", AMBER))
    for name, color in drawn:
        with torch.device("meta"):
            module = create_attention(name, 256)
        macs = [count(module, (256, side, side)).macs / 1e9 for side in sides]
        axes.plot(sides, macs, color=color, lw=2.2, marker="o")
        axes.annotate(name, (sides[-1], macs[-1]), (7, -3), textcoords="offset points", color=color)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sides, [f"{side}" for side in sides])
    axes.minorticks_off()
    axes.set_xlim(6, 210)
    axes.set_xlabel("side of the map, pixels")
    axes.set_ylabel("GMAC of one module")
    axes.grid(color="#e4e7eb")
    axes.spines[["top", "right"]].set_visible(False)
    return save(figure, "cost")


FIGURES = {"gate": draw_gate, "sites": draw_sites, "opening": draw_opening, "cost": draw_cost}


def main() -> None:
    """Draw what the arguments name."""
    for name in sys.argv[1:] or FIGURES:
        if name not in FIGURES:
            sys.exit(f"no figure {name}; there are {', '.join(FIGURES)}")
        print(FIGURES[name]())


if __name__ == "__main__":
    main()
