"""What is kept of a finished study: its numbers, tests and conditions as one JSON tree."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foveate.attention import attention_spec
from foveate.core import Words, expected
from foveate.report.detected import detected_of
from foveate.report.reading import (
    NONE,
    RunRecord,
    StudyRecord,
    read_study,
    variants_of,
    whole_study,
)
from foveate.report.rows import Row, rows_of
from foveate.report.starts import starts_of
from foveate.report.statistics import compare, holm
from foveate.report.table import columns, gap_text, p_text
from foveate.report.wording import class_count, data_name, headline, legend, limits, subject

GATE = "das"
_SOURCES = r"(fashion-mnist|cifar100|imagenet|stanford-dogs|shards|coco|voc):(?!ROOT)[^\s\"']+"


def keep(folder: str | Path, title: str = "", note: str = "") -> dict[str, Any]:
    """Gather what a finished study came to, without the paths of the machine it ran on.

    Args:
        folder: A study folder.
        title: What the page is called; by default the network and the data.
        note: A limit of the study that its files cannot tell.

    Returns:
        A tree for JSON: the texts of the tables, the numbers behind them, tests, limits,
        conditions, the study with its recipe.

    Raises:
        FileNotFoundError: If the folder is no study.
        ValueError: If runs or costs are missing.
    """
    study = read_study(folder)
    with whole_study(study.path):
        return _keep(study, title, note)


def _keep(study: StudyRecord, title: str, note: str) -> dict[str, Any]:
    rows = rows_of(study)
    run = study.any_run()
    missing = [row.label for row in rows if row.runs < row.wanted]
    if missing or run is None or not study.costs:
        lacks = f"no finished run of every seed for {', '.join(missing)}" if missing else "no costs"
        raise ValueError(expected("keep", f"a finished study in {study.path}", Words(lacks)))
    metric = study.metric
    shown = [c for c in columns("accuracy", metric) if c.title not in ("runs", "verdict")]
    shown += [c for c in columns("cost", metric) if c.table == "cost"]
    source, model = subject(study)
    data = anonymous(data_name(source))
    environment = dict(run.environment)
    return {
        "task": metric.task,
        "title": title or f"{model} on {data}",
        "data": data,
        "model": model,
        "headline": headline(rows, class_count(study)),
        "columns": [column.title for column in shown],
        "rows": [[column.text(row) for column in shown] for row in rows],
        "legend": legend(study),
        "options": {
            label: dict(one.get("options", {})) for label, one in variants_of(study.study).items()
        },
        "against": _against_gate(study),
        "starts": starts_of(study),
        **_detected(study, rows),
        # The numbers behind the texts, for whoever wants to compute with them.
        metric.by_seed: {
            label: {str(seed): value for seed, value in study.scores(label).items()}
            for label in study.labels
        },
        "estimates": {row.label: asdict(row.score) for row in rows if row.score},
        "costs": dict(study.costs),
        "limits": limits(study, rows),
        "note": note,
        "seeds": study.seeds,
        "command": anonymous(environment["command"]),
        "commit": environment.get("commit"),
        "commits": _commits(study),
        "machine": environment.get("machine"),
        "versions": environment.get("versions", {}),
        "cost_conditions": dict(study.conditions),
        "conditions": _conditions(study, environment),
        "study": anonymous((study.path / "study.toml").read_text(encoding="utf-8")),
    }


def metrics_csv(folder: str | Path) -> str:
    """Every epoch of every run of a study as CSV, in six digits; epoch 0 is before the first step.

    Raises:
        FileNotFoundError: If the folder is no study.
    """
    study = read_study(folder)
    with whole_study(study.path):
        return _metrics_csv(study)


def _metrics_csv(study: StudyRecord) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [*study.metric.epochs, *_loss_parts(study)]
    writer.writerow(("label", "seed", "epoch", *names))
    for label in study.labels:
        for seed, run in study.finished(label).items():
            for epoch, row in _epochs(run):
                values = (row.get(key, math.nan) for key in names)
                texts = (f"{value:.6g}" if math.isfinite(value) else "" for value in values)
                writer.writerow((label, seed, epoch, *texts))
    return out.getvalue()


def anonymous(text: str) -> str:
    """A text without the places of one machine: data are ROOT, paths end where they begin.

    Example:
        >>> anonymous("foveate compare imagenet:/data/in --out /tmp/runs/one")
        'foveate compare imagenet:ROOT --out one'
    """
    return re.sub(r"(?<![\w.:/])/(?:[^\s\"'/]+/)+", "", re.sub(_SOURCES, r"\1:ROOT", text))


def _loss_parts(study: StudyRecord) -> list[str]:
    """Columns of the parts of the loss, where runs have some."""
    rows = (row for run in study.all_runs() for row in run.curve)
    return sorted({key for row in rows for key in row if key.startswith("loss_")})


def _detected(study: StudyRecord, rows: list[Row]) -> dict[str, Any]:
    """What only detectors have, and their further scores as tables."""
    found = detected_of(study)
    if found is None:
        return {}
    tables = {}
    for which, shown in (("further", rows), ("gaps", [row for row in rows if row.further_gaps])):
        heads = columns(which, study.metric)
        tables[which] = {
            "columns": [column.title for column in heads],
            "rows": [[column.text(row) for column in heads] for row in shown],
        }
    return {"detected": {**tables, **found}}


def _epochs(run: RunRecord) -> Iterator[tuple[int, dict[str, float]]]:
    start = (run.result or {}).get("start")
    if isinstance(start, dict):
        yield 0, {f"val_{key}": v for key, v in start.items() if isinstance(v, (int, float))}
    for turn, row in enumerate(run.curve, 1):
        yield int(row.get("epoch", turn)), row


def _against_gate(study: StudyRecord) -> dict[str, Any] | None:
    """Every variant against the gate as the paper has it, paired by seed."""
    gate = _gate_of(study)
    others = [label for label in study.labels if label not in (gate, NONE)]
    if gate is None or not others:
        return None
    compared = {label: compare(study.scores(label), study.scores(gate)) for label in others}
    corrected = holm({label: one.p for label, one in compared.items() if one})
    return {
        "label": gate,
        "rows": [
            [label, gap_text(compared[label], study.metric.unit), p_text(corrected.get(label))]
            for label in others
        ],
    }


def _gate_of(study: StudyRecord) -> str | None:
    """The label of the gate with every option as the paper has it, if the study has one."""
    spec = attention_spec(GATE)
    model = study.study.get("recipe", {}).get("model", {})
    if model.get("start", "paper") != "paper" or model.get("position", "after") != "after":
        return None
    where = model.get("where")
    for label, variant in variants_of(study.study).items():
        place = variant.get("where") or where
        plain = place in (None, spec.site) and not variant.get("changes")
        options = variant.get("options", {})
        if plain and variant.get("attention") == GATE and options.items() <= spec.options.items():
            return label
    given = study.study.get("options", {})
    usual = where in (None, spec.site) and not given.get(GATE)
    return GATE if GATE in study.labels and usual else None


def _commits(study: StudyRecord) -> list[str]:
    """Every commit that runs were made at, in order: a long study may see several."""
    runs = [run for label in study.labels for run in study.finished(label).values()]
    started = sorted(runs, key=lambda run: str(run.environment.get("started")))
    return list(dict.fromkeys(str(run.environment.get("commit")) for run in started))


def _conditions(study: StudyRecord, environment: dict[str, Any]) -> str:
    machine, versions = environment.get("machine") or {}, environment.get("versions", {})
    processor = machine.get("processor") if isinstance(machine, dict) else machine
    threads, commit = environment.get("threads"), environment.get("commit")
    used = f"{threads} thread" if threads == 1 else f"{threads} threads"
    return (
        f"{len(study.seeds)} seeds, {processor}, {used}, torch {versions.get('torch')},"
        f" foveate {versions.get('foveate')}, commit {commit[:12] if commit else 'not known'}."
        " Intervals are 95 %, over seeds; times are ratios measured in one run, with their spread."
    )
