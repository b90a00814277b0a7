"""AOTInductor packages: the network compiled to machine code, run by PyTorch without Python code.

A C++ compiler is needed to make one, none to run it; it fits the processor that it was made on.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foveate.core import expected
from foveate.export.program import Program, first_line
from foveate.export.settings import Settings
from foveate.export.torch_export import GraphRunner

_WHO = "export --to aoti"


def write(
    program: Program, path: Path, settings: Settings, configs: Mapping[str, Any] | None = None
) -> list[Path]:
    """Compile the program into the package ``path``.

    Raises:
        ValueError: If there is no compiler, or it fails.
    """
    import torch._inductor

    # It tells of a missing GPU, which nobody asked for.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch._inductor.aoti_compile_and_package(
                program.graph, package_path=str(path), inductor_configs=dict(configs or {})
            )
    except Exception as error:  # Of the compiler, the code generator or the operators.
        rule = "a C++ compiler and operators that it can compile"
        remedy = "install g++ (or name another by CXX), or take --to torch-export"
        raise ValueError(expected(_WHO, rule, first_line(error), remedy)) from error
    return [path]


def open_file(path: Path, settings: Settings, record: Mapping[str, Any]) -> GraphRunner:
    """Open a package in PyTorch.

    Raises:
        ValueError: If it is damaged, or made for another machine.
    """
    import torch._inductor

    try:
        package: Any = torch._inductor.aoti_load_package(str(path))
    except Exception as error:
        rule = "a package of AOTInductor made for this machine and this torch"
        raise ValueError(expected("load_exported", rule, first_line(error))) from error
    return GraphRunner(package, record, "AOTInductor")
