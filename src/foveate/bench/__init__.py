"""Benchmarks: the gate beside what it is to beat, checked before it is timed.

The contract is ``benchmarks/README.md``; results are files of one schema in ``benchmarks/results``.
"""

from foveate.bench.result import Result, Row, is_result, read_result
from foveate.bench.session import Plan, Session
from foveate.bench.settings import Settings

__all__ = ["Plan", "Result", "Row", "Session", "Settings", "is_result", "read_result"]
