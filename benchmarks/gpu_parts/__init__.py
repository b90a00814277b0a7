"""Parts of gpu.py; what libraries read when they are imported is set here, before they are."""

import os
import sys
from pathlib import Path

SMOKE = "--smoke" in sys.argv

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
if SMOKE:
    os.environ["TRITON_INTERPRET"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
