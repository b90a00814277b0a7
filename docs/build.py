"""Make what the documentation shows from the project itself.

python docs/build.py                       the tables of README and docs/attentions.md, and the
                                           pages of docs/results
python docs/build.py --check               the same, but only say whether they are up to date
python docs/build.py --picture             docs/images/first-look.png (trains for a few minutes)
python docs/build.py --plot                docs/images/scaling.png from benchmarks/results
python docs/build.py --add STUDY NAME      keep a study as docs/results/NAME.json, .csv, .png, .md;
                                           --title and --note say what its files cannot
python docs/build.py --add-explain FOLDER NAME     the same for a folder of foveate explain
python docs/build.py --paper               docs/paper.md: the paper's tables beside ours
python docs/build.py --zoo                 count and time every attention; 10 minutes
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from foveate.report.publish import draw_missing, lacking, pages_of, publish, publish_explained

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
RESULTS = DOCS / "results"
MEASURED = DOCS.parent / "benchmarks" / "results"
PAPER = DOCS / "paper.md"
PICTURE = DOCS / "images" / "first-look.png"
PLOT = DOCS / "images" / "scaling.png"
PAGES = (
    README,
    DOCS.parent / "README.zh.md",
    *(DOCS / name for name in ("attentions.md", "export.md", "open-choices.md", "performance.md")),
)
_KINDS_ZH = {
    "channel": "通道",
    "spatial": "空间",
    "both": "通道与空间",
    "self-attention": "自注意力",
    "convolution": "卷积",
}
# Headings whose lines are shown as code.
_CODE = ("options", "whole networks")


def zoo_table(page: str = "") -> str:
    """Every attention of the registry as a Markdown table; a short one with links to ``page``."""
    from foveate.attention import attention_spec, list_attentions
    from foveate.bench.zoo import plain_words, read_zoo

    zoo, heads = read_zoo(), ["name", "attention", "kind", "year"]
    numbers = (
        ["parameters", "MACs", "forward"] if page else ["parameters", "MACs", "forward", "step"]
    )
    heads += numbers if page else ["default site", *numbers, "paper"]
    lines = [
        "| " + " | ".join(heads) + " |",
        "|" + "|".join("---:" if head in numbers else "---" for head in heads) + "|",
    ]
    for name in list_attentions(undefined=True):
        spec, cost = attention_spec(name), zoo.costs.get(name)
        texts = cost.texts if cost else ("-",) * 4
        cells = [f"[`{name}`]({page}#{name})", spec.title, spec.kind, str(spec.year)]
        if page:
            cells += texts[:3]
        else:
            paper = f"[{spec.paper}]({spec.link})" if spec.link else spec.paper
            site = "not made" if spec.undefined else f"`{spec.site}`"
            cells += [site, *texts, paper]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", plain_words() + " MACs are counted in full, norms included."])


def open_choices() -> str:
    """What the paper leaves open, an option of the gate a row."""
    sys.path.append(str(DOCS / "making"))
    from choices import choices_table

    return choices_table()


def zoo_table_zh() -> str:
    """The short table of attentions for the Chinese README."""
    from foveate.attention import attention_spec, list_attentions
    from foveate.bench.zoo import read_zoo

    zoo = read_zoo()
    heads = ("名称", "注意力", "类型", "年份", "参数量", "MACs", "前向耗时")
    lines = ["| " + " | ".join(heads) + " |", "|---|---|---|---|---:|---:|---:|"]
    for name in list_attentions(undefined=True):
        spec, cost = attention_spec(name), zoo.costs.get(name)
        texts = cost.texts[:3] if cost else ("-",) * 3
        link = f"[`{name}`](docs/attentions.md#{name})"
        cells = [link, spec.title, _KINDS_ZH[spec.kind], str(spec.year), *texts]
        lines.append("| " + " | ".join(cells) + " |")
    plain, how = zoo.costs["none"].texts, zoo.conditions
    said = (
        f"以上为插入后的 ResNet-50（224 x 224），"
        f"不加注意力时为 {plain[0]}、{plain[1]}、1.00x。"
        f"耗时为单张图像前向相对于原网络的比值，实测于 {how['processor']}，"
        f"{how['threads']} 线程，torch {how['torch']}。MACs 全部计入，归一化层也不例外。"
    )
    return "\n".join([*lines, "", said])


def sites_table() -> str:
    """Every site as a row."""
    from foveate.surgery import SITES

    rows = [f"| `{site}` | {meaning} |" for site, meaning in SITES.items()]
    return "\n".join(["| site | what it is |", "|---|---|", *rows])


def attention_cards() -> str:
    """Everything that is known about each attention, a section each."""
    from foveate.attention import attention_spec, list_attentions
    from foveate.attention.card import facts

    parts = []
    for name in list_attentions(undefined=True):
        spec = attention_spec(name)
        parts += [f"### {name}", "", f"{spec.title} ({spec.kind}, {spec.year}).", ""]
        for head, lines in facts(spec).items():
            if head in _CODE or len(lines) == 1:
                shown = [f"`{line}`" if head in _CODE else line for line in lines]
                parts += [f"- **{head}**: {', '.join(shown)}"] if shown else []
            elif lines:
                parts += [f"- **{head}**:", *(f"  - {line}" for line in lines)]
        parts.append("")
    return "\n".join(parts).rstrip()


def results_table() -> str:
    """The kept results as Markdown, a line each; the tables stand on their pages."""
    lines = []
    for path in sorted(RESULTS.glob("*.json")):
        study = json.loads(path.read_text(encoding="utf-8"))
        page = f"docs/results/{path.stem}.md"
        said = (study.get("starts") or {}).get("headline") or study["headline"]
        title = study.get("title") or f"{study['model']} on {study['data']}"
        lines.append(f"- **[{title}]({page})**. {said}")
    return "\n".join(lines) or "Not run."


def costs_table() -> str:
    """Networks with four (MobileNetV2: seven) gates, in both conventions, as Markdown."""
    import foveate

    lines = [
        "| network | parameters (M) | MACs (G) | published: parameters | published: MACs |"
        " plain: parameters | plain: MACs |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in ("resnet18", "resnet50", "resnet101", "torchvision/mobilenet_v2"):
        gated = foveate.accounting.count(foveate.create_model(name, "das"))
        plain = foveate.accounting.count(foveate.create_model(name))
        values = (
            *(gated.params / 1e6, gated.macs / 1e9),
            *(gated.params_published / 1e6, gated.macs_published / 1e9),
            *(plain.params / 1e6, plain.macs / 1e9),
        )
        cells = " | ".join(f"{value:.2f}" for value in values)
        lines.append(f"| {name} + DAS | {cells} |")
    lines += [
        "",
        '"Published" is the convention that agrees with the figures of the paper: the kernel of the'
        " deformable convolution is left out. The first two columns are the cost.",
    ]
    return "\n".join(lines)


def measurements() -> list[Any]:
    """Every published result of the benchmark."""
    from foveate.bench import is_result, read_result

    files = [path for path in sorted(MEASURED.glob("*.json")) if is_result(path)]
    return [one for one in map(read_result, files) if not one.conditions.quick]


def measured(table: str) -> str:
    """A table of the benchmark, a part per machine."""
    from foveate.bench import markdown

    make: Callable[[list[Any]], str] = getattr(markdown, table)
    return make(measurements())


def exported(table: str) -> str:
    """A table of what exported networks come to."""
    if str(DOCS) not in sys.path:
        sys.path.append(str(DOCS))
    import export_table

    make: Callable[[], str] = getattr(export_table, table)
    return make()


def performance_means() -> str:
    """The table of the benchmark without its maps: means, goals, conditions."""
    lines = measured("performance").split("\n")
    return "\n".join(line for line in lines if not re.match(r"\| \d", line))


def plot() -> Path:
    """Draw the scaling of the first machine that measured it."""
    from foveate.bench.plot import scaling_png

    chosen = next((one for one in measurements() if "scaling" in one.suites), None)
    if chosen is None:
        raise SystemExit(f"{MEASURED}: no result of the scaling suite; run: make bench")
    PLOT.write_bytes(scaling_png(chosen))
    return PLOT


TABLES: dict[str, Callable[[], str]] = {
    "attention-cards": attention_cards,
    "attentions": partial(zoo_table, "docs/attentions.md"),
    "attentions-zh": zoo_table_zh,
    "costs": costs_table,
    "export-forms": partial(exported, "gate_forms"),
    "export-parity": partial(exported, "parity"),
    "open-choices": open_choices,
    "performance": partial(measured, "performance"),
    "performance-means": performance_means,
    "results": results_table,
    "sites": sites_table,
    "zoo": zoo_table,
    "scaling": partial(measured, "scaling"),
}


def fill(text: str) -> str:
    """Put the present tables between the markers of a page; a page without markers is kept."""
    for name, table in TABLES.items():
        begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
        if (begin in text) != (end in text):
            raise SystemExit(f"one of the markers {begin} and {end} is missing")
        if begin in text:
            pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
            made = f"{begin}\n{table()}\n{end}"
            text = pattern.sub(lambda _, made=made: made, text)
    return text


def paper() -> Path:
    """Write the paper's tables beside ours into their page."""
    from foveate.paper import page

    PAPER.write_text(page(), encoding="utf-8")
    return PAPER


def outdated() -> dict[Path, str]:
    """What every generated page should say, of those that say something else or are missing."""
    pages = {page: fill(page.read_text(encoding="utf-8")) for page in PAGES}
    pages |= pages_of(RESULTS)
    return {
        path: text
        for path, text in pages.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }


def picture(size: int = 96, epochs: int = 5, rows: tuple[int, ...] = ()) -> Path:
    """Train a small gated network on generated scenes and show what its gates read."""
    import tempfile

    import torch

    import foveate
    from foveate.data import open_dataset
    from foveate.explain import figures, grad_cam, sampling_points
    from foveate.training import RunFolder, default_recipe, train

    recipe = default_recipe("scenes").changed(
        **{
            "data.size": size,
            "data.limit_train": 2000,
            "model.name": "resnet10t",
            "model.attention": "das",
            "model.width": 0.5,
            "train.epochs": epochs,
        }
    )
    dataset = open_dataset("scenes", "val", size=size, limit=recipe.data.limit_val)
    with tempfile.TemporaryDirectory() as folder:
        run: RunFolder = train(recipe, folder, progress=True)
        model = run.load_model()
        prepare = run.prepare
        chosen = list(rows) or _legible(model, dataset, prepare)
        images = torch.stack([prepare(dataset[index].image) for index in chosen])
    torch.manual_seed(0)
    options = {"num_classes": len(dataset.classes), "width": recipe.model.width}
    fresh = foveate.create_model("resnet10t", "das", **options).eval()
    boxes = [dataset.annotation(index).boxes for index in chosen]
    centers = torch.stack(
        [torch.stack([(b[0, 1] + b[0, 3] - 1) / 2, (b[0, 0] + b[0, 2] - 1) / 2]) for b in boxes]
    )
    labels = [dataset[index].label for index in chosen]
    heat = grad_cam(model, images, classes=labels).maps
    before, after = (sampling_points(m, images, centers)[1:3] for m in (fresh, model))
    titles = (
        "the image",
        "read by gates, untrained",
        "and trained",
        f"mean gate, {after[0].map_size[0]} x {after[0].map_size[1]} map",
        "Grad-CAM of the class",
    )
    figure = figures.new_figure(12.5, 2.56 * len(chosen) + 0.72, dpi=100)
    axes = figure.subplots(len(chosen), 5, squeeze=False)
    for row, index in enumerate(chosen):
        image = dataset[index].image
        figures.draw_image(axes[row][0], image, boxes[row])
        figures.draw_points(axes[row][1], image, before, row, boxes[row])
        figures.draw_points(axes[row][2], image, after, row, boxes[row])
        figures.draw_gate(axes[row][3], after[0], row)
        figures.draw_heat(axes[row][4], image, heat[row], boxes[row])
        for ax, title in zip(axes[row], titles, strict=True):
            ax.set_title(title if row == 0 else "", fontsize=12)
    handles, _ = axes[0][2].get_legend_handles_labels()
    names = [f"gate after {s.site}, {s.map_size[0]} x {s.map_size[1]} map" for s in after]
    figure.legend(handles, names, loc="lower center", ncol=4, fontsize=11, frameon=False)
    bottom = 0.42 / figure.get_figheight()
    top = 1 - 0.32 / figure.get_figheight()
    figure.subplots_adjust(0.005, bottom, 0.995, top, wspace=0.03, hspace=0.03)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(figures.png_bytes(figure, colors=None))
    return PICTURE


def _legible(model: Any, dataset: Any, prepare: Any, count: int = 2) -> list[int]:
    """Images of different classes that the network gets right."""
    import torch

    found: dict[int, int] = {}
    for index in range(len(dataset)):
        sample = dataset[index]
        with torch.no_grad():
            guess = int(model(prepare(sample.image)[None]).argmax())
        if guess == sample.label:
            found.setdefault(sample.label, index)
        if len(found) == count:
            break
    return list(found.values())


def main() -> None:
    """Do what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if outdated")
    parser.add_argument("--picture", action="store_true", help="make the README's picture")
    parser.add_argument("--plot", action="store_true", help="draw the scaling of the gate")
    parser.add_argument("--add", nargs=2, metavar=("STUDY", "NAME"), help="keep a study")
    parser.add_argument(
        "--add-explain", nargs=2, metavar=("FOLDER", "NAME"), help="keep what explain found"
    )
    parser.add_argument("--title", default="", help="of the page that is added")
    parser.add_argument(
        "--note", default="", help="a limit that the files of the study cannot tell"
    )
    parser.add_argument("--paper", action="store_true", help="make docs/paper.md")
    parser.add_argument("--zoo", action="store_true", help="count and time every attention anew")
    arguments = parser.parse_args()
    if arguments.picture:
        print(picture())
    if arguments.plot:
        print(plot())
    if arguments.add:
        study, name = arguments.add
        print(publish(study, RESULTS, name, arguments.title, arguments.note))
    if arguments.add_explain:
        folder, name = arguments.add_explain
        print(publish_explained(folder, RESULTS, name, arguments.title, arguments.note))
    if arguments.paper:
        print(paper())
    if arguments.zoo:
        from foveate.bench.zoo import measure_zoo

        measure_zoo(print, threads=2)
    if arguments.check:
        stale = [path.name for path in outdated()]
        stale += [path.name for path in lacking(RESULTS)]
        if stale:
            sys.exit(f"not up to date: {', '.join(stale)}; run: python docs/build.py")
        return
    draw_missing(RESULTS)
    for path, text in outdated().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
