"""foveate in MMDetection, and in whatever else stands on MMEngine; importing it is all.

It registers every attention as a plug-in layer (``dict(type="foveate_das")`` in the ``plugins`` of
a ``Bottleneck``), and ``FoveateBackbone``, which puts gates where plug-ins cannot go: in basic
blocks, at the ends of stages, and in backbones that know no plug-ins. In a config file::

    custom_imports = dict(imports=["foveate.integrations.mmdet"])
    backbone = dict(
        type="FoveateBackbone",
        base=dict(type="ResNet", depth=18, norm_eval=True, frozen_stages=1),
        attention="das",
        where="stages",
        start="identity",
    )

``docs/detectors.md`` says how to install MMDetection beside today's PyTorch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from torch import nn

from foveate.core import MissingExtraError, Words, expected
from foveate.integrations.hosting import host_gates_
from foveate.integrations.plugins import register_plugins

try:
    _engine: Any = importlib.import_module("mmengine.registry")
except ImportError as error:
    raise MissingExtraError(
        "foveate.integrations.mmdet needs the packages mmengine, mmcv and mmdet, which no extra of"
        f" foveate installs; see docs/detectors.md (importing mmengine failed: {error})"
    ) from error


def gated_backbone(base: Mapping[str, Any], attention: str = "das", **options: Any) -> nn.Module:
    """Build a backbone and insert an attention: ``FoveateBackbone`` in the registry.

    What comes back is the backbone itself. Its weights keep their names, so ``init_cfg`` and
    published checkpoints of whole detectors load; ``frozen_stages`` and ``norm_eval`` hold for all
    but the gates, which learn even in a frozen stage.

    Args:
        base: Config of the backbone; a type without a scope is looked up in the default scope, and
            in ``mmdet`` where none is set.
        attention: Registry name.
        **options: ``where``, ``stages`` (a bool for each stage, as in ``plugins``), ``size``,
            ``start``, ``position``, ``host`` and options of the attention, see
            :func:`~foveate.integrations.hosting.host_gates_`.

    Raises:
        TypeError: If ``base`` is no config.
        ValueError: If the attention cannot be inserted as asked.
    """
    if not isinstance(base, Mapping) or "type" not in base:
        got = Words(repr(base))
        raise TypeError(expected("FoveateBackbone", "base as the config of a backbone", got))
    scoped = {"_scope_": "mmdet"} if _engine.DefaultScope.get_current_instance() is None else {}
    return host_gates_(_engine.MODELS.build({**scoped, **base}), attention, **options)


register_plugins(_engine.MODELS)
_engine.MODELS.register_module(name="FoveateBackbone", force=True, module=gated_backbone)
