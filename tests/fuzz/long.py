"""Try every reader of files on damaged and foreign ones for as long as there is time.

python tests/fuzz/long.py --minutes 20 [--only NAME] [--write]

Prints a line for each reader, and the findings: anything but a sound answer or a documented error,
more than 20 seconds or more than 3 GiB for one small file. Each reader has a process of its own;
what a process dies of is kept in the folder for temporary files, to be tried again. With --write
the counts go to tests/fuzz/results.json, from which `python docs/supply.py` makes the table of
docs/security.md.
Exits with 1 if anything was found.
"""

import argparse
import faulthandler
import json
import multiprocessing
import os
import pickle
import re
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
sys.path.insert(0, str(Path(__file__).parent))

import catalog
from harness import BYTES, SECONDS, Finding, little_memory, try_reader
from hypothesis import HealthCheck, Phase, given, settings

from foveate.core import environment

RESULTS = Path(__file__).with_name("results.json")
ROUND = 200


def _where(error):
    """Return file and line in foveate where a finding came from."""
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    ours = [frame for frame in frames if "foveate" in Path(frame.filename).parts] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


def fuzz(name, seconds, root, pipe):
    """Try a reader for some seconds; send how often, the slowest, and findings by place."""
    faulthandler.enable()
    begun, tried, slowest, findings = time.monotonic(), 0, 0.0, {}
    one, last = catalog.READERS[name], root / "last.pickle"

    def check(content):
        nonlocal tried, slowest
        if time.monotonic() > begun + seconds:
            return
        tried += 1
        last.write_bytes(pickle.dumps(content))
        folder, start = root / str(tried), time.monotonic()
        folder.mkdir()
        try:
            try_reader(one, content, folder)
        except Finding as error:
            findings.setdefault(_where(error), str(error)[:300])
        slowest = max(slowest, time.monotonic() - start)
        shutil.rmtree(folder, ignore_errors=True)

    def tell():
        taken = round(time.monotonic() - begun, 1)
        told = {"files": one.files, "tried": tried, "seconds": taken}
        pipe.send({**told, "slowest": round(slowest, 2), "findings": findings})

    with little_memory():
        while time.monotonic() < begun + seconds:
            wrapped = given(one.strategy)(lambda content: check(content))
            settings(
                max_examples=ROUND,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )(wrapped)()
            tell()


def fuzz_apart(name, seconds):
    """Fuzz in a process of its own, so that one that crashes is a finding too."""
    root = Path(tempfile.mkdtemp())
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=fuzz, args=(name, seconds, root, theirs))
    process.start()
    theirs.close()
    told = {"files": catalog.READERS[name].files, "tried": 0, "seconds": 0.0, "slowest": 0.0}
    told["findings"] = {}
    try:
        while True:
            told = ours.recv()
    except EOFError:
        process.join()
    if process.exitcode:
        kept = Path(tempfile.gettempdir()) / f"fuzz-{name.replace(' ', '-')}.pickle"
        shutil.copy(root / "last.pickle", kept)
        told["findings"]["the process"] = f"ended with {process.exitcode}, on {kept.name}"
    shutil.rmtree(root, ignore_errors=True)
    return told


def write(rows, minutes, commit, whole):
    """Keep the counts; those of some readers take the place of theirs in the last whole run."""
    rows = {name: {**row, "commit": commit} for name, row in rows.items()}
    tree = {
        "command": f"make fuzz MINUTES={minutes:g}",
        "ended": environment.timestamp(),
        "commit": commit,
        "processor": environment.processor(),
        "versions": environment.versions(("foveate", "torch", "numpy", "pillow", "scipy")),
        "limits": {"seconds": SECONDS, "bytes": BYTES},
        "readers": rows,
    }
    if not whole and RESULTS.is_file():
        tree = json.loads(RESULTS.read_text(encoding="utf-8"))
        tree["readers"] = dict(sorted({**tree["readers"], **rows}.items()))
    RESULTS.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="for all readers together")
    parser.add_argument("--only", default="", help="readers whose names hold one of these: a|b")
    parser.add_argument("--write", action="store_true", help=f"keep the counts in {RESULTS.name}")
    asked = parser.parse_args()
    chosen = [name for name in sorted(catalog.READERS) if re.search(asked.only, name)]
    rows, commit = {}, environment.commit()  # Of what is tried, whatever comes meanwhile.
    for name in chosen:
        rows[name] = fuzz_apart(name, 60 * asked.minutes / len(chosen))
        told = {key: value for key, value in rows[name].items() if key != "files"}
        print(f"{name}: {told}", flush=True)
    found = sum(len(row["findings"]) for row in rows.values())
    tried = sum(row["tried"] for row in rows.values())
    print(f"{tried} files, {len(rows)} readers, {found} findings")
    if asked.write:
        write(rows, asked.minutes, commit, whole=not asked.only)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
