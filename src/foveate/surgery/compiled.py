"""What insertion has to know of wrappers and of ``torch.compile``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from foveate.core import Words, expected

_WRAPPERS = {
    "DataParallel",
    "DistributedDataParallel",
    "FullyShardedDataParallel",
    "OptimizedModule",
    "ScriptModule",
    "RecursiveScriptModule",
}


_FIRST = "insert or remove first, then wrap or compile a model"


def refuse_wrapped(model: nn.Module, who: str = "foveate", remedy: str = _FIRST) -> None:
    """Refuse a model that is wrapped or compiled, in whole or in part.

    Raises:
        TypeError: Naming the wrapper and where it is.
    """
    for path, module in model.named_modules():
        kinds = {kind.__name__ for kind in type(module).__mro__}
        if kinds & _WRAPPERS or module._compiled_call_impl is not None:
            where = f" at {path}" if path else ""
            compiled = ", compiled" if module._compiled_call_impl is not None else ""
            raise TypeError(
                expected(
                    who,
                    "an unwrapped model",
                    Words(f"{type(module).__name__}{where}{compiled}"),
                    remedy,
                )
            )


def make_compiler_see_hooks() -> None:
    """Let ``torch.compile`` guard the hooks of modules, which by default it does not.

    Without it a graph that was compiled for a plain network is taken for a gated one of the same
    class later in the process, and its gates never run. Graphs made before are dropped, once.
    """
    # Imported late: it takes a second, and nothing but an insertion needs it.
    from torch._dynamo import config as dynamo_config

    config: Any = dynamo_config
    if config.skip_nnmodule_hook_guards:
        config.skip_nnmodule_hook_guards = False
        torch.compiler.reset()
