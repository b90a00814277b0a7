"""Folders that foveate writes and reads again: runs, studies, surveys, kept regions, reports."""

import functools
import json
import shutil
import tempfile
from pathlib import Path

import torch
from explained_tools import write_explained
from harness import reader
from hypothesis import strategies as st
from mutations import chosen, damaged, json_files
from setting_readers import toml_files
from tests_detection_tools import write_detection_study
from tests_report_tools import write_study

from foveate.data import open_images
from foveate.explain.regions import BoxRegions, Cached, Region, write_contact_sheet
from foveate.explain.regions.cached import read_entry
from foveate.explain.regions.weights import Checkpoint
from foveate.explain.survey.ledger import Ledger
from foveate.paper.sfd import sfd
from foveate.report import write_report
from foveate.report.explained_kept import write_kept
from foveate.report.kept import keep, metrics_csv
from foveate.report.publish import page_of, pages_of
from foveate.training import RunFolder, StudyFolder
from foveate.training.checkpoints import AtomicCheckpointIO
from foveate.training.toml import read_toml


def _made(write):
    """Return what a folder holds that ``write`` fills: bytes by path inside it."""
    with tempfile.TemporaryDirectory() as made:
        home = write(Path(made) / "it")
        return {
            path.relative_to(home).as_posix(): path.read_bytes()
            for path in sorted(home.rglob("*"))
            if path.is_file()
        }


def _put(files, folder):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _wrong(content, name):
    """A strategy of wrong versions of a file, by its kind."""
    if name.endswith(".json"):
        return json_files(json.loads(content))
    if name.endswith(".toml"):
        with tempfile.NamedTemporaryFile(suffix=".toml") as file:
            Path(file.name).write_bytes(content)
            return toml_files(read_toml(Path(file.name)))
    return damaged(content, text=name.endswith(".csv")) | chosen(b"", b"\xff\xfe", b"a,b\n" * 9)


def one_wrong(files, names):
    """A strategy of folders in which one of the named files is wrong."""
    pairs = st.sampled_from(names)
    return pairs.flatmap(lambda name: st.tuples(st.just(name), _wrong(files[name], name)))


def _same(files):
    """The folder with nothing wrong in it."""
    name = min(files)
    return name, files[name]


@functools.cache
def _study(kind):
    write = write_study if kind == "networks" else write_detection_study
    return _made(lambda path: write(path, seeds=(0, 1)))


NETWORKS, DETECTORS = _study("networks"), _study("detectors")
RUN = [f"runs/none-seed0/{name}" for name in ("config.toml", "environment.json", "result.json")]
FILES = ["study.toml", "costs.json", "runs/none-seed0/metrics.csv", *RUN]


def _report(files, wrong, folder):
    _put({**files, wrong[0]: wrong[1]}, folder)
    write_report(folder)
    metrics_csv(folder)
    try:
        kept = keep(folder)
    except ValueError as error:
        if "a finished study" not in str(error):
            raise
    else:
        json.dumps(kept)


@reader("reports", "the folder of foveate compare", _same(NETWORKS), one_wrong(NETWORKS, FILES))
def read_report(wrong, folder):
    _report(NETWORKS, wrong, folder)


@reader(
    "reports of detectors",
    "the folder of foveate detect compare",
    _same(DETECTORS),
    one_wrong(DETECTORS, [*FILES, "pictures.json"]),
)
def read_detected(wrong, folder):
    _report(DETECTORS, wrong, folder)


@reader(
    "studies on disk", "study.toml and costs.json", _same(NETWORKS), one_wrong(NETWORKS, FILES[:2])
)
def read_study_folder(wrong, folder):
    _put({**NETWORKS, wrong[0]: wrong[1]}, folder)
    study = StudyFolder(folder)
    assert isinstance(study.costs, dict)
    assert study.labels and study.is_finished in (True, False)


@reader(
    "runs",
    "config.toml, metrics.csv, result.json, environment.json",
    _same(NETWORKS),
    one_wrong(NETWORKS, FILES[2:]),
)
def read_run(wrong, folder):
    _put({**NETWORKS, wrong[0]: wrong[1]}, folder)
    run = RunFolder(folder / "runs/none-seed0")
    assert run.recipe.train.epochs >= 1
    assert isinstance(run.result, dict) and isinstance(run.environment, dict)
    assert all(isinstance(value, float) for row in run.metrics for value in row.values())


def _checkpoint():
    import io

    buffer = io.BytesIO()
    tree = {"state_dict": {"a": torch.rand(4, 4)}, "epoch": 3, "foveate": {"rows": [{"lr": 0.1}]}}
    torch.save(tree, buffer)
    return buffer.getvalue()


class _Evil:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def _evil():
    import io

    buffer = io.BytesIO()
    torch.save({"state_dict": _Evil()}, buffer)
    return buffer.getvalue()


CHECKPOINT, EVIL = _checkpoint(), _evil()


@reader(
    "checkpoints",
    "checkpoints/*.ckpt",
    CHECKPOINT,
    damaged(CHECKPOINT) | chosen(EVIL, b"", b"PK\5\6"),
)
def read_checkpoint(content, folder):
    (folder / "a.ckpt").write_bytes(content)
    tree = AtomicCheckpointIO().load_checkpoint(folder / "a.ckpt")
    assert isinstance(tree, dict)
    assert not Path("executed").exists(), "what a checkpoint holds was run"


LOOK = _made(lambda path: write_explained(path, images=4, seeds=(0,)))
TOLD = json.loads(LOOK["explain.json"])


@reader("looks", "explain.json of foveate explain", LOOK["explain.json"], json_files(TOLD))
def read_look(content, folder):
    _put(NETWORKS, folder)
    _put({f"explain/{name}": one for name, one in LOOK.items()}, folder)
    (folder / "explain/explain.json").write_bytes(content)
    sfd(folder)
    write_kept(folder / "explain", folder / "kept", "it")
    write_report(folder)


def _kept():
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        _put(NETWORKS, home)
        tree = keep(home)
        _put(LOOK, home / "look")
        write_kept(home / "look", home, "look")
        return tree, json.loads((home / "look.json").read_bytes())


KEPT, KEPT_LOOK = _kept()


@reader(
    "published results",
    "docs/results/NAME.json",
    json.dumps(KEPT).encode(),
    json_files(KEPT) | json_files(KEPT_LOOK),
)
def read_published(content, folder):
    (folder / "it.json").write_bytes(content)
    page_of(folder / "it.json")
    pages_of(folder)


ASKED = {"source": "scenes", "layers": ["stage4"], "prints": {"weights of a": "0f"}}
SURVEY = {
    "survey.json": json.dumps(ASKED).encode(),
    "scores.csv": b"index,image,network,sfd\n0,a.png,das,0.5\n0,a.png,se,\n2,b.png,das,0.25\n",
    "left-out.csv": b"index,image,reason\n1,c.png,empty file (0 bytes)\n",
}


@reader(
    "surveys",
    "survey.json, scores.csv, left-out.csv",
    _same(SURVEY),
    one_wrong(SURVEY, sorted(SURVEY)),
)
def read_survey(wrong, folder):
    _put({**SURVEY, wrong[0]: wrong[1]}, folder)
    asked = {key: ASKED[key] for key in ("source", "layers")}
    ledger = Ledger(folder, asked, 2, batch=1, images=4, prints=ASKED["prints"])
    assert ledger.done <= set(range(4))
    assert all(set(one) == {"image", "reason"} for one in ledger.left_out)
    ledger.add([{"index": 3, "image": "d.png", "network": "das", "sfd": 0.5}])


def _regions():
    def write(folder):
        images = open_images("scenes", size=32, limit=16)
        detail = {
            "boxes": [{"box": [1.0, 2, 9, 9], "score": 0.5, "phrase": "a cat"}],
            "prompt": "a cat.",
        }

        class Told(BoxRegions):
            def region(self, dataset, index, image, class_name):
                mask = torch.zeros(32, 32, dtype=torch.bool)
                mask[4:9, 4:9] = True
                return Region(mask, "grounded-sam", "", detail)

        Cached(Told(), folder).region(images, 0, images[0].image, None)
        return folder

    return _made(write)


REGIONS = _regions()


@reader(
    "kept regions",
    "regions/*.json and their masks",
    _same(REGIONS),
    one_wrong(REGIONS, sorted(REGIONS)),
)
def read_regions(wrong, folder):
    home = folder / "regions"
    _put({**REGIONS, wrong[0]: wrong[1]}, home)
    sound = [one for path in home.glob("*.json") if (one := read_entry(path)) is not None]
    if sound:
        write_contact_sheet(home, folder / "sheet.html")
    shutil.rmtree(home)


CONFIG = {"model_type": "grounding-dino", "text_config": {"model_type": "bert"}}


@reader(
    "configurations of models",
    "config.json of a detector or segmenter",
    json.dumps(CONFIG).encode(),
    json_files(CONFIG),
)
def read_config(content, folder):
    (folder / "config.json").write_bytes(content)
    one = Checkpoint(str(folder), "detector", "AutoModel", ("grounding-dino",))
    assert one.config["model_type"] == "grounding-dino"
    json.dumps(one.provenance)
