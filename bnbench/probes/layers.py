"""The layers of a network in the order in which it calls them, and what goes into and comes out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from bnbench.norms.common.copying import copied
from bnbench.probes.pause import Batch, Pause, trained
from bnbench.training.forward import forward

See = Callable[[str, Tensor], None]
"""Is told the path of a layer and a tensor."""


@contextmanager
def watching_inputs(layers: dict[str, nn.Module], see: See) -> Iterator[None]:
    """Show the first input of every call of a layer, before the layer may overwrite it."""

    def hook(path: str) -> Callable[..., None]:
        return lambda layer, inputs: see(path, inputs[0].detach())

    with _removed([layer.register_forward_pre_hook(hook(path)) for path, layer in layers.items()]):
        yield


@contextmanager
def watching_outputs(layers: dict[str, nn.Module], see: See) -> Iterator[None]:
    """Show the output of every call of a layer."""

    def hook(path: str) -> Callable[..., None]:
        return lambda layer, inputs, output: see(path, output.detach())

    with _removed([layer.register_forward_hook(hook(path)) for path, layer in layers.items()]):
        yield


@contextmanager
def _removed(handles: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def called_layers(pause: Pause, batch: Batch) -> dict[str, dict[str, nn.Parameter]]:
    """By path, the trained parameters of each layer that has some, in the order in which the layers are first called.

    A layer that is not called is left out.
    """
    network = copied(pause.network)
    every = {path: layer for path, layer in network.named_modules() if own_parameters(path, layer)}
    order: dict[str, None] = {}
    with watching_inputs(every, lambda path, x: order.setdefault(path)):
        forward(pause.spec, network, batch[0])
    return {path: own_parameters(path, pause.network.get_submodule(path)) for path in order}


def own_parameters(path: str, layer: nn.Module) -> dict[str, nn.Parameter]:
    """The trained parameters of a layer itself, by their names in the network.

    What a parametrization (``torch.nn.utils.parametrizations``) keeps belongs to the layer that has it.
    """
    if "parametrizations" in path.split("."):
        return {}
    own = {name: item for name, item in layer.named_parameters(recurse=False) if item.requires_grad}
    if is_parametrized(layer):
        own |= {name: item for name, item in trained(layer).items() if name.startswith("parametrizations.")}
    return {f"{path}.{name}" if path else name: item for name, item in own.items()}


def weights(parameters: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """Those of two or more dimensions: matrices and kernels, not biases and the scales and shifts of norms."""
    return {name: parameter for name, parameter in parameters.items() if parameter.ndim > 1}
