"""The layers of a network in the order in which it calls them, and what goes into and comes out of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.utils._pytree import tree_leaves

from bnbench.norms.common.copying import copied
from bnbench.probes.pause import Batch, Pause, loss_of, trained
from bnbench.training.forward import forward

See = Callable[[str, Tensor], None]
"""Is told the path of a layer and a tensor."""


@contextmanager
def watching_inputs(layers: dict[str, nn.Module], see: See) -> Iterator[None]:
    """Show the first input of every call of a layer that is a tensor, before the layer may overwrite it."""

    def hook(path: str) -> Callable[..., None]:
        return lambda layer, inputs, named: _show(see, path, (inputs, named))

    with _removed([layer.register_forward_pre_hook(hook(path), with_kwargs=True) for path, layer in layers.items()]):
        yield


@contextmanager
def watching_outputs(layers: dict[str, nn.Module], see: See) -> Iterator[None]:
    """Show the output of every call of a layer; of several tensors the first, as that of attention."""

    def hook(path: str) -> Callable[..., None]:
        return lambda layer, inputs, output: _show(see, path, output)

    with _removed([layer.register_forward_hook(hook(path)) for path, layer in layers.items()]):
        yield


def _show(see: See, path: str, values: Any) -> None:
    tensors = (value for value in tree_leaves(values) if isinstance(value, Tensor))
    if (first := next(tensors, None)) is not None:
        see(path, first.detach())


@contextmanager
def _removed(handles: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def called_layers(pause: Pause, batch: Batch) -> dict[str, dict[str, nn.Parameter]]:
    """By path, the trained parameters of each layer that has some, in the order in which the layers are first called.

    A layer that is not called is left out; parameters of it that are used all the same, as those of the projections
    within attention, are those of the layer that is called and has it. A parameter of two layers is that of the first.
    What a parametrization (``torch.nn.utils.parametrizations``) keeps belongs to the layer that has it.
    """
    order = _called(pause, batch)
    names = {id(parameter): name for name, parameter in trained(pause.network).items()}
    found: dict[str, dict[str, nn.Parameter]] = {path: {} for path in order}
    for path in order:
        for parameter in _own(pause.network.get_submodule(path)):
            if (name := names.pop(id(parameter), None)) is not None:
                found[path][name] = parameter
    for name in _used(pause, batch, names.values()):
        found[_nearest(name, order)][name] = pause.network.get_parameter(name)
    return {path: own for path, own in found.items() if own}


@torch.no_grad()
def _called(pause: Pause, batch: Batch) -> dict[str, None]:
    """The paths of all layers, the network among them, in the order in which they are first called."""
    network, order = copied(pause.network), dict[str, None]()
    every = {path: layer for path, layer in network.named_modules() if "parametrizations" not in path.split(".")}
    with watching_inputs(every, lambda path, x: order.setdefault(path)):
        forward(pause.spec, network, batch[0])
    return order


def _own(layer: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters of a layer itself, and of its parametrizations."""
    yield from layer.parameters(recurse=False)
    if is_parametrized(layer):
        yield from (item for name, item in layer.named_parameters() if name.startswith("parametrizations."))


def _used(pause: Pause, batch: Batch, names: Collection[str]) -> Iterator[str]:
    """Those of some parameters on which the loss depends."""
    if not names:
        return
    trial = copied(pause.network)
    parameters = [trial.get_parameter(name) for name in names]
    found = torch.autograd.grad(loss_of(pause, trial, batch), parameters, allow_unused=True)
    yield from (name for name, gradient in zip(names, found, strict=True) if gradient is not None)


def _nearest(name: str, order: Collection[str]) -> str:
    """The innermost layer with a parameter among some that are called."""
    path = name
    while path and path not in order:
        path = path.rpartition(".")[0]
    return path


def weights(parameters: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """Those of two or more dimensions: matrices and kernels, not biases and the scales and shifts of norms."""
    return {name: parameter for name, parameter in parameters.items() if parameter.ndim > 1}
