"""Modes of a network that are put back afterwards, with all that its layers keep."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from bnbench.engine.content import PLAIN, own_attributes
from bnbench.engine.python_state import layers_of
from bnbench.norms.copying import copied


@contextlib.contextmanager
def not_training(network: nn.Module) -> Iterator[None]:
    """Switch to evaluation, and give every layer its own mode back afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextlib.contextmanager
def kept_state(network: nn.Module) -> Iterator[None]:
    """Let layers work on copies of their buffers and of what they keep in Python, and put the originals back.

    It makes no difference whether a layer changes a buffer in place or puts another tensor in its place.
    """
    buffers = [(module._buffers, dict(module._buffers)) for module in network.modules() if module._buffers]
    for held, originals in buffers:
        held.update({name: None if buffer is None else buffer.clone() for name, buffer in originals.items()})
    attributes = [(layer, own_attributes(layer)) for _, layer in layers_of(network)]
    _copy_attributes(network, attributes)
    try:
        yield
    finally:
        for held, originals in buffers:
            held.clear()
            held.update(originals)
        for layer, originals_of in attributes:
            for name in own_attributes(layer).keys() - originals_of.keys():
                del vars(layer)[name]
            vars(layer).update(originals_of)


def _copy_attributes(network: nn.Module, attributes: list[tuple[nn.Module, dict[str, object]]]) -> None:
    """Give layers copies of their attributes; objects that they share they share afterwards too."""
    memo: dict[int, object] = {id(module): module for module in network.modules()}
    memo |= {id(tensor): tensor for module in network.modules() for tensor in module._parameters.values()}
    for layer, originals in attributes:
        memo[id(layer)] = layer
        for name, value in originals.items():
            if not isinstance(value, PLAIN):
                with contextlib.suppress(Exception):  # a user's object may refuse to be copied in any way
                    vars(layer)[name] = copied(value, memo)
