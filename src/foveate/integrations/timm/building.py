"""Build a gated network the way timm builds its own, from the same arguments."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from foveate.core import Words, expected, require
from foveate.surgery import insert_

_WEIGHTS = ("url", "file", "state_dict", "hf_hub_id", "hf_hub_filename", "source")
_FORMAT = ("custom_load", "first_conv", "classifier", "label_offset")


@dataclass(frozen=True)
class Gated:
    """A gated architecture: an entrypoint for timm's registry.

    Args:
        base: The architecture of timm.
        attention: Registry name.
        entrypoint: What makes the base.

    Attributes:
        name: Name of the gated architecture, such as ``resnet50_das``.
    """

    base: str
    attention: str
    entrypoint: Callable[..., nn.Module]

    @property
    def name(self) -> str:
        """Name of the gated architecture."""
        return f"{self.base}_{self.attention}"

    def build(
        self,
        pretrained: bool = False,
        *,
        pretrained_cfg: Any = None,
        pretrained_cfg_overlay: Mapping[str, Any] | None = None,
        where: str | list[str] | None = None,
        start: str | None = None,
        position: str = "after",
        attention_options: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> nn.Module:
        """Make the base by timm and insert the attention.

        Nobody has published weights of gated networks, so ``pretrained=True`` loads those of the
        base, strictly, and the gates start closed: the network is the published one until they
        open by learning. Weights that a configuration names itself (of a checkpoint, a folder or
        a repository of yours) may hold gates or none.

        Args:
            pretrained: Whether to load weights.
            pretrained_cfg: Tag of the base's weights, or a configuration.
            pretrained_cfg_overlay: What replaces entries of the configuration.
            where: Sites, see :func:`foveate.insert_`.
            start: ``"paper"`` or ``"identity"``; None for ``"identity"`` with the base's weights
                and ``"paper"`` without.
            position: ``"after"`` the last activation of each site or ``"before"`` it.
            attention_options: Options of the attention.
            **arguments: timm's own: ``num_classes``, ``in_chans``, ``features_only`` and so on.

        Raises:
            ValueError: If the attention cannot be inserted as asked.
            RuntimeError: From timm, if its own arguments are wrong.
        """
        config = self._config(pretrained_cfg, pretrained_cfg_overlay)
        of_base = pretrained and not _names_weights(config)
        if of_base:
            config = self._with_weights(config)
        start = start or ("identity" if of_base else "paper")
        model = self.entrypoint(pretrained=of_base, pretrained_cfg=config, **arguments)
        if type(model).__name__ == "FeatureGraphNet":
            # Its operators are those of the modules, without the modules.
            rule = "a feature_cls that runs the modules of the network"
            got = Words(arguments.get("feature_cls", "fx"))
            remedy = "take 'list', 'dict', 'hook' or 'getter'"
            raise ValueError(expected(self.name, rule, got, remedy))
        options = dict(attention_options or {})
        insert_(model, self.attention, where, start=start, position=position, **options)
        if pretrained and not of_base:
            self._load_(model, config, arguments)
        # timm writes these beside a model, and rebuilds it from them.
        model._model_args = {"start": start}  # type: ignore[assignment]
        _describe_(model, self, arguments)
        return model

    def _config(self, given: Any, overlay: Mapping[str, Any] | None) -> dict[str, Any]:
        """The configuration that was asked for, under the name of the gated architecture."""
        builder: Any = importlib.import_module("timm.models._builder")
        config = builder.resolve_pretrained_cfg(self.name, given, dict(overlay or {}))
        found: dict[str, Any] = config.to_dict()
        return {**found, "architecture": self.name}

    def _with_weights(self, config: dict[str, Any]) -> dict[str, Any]:
        """The same with the weights of the base, those of its tag."""
        timm: Any = require("timm.models", "models", "a gated network")
        tag = config.get("tag")
        name = f"{self.base}.{tag}" if tag else self.base
        published = dataclasses.asdict(timm.get_pretrained_cfg(name, allow_unregistered=False))
        taken = {key: published[key] for key in (*_WEIGHTS, *_FORMAT) if key in published}
        return {**config, **taken}

    def _load_(self, model: nn.Module, config: dict[str, Any], given: dict[str, Any]) -> None:
        """Load weights of the gated network, or of the base alone, from where they are."""
        builder: Any = importlib.import_module("timm.models._builder")
        builder.load_pretrained(
            model,
            pretrained_cfg=config,
            num_classes=0 if given.get("features_only") else getattr(model, "num_classes", 1000),
            in_chans=given.get("in_chans", 3),
            cache_dir=given.get("cache_dir"),
        )


def _names_weights(config: Mapping[str, Any]) -> bool:
    """Whether a configuration says where weights are; those of gated architectures do not."""
    return any(config.get(key) for key in _WEIGHTS)


def without_weights(config: Any) -> Any:
    """A configuration of timm that says where no weights are."""
    nothing = dict.fromkeys(_WEIGHTS)
    return dataclasses.replace(config, **{**nothing, "custom_load": False})


def _describe_(model: nn.Module, gated: Gated, arguments: Mapping[str, Any]) -> None:
    """Note on a model what :func:`foveate.save` needs, where ``create_model`` could make it."""
    known = {"num_classes", "in_chans", "cache_dir", "device", "dtype"}
    if set(arguments) - known or getattr(model, "num_classes", 0) < 1:
        return
    model.foveate_spec = {  # type: ignore[assignment]
        "name": gated.base,
        "num_classes": model.num_classes,
        "in_chans": arguments.get("in_chans", 3),
    }
