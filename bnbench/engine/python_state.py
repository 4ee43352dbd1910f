"""What layers keep in Python, where a recorded step cannot change it."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from bnbench.engine.folding import Folded, LaneByLane

State = dict[str, object]
"""Numbers, texts and tensors by the attribute that holds them; a tensor stands for itself, not for its values."""


def python_state(folded: Folded) -> State:
    """What the layers of a network hold now."""
    return {
        f"{type(layer).__name__}.{name} of {path}": value
        for path, layer in _layers(folded)
        for name, value in state_of(layer).items()
    }


def state_of(layer: nn.Module) -> State:
    """What a layer holds now, its buffers included."""
    return {
        name: value
        for name, value in (*vars(layer).items(), *layer._buffers.items())
        if name != "training" and isinstance(value, Tensor | int | float | str)
    }


def changed(before: State, after: State) -> str | None:
    """The first attribute that is not what it was: another number or text, or another tensor."""
    for name in (*after, *before):
        if name not in before or name not in after or not _same(before[name], after[name]):
            return name
    return None


def _layers(folded: Folded) -> Iterator[tuple[str, nn.Module]]:
    for path, layer in folded.network.named_modules():
        yield path, layer
        if isinstance(layer, LaneByLane):
            yield from ((path, layer.member(number)) for number in range(folded.lanes))


def _same(one: object, other: object) -> bool:
    return one is other or (not isinstance(one, Tensor) and not isinstance(other, Tensor) and one == other)
