"""Biases that the norm behind their layer cancels, in networks that have them anyway."""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx, nn
from torch.nn.modules.conv import _ConvNd

from bnbench.error_origin import is_bug
from bnbench.models.activation_removal import NormTracer
from bnbench.models.layer_scale import LayerScale
from bnbench.models.replacement import LastAxisNorm
from bnbench.norms.common.bias import cancels
from bnbench.norms.common.copying import copied
from bnbench.norms.common.reparametrization import weighted_layers

PASSING = frozenset({"permute", "movedim", "transpose", "contiguous", "add", "iadd"})
"""Functions that may come between a layer and its norm, by name: a constant of each channel stays one."""

PASSING_LAYERS = nn.Identity, nn.Flatten, nn.AdaptiveAvgPool2d, LayerScale
"""Layers of which the same is true."""


def freeze_cancelled_biases(network: nn.Module, norms: Sequence[nn.Module]) -> None:
    """Leave biases untrained that have no slope, as what comes out of their layers reaches norms only that cancel them.

    A network whose forward pass depends on values cannot be followed and is left as it is.
    """
    biased = {
        path: layer
        for path, layer in network.named_modules()
        if isinstance(layer, nn.Linear | _ConvNd) and layer.bias is not None and layer.bias.requires_grad
    }
    classifier = next(reversed(weighted_layers(network)), None)
    if not (biased.keys() - {classifier}) or not any(map(cancels, norms)):
        return
    paths = {id(layer): path for path, layer in network.named_modules()}
    trial = copied(network)  # a layer may keep what it is traced with
    copies = [trial.get_submodule(paths[id(norm)]) for norm in norms if id(norm) in paths]
    try:
        graph = NormTracer(copies).trace(trial)
    except (Exception, SystemExit) as error:  # whatever a forward pass does with what stands for its input
        if is_bug(error):
            raise
        return
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    for node in graph.nodes:
        layer = biased.get(str(node.target)) if node.op == "call_module" else None
        if layer is not None and calls.count(node.target) == 1 and _is_cancelled(node, network):
            assert layer.bias is not None
            layer.bias.requires_grad_(False)


def _is_cancelled(node: fx.Node, network: nn.Module) -> bool:
    """True if the output of a step goes, as it is or in a sum, into norms that cancel biases, and nowhere else."""
    return bool(node.users) and all(_cancels(user, network) for user in node.users)


def _cancels(node: fx.Node, network: nn.Module) -> bool:
    if node.op == "call_module":
        place = network.get_submodule(str(node.target))
        if not isinstance(place, PASSING_LAYERS):
            return cancels(place.norm if isinstance(place, LastAxisNorm) else place)
    elif getattr(node.target, "__name__", node.target) not in PASSING:
        return False
    return _is_cancelled(node, network)
