"""What a network is, read off the network itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from foveate.accounting import Cost, count
from foveate.attention import AttentionSpec, attention_spec, list_attentions
from foveate.surgery.holder import iter_inserted
from foveate.surgery.trace import default_example


@dataclass(frozen=True)
class Facts:
    """What a card says of a network.

    Attributes:
        network: Name of the base for ``create_model``, or its class.
        attentions: What is known of each attention in it, each once.
        sites: Name of each site, in order.
        identity: Whether the attentions started as identity.
        added: Parameters of all attentions.
        classes: Outputs, or None where the network does not say.
        cost: Parameters and multiply-accumulates for one image.
    """

    network: str
    attentions: tuple[AttentionSpec, ...]
    sites: tuple[str, ...]
    identity: bool
    added: int
    classes: int | None
    cost: Cost

    @property
    def title(self) -> str:
        """Network and attentions in a few words."""
        names = " and ".join(one.name for one in self.attentions)
        return f"{self.network} with {names}" if names else self.network

    @property
    def config(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "base": self.network,
            "attentions": [one.name for one in self.attentions],
            "sites": list(self.sites),
            "num_classes": self.classes,
            "input_size": list(self.cost.size),
        }


def describe(network: nn.Module, size: int | None = None) -> Facts:
    """Read off a network what it is.

    Args:
        network: The network, with or without attentions.
        size: Height and width in pixels of the image that its cost is counted for; None for the
            size that the network states, or 224.

    Example:
        >>> import foveate
        >>> facts = describe(foveate.create_model("resnet10t", "das", num_classes=3), 64)
        >>> facts.title, facts.sites, facts.classes
        ('resnet10t with das', ('layer1', 'layer2', 'layer3', 'layer4'), 3)
    """
    spec: Any = getattr(network, "foveate_spec", None) or {}
    holders = [holder for _, holder in iter_inserted(network)]
    known = {*list_attentions(), *list_attentions("ablation")}
    names = dict.fromkeys(one.attention_name for one in holders)
    _, channels, height, width = default_example(network).shape
    sides = (height, width) if size is None else (size, size)
    return Facts(
        network=str(spec.get("name") or type(network).__name__),
        attentions=tuple(attention_spec(name) for name in names if name in known),
        sites=tuple(one.site for one in holders),
        identity=any(one.openness is not None for one in holders),
        added=sum(one.added for one in holders),
        classes=classes_of(network),
        cost=count(network, (channels, *sides)),
    )


def classes_of(network: nn.Module) -> int | None:
    """How many outputs a network says it has, or None."""
    spec: Any = getattr(network, "foveate_spec", None) or {}
    found = getattr(network, "num_classes", None) or spec.get("num_classes")
    return found if isinstance(found, int) else None
