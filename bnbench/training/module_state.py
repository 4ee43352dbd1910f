"""All that layers keep in Python, by content: what compiled code would freeze, and what lanes would share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn

from bnbench.training.content import Content, Held, Incomparable, Walk, belongs_to_user


@dataclass(frozen=True)
class PythonState:
    """The state of some layers.

    Attributes:
        places: content by the place where it was found.
        common: places that more than one layer reaches, as class attributes, globals, and objects that layers share.
    """

    places: Mapping[str, Content]
    common: frozenset[str]

    def incomparable(self) -> str | None:
        """The first place whose content cannot be told, and what is there."""
        for place, content in self.places.items():
            if isinstance(content, Incomparable):
                return f"{place} ({content.kind})"
        return None

    def changed_in_common(self, after: PythonState) -> str | None:
        """The first place common to layers whose content is not what it was, or cannot be compared."""
        for place in self.common | after.common:
            content = self.places.get(place)
            hidden = isinstance(content, Incomparable) and not content.stateless
            if hidden or content != after.places.get(place):
                return place
        return None

    def digest(self) -> str | None:
        """A hash of all content, the same in every process; None if that does not tell."""
        if self.incomparable() is not None:
            return None
        stable = {place: item.stable() if isinstance(item, Held) else item for place, item in self.places.items()}
        return hashlib.sha256(repr(stable).encode(errors="surrogateescape")).hexdigest()


def changed(before: PythonState, after: PythonState) -> str | None:
    """The first place whose content is not what it was, or cannot be compared; None if nothing has changed."""
    for place in (*after.places, *before.places):
        if place not in before.places or place not in after.places or before.places[place] != after.places[place]:
            return place
    return after.incomparable()


@runtime_checkable
class Lanes(Protocol):
    """A layer that stands for those of several runs."""

    def lane_layers(self) -> tuple[nn.Module, ...]:
        """The runs' layers, without tensors."""


@runtime_checkable
class Stacked(Protocol):
    """A network that stands for those of several runs."""

    @property
    def lane_template(self) -> nn.Module:
        """The network of a run; its numbers are without meaning."""


def lane_network(network: nn.Module) -> nn.Module:
    """The network of a run: of a stack, one of them."""
    return network.lane_template if isinstance(network, Stacked) else network


def state_of(layer: nn.Module) -> PythonState:
    """The state of a layer in Python now; layers within it are not looked at."""
    return _state([(type(layer).__name__, layer)])


def python_state(*networks: nn.Module) -> PythonState:
    """The state of all layers of networks in Python now."""
    layers = (member for network in networks for member in layers_of(network))
    return _state(
        (f"{path} ({type(layer).__name__})" if path else type(layer).__name__, layer) for path, layer in layers
    )


def layers_of(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """A user's layers with their paths, those of single lanes among them; torch's and ours keep nothing in Python."""
    for path, layer in network.named_modules():
        members = [(path, layer)]
        if isinstance(layer, Lanes):
            members = [(f"lane {number} of {path}", member) for number, member in enumerate(layer.lane_layers())]
        yield from (member for member in members if belongs_to_user(type(member[1])) or "forward" in vars(member[1]))


def _state(layers: Iterable[tuple[str, nn.Module]]) -> PythonState:
    walk = Walk()
    for place, layer in layers:
        walk.layer(place, layer)
    return PythonState(walk.places, frozenset(walk.common))
