"""Modes of a network that are put back afterwards, with all that its layers keep."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from bnbench.data import Data, examples_of_lanes
from bnbench.norms.common.copying import copied
from bnbench.spec import RunSpec
from bnbench.training.content import PLAIN, own_attributes
from bnbench.training.forward import dtype_of, forward
from bnbench.training.module_state import layers_of
from bnbench.training.statistics import recompute, statistics_of, tracks_statistics


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
    for current, originals in buffers:
        current.update({name: None if buffer is None else buffer.clone() for name, buffer in originals.items()})
    attributes = [(layer, own_attributes(layer)) for _, layer in layers_of(network)]
    _copy_attributes(network, attributes)
    try:
        yield
    finally:
        for current, originals in buffers:
            current.clear()
            current.update(originals)
        for layer, original_attributes in attributes:
            for name in own_attributes(layer).keys() - original_attributes.keys():
                del vars(layer)[name]
            vars(layer).update(original_attributes)


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


@contextlib.contextmanager
def evaluation_mode(specs: Sequence[RunSpec], network: nn.Module, data: Sequence[Data]) -> Iterator[None]:
    """Switch to evaluation with the statistics that the lanes' specs ask for, and restore everything afterwards.

    Args:
        data: of each lane; the same object for lanes of one split.
    """
    tracking = [module for module in network.modules() if tracks_statistics(module)]
    statistics = statistics_of(specs[0], tracking)
    with not_training(network), kept_state(network):
        if statistics == "batch":
            for module in tracking:
                module.train()
        elif statistics == "recomputed" and tracking:
            train = examples_of_lanes(data, [lane.train for lane in data])

            def show(copy: nn.Module, x_NCHW: Tensor) -> None:
                forward(specs[0], copy, train.normalize(x_NCHW, dtype_of(specs[0])))

            recompute(specs, network, train, show)
        yield
