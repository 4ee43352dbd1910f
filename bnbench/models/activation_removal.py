"""Giving the activations of a given network to norms that hold their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from bnbench.errors import Impossible
from bnbench.models.layer_scale import LayerScale
from bnbench.models.replacement import LastAxisNorm
from bnbench.norms.common.activation import activates, without_activation

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.GELU)
FUNCTIONS = frozenset({"relu", "relu_", "relu6", "silu", "hardswish", "gelu"})


class NormTracer(fx.Tracer):
    """Traces a network down to torch's own layers and some norms."""

    def __init__(self, norms: Sequence[nn.Module]) -> None:
        super().__init__()
        self._norms = norms

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """True if a layer is one step of the trace."""
        is_norm = isinstance(m, LastAxisNorm | LayerScale) or any(m is norm for norm in self._norms)
        return is_norm or super().is_leaf_module(m, module_qualified_name)


def take_over_activations(network: nn.Module, norms: Sequence[nn.Module], name: str) -> None:
    """Leave out the activations right behind norms that hold their own, in place.

    A norm that is followed by something else, as by the addition of a residual block, loses its activation.

    Args:
        network: whose norms have been replaced.
        norms: the new ones.
        name: of the network.

    Raises:
        Impossible: an activation behind a norm is no layer of its own, or is used in several places, as torchvision's
            residual networks use one ReLU behind the norms and after the addition; or no norm has one behind it, as in
            transformers, where nothing but its scale and shift would be left of it.
    """
    if not any(activates(norm) for norm in norms):
        return
    graph = traced(network, norms, name)
    layers = dict(network.named_modules())
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    for node in graph.nodes:
        if node.op != "call_module" or not is_norm(layers[node.target], norms):
            continue
        behind = [user for user in node.users if is_activation(user, layers)]
        if not behind:
            place = layers[node.target]
            without_activation(place.norm if isinstance(place, LastAxisNorm) else place)
        elif len(node.users) > 1 or behind[0].op != "call_module" or calls.count(behind[0].target) > 1:
            raise refusal(name, f"the one behind {node.target} is also used elsewhere, or is no layer of its own")
        else:
            network.set_submodule(str(behind[0].target), nn.Identity())
    if not any(activates(norm) for norm in norms):
        raise refusal(name, "none of them is right behind a norm")


def traced(network: nn.Module, norms: Sequence[nn.Module], name: str) -> fx.Graph:
    """The steps of a network's forward pass; raises :class:`Impossible` if they depend on the data."""
    try:
        return NormTracer(norms).trace(network)
    except Exception as error:  # whatever a forward pass does with what stands for its input
        raise refusal(name, "its forward pass cannot be traced") from error


def is_norm(layer: nn.Module, norms: Sequence[nn.Module]) -> bool:
    """True if a layer is one of the norms, or holds one."""
    return any(layer is norm for norm in norms) or isinstance(layer, LastAxisNorm)


def is_activation(node: fx.Node, layers: dict[str, nn.Module]) -> bool:
    """True if a step is an activation, as a layer or as a function."""
    if node.op == "call_module":
        return isinstance(layers[str(node.target)], ACTIVATIONS)
    target: Any = node.target
    return getattr(target, "__name__", target) in FUNCTIONS


def refusal(name: str, reason: str) -> Impossible:
    """The error that says why a norm cannot take over the activations of a network."""
    return Impossible(
        f"model.name={name}: the norm holds its own activation and cannot take over those of this network: {reason}; "
        "choose a model that gives each norm its activation, e.g. model=resnet20, model.name=mobilenet_v2 or vgg11_bn, "
        "or another norm"
    )
