"""All readers, by name."""

import importlib
import sys
from pathlib import Path

from harness import READERS

_HERE = Path(__file__).parent
# What writes studies, looks and runs for other tests makes the sound files here.
for _folder in (_HERE.parent, _HERE.parent / "report", _HERE.parent / "explain" / "regions"):
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))
for _file in sorted(_HERE.glob("*_readers.py")):
    importlib.import_module(_file.stem)

__all__ = ["READERS"]
