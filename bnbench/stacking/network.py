"""K networks of one architecture as one network, and back.

A lane's examples are a block of the batch. A layer within is folded by its rule; whatever holds other layers keeps its
own ``forward``. That is right only if this ``forward`` treats every example on its own, which
:func:`bnbench.stacking.prove` finds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from bnbench.norms.common.copying import copied
from bnbench.stacking.errors import CannotFold
from bnbench.stacking.layer_rules import fold_layer, rule_of
from bnbench.stacking.layers.batch_norm import FoldedBatchNorm, count_batches
from bnbench.stacking.layers.layout import has_lanes_in_channels, lanes_in_batch, lanes_in_channels
from bnbench.stacking.layers.per_lane import LaneByLane, Stream, tensors_of


class Folded(nn.Module):
    """K networks ``[N, C, H, W] -> [N, O]`` as one, ``[K * N, C, H, W] -> [K * N, O]``.

    Its parameters and buffers have the names of those of one network, after ``network.``; a tensor ``[D, ...]`` of a
    lane is a block of ``[K * D, ...]``, a scalar a number of ``[K]``; contiguous, or with channels last.

    Attributes:
        network: the folded layers.
        lanes: K.
        lane_template: one network of the architecture, outside the tree of modules.
        wide: whether the layers within have the lanes beside each other, ``[N, K * C, *]``.
    """

    def __init__(self, network: nn.Module, lanes: int, template: nn.Module, wide: bool) -> None:
        super().__init__()
        self.network = network
        self.lanes, self.wide = lanes, wide
        self._template = (template,)

    @property
    def lane_template(self) -> nn.Module:
        """One network of the architecture; its numbers are without meaning."""
        return self._template[0]

    @property
    def separable(self) -> bool:
        """True if no bit of a lane depends on how many there are.

        Sums over the examples of several channels at once may be rounded differently for the last ones, and nothing is
        known about the sums of layers without a rule. On a GPU the libraries choose their kernels by size.
        """
        if any(parameter.is_cuda for parameter in self.parameters()):
            return False
        together = any(has_lanes_in_channels(layer) for layer in self.modules())
        return not self.wide and not together and not any(layer.vmapped for layer in lane_by_lane_layers(self))

    def forward(self, x: Tensor) -> Tensor:
        """Map x ``[K * N, C, H, W]``, lane k owning examples ``k * N`` to ``(k + 1) * N``."""
        if not self.wide:
            y: Tensor = self.network(x)
            return y
        if self.training:
            count_batches(layer for layer in self.modules() if isinstance(layer, FoldedBatchNorm))
        return lanes_in_batch(self.network(lanes_in_channels(x, self.lanes)), self.lanes)


def fold(networks: Sequence[nn.Module], wide: bool = False) -> Folded:
    """One network that computes what the given ones do, each on its own examples; it shares no tensors with them.

    Args:
        networks: of one architecture.
        wide: let the layers within have the lanes beside each other, for a GPU. The code between them must treat every
            channel on its own then, which :func:`bnbench.stacking.prove` finds out too.

    Raises:
        CannotFold: the networks differ in more than numbers, or a layer cannot be folded.
    """
    require_same_architecture(networks)
    first = networks[0]
    layers = dict(layers_to_fold(first))
    require_separate(layers)
    joint: dict[int, nn.Module] = {}
    for path, layer in layers.items():
        lanes = [network.get_submodule(path) for network in networks]
        joint[id(layer)] = fold_layer(lanes, wide).train(layer.training)
    return Folded(copied(first, dict(joint)), len(networks), copied(first), wide)


def unfold(folded: Folded, lane: int, template: nn.Module | None = None) -> nn.Module:
    """An ordinary network with one lane's parameters and buffers.

    Args:
        folded: what :func:`fold` made.
        lane: the number of the lane, from 0.
        template: a network of the same architecture; it is copied. None takes the one that was folded first.
    """
    template = folded.lane_template if template is None else template
    members: dict[int, nn.Module] = {
        id(template.get_submodule(path)): copied(layer.member(lane))
        for path, layer in folded.network.named_modules()
        if isinstance(layer, LaneByLane)
    }
    network = copied(template, dict(members))
    for path, layer in template.named_modules():
        joint = dict(tensors_of(folded.network.get_submodule(path)))
        for name, tensor in tensors_of(layer):
            value = torch.unflatten(joint[name].detach(), 0, (folded.lanes, -1))[lane].reshape(tensor.shape).clone()
            is_parameter = isinstance(tensor, nn.Parameter)
            new = nn.Parameter(value, tensor.requires_grad) if is_parameter else value
            setattr(network.get_submodule(path), name, new)
    return network


def select(folded: Folded, lanes: Sequence[int]) -> Folded:
    """A folded network of some of the lanes, in the given order; it shares no tensors with the old one."""
    selection = fold([unfold(folded, lane) for lane in lanes], folded.wide)
    streams = streams_of(folded)
    if streams is not None:
        set_streams(selection, [streams[lane] for lane in lanes])
    for old, new in zip(lane_by_lane_layers(folded), lane_by_lane_layers(selection), strict=True):
        new.vmapped = old.vmapped
    return selection.train(folded.training)


def set_streams(folded: Folded, streams: Sequence[Stream] | None) -> None:
    """Let every lane draw random numbers inside its own context manager, entered around each call in training.

    Args:
        folded: what :func:`fold` made.
        streams: one per lane, e.g. a ``GlobalStream``; None lets the lanes draw one after another as they come.
    """
    for layer in lane_by_lane_layers(folded):
        layer.set_streams(streams)


def streams_of(folded: Folded) -> Sequence[Stream] | None:
    """The streams that are set, one per lane; None if there are none."""
    return next((layer.streams for layer in lane_by_lane_layers(folded)), None)


def lane_by_lane_layers(folded: Folded) -> Iterator[LaneByLane]:
    """The layers that are folded without a rule."""
    return (layer for layer in folded.modules() if isinstance(layer, LaneByLane))


def layers_to_fold(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers that become folded ones: those with a rule, and those that hold no other layers."""
    children = dict(module.named_children())
    if rule_of(module) or not (children or isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)):
        yield path, module
        return
    names = [name for name, _ in tensors_of(module)]
    if names:
        where = path or "the network itself"
        raise CannotFold(
            f"{where} ({type(module).__name__}) holds layers and also tensors of its own: {', '.join(names)}"
        )
    for name, child in children.items():
        yield from layers_to_fold(child, f"{path}.{name}" if path else name)


def require_same_architecture(networks: Sequence[nn.Module]) -> None:
    """Raise :class:`CannotFold` unless there are networks and they differ in numbers only."""
    if not networks:
        raise CannotFold("there must be at least one network to fold")
    expected = architecture(networks[0])
    for number, network in enumerate(networks):
        if architecture(network) != expected:
            raise CannotFold(f"network {number} has other layers or shapes than network 0")


def architecture(network: nn.Module) -> list[object]:
    """The parts that must be equal: types of all layers, and names, shapes and types of all tensors."""
    return [
        (path, type(layer), [(name, tensor.shape, tensor.dtype) for name, tensor in tensors_of(layer)])
        for path, layer in network.named_modules()
    ]


def require_separate(layers: dict[str, nn.Module]) -> None:
    """Raise :class:`CannotFold` if two layers share a tensor: they would have one each afterwards."""
    owner: dict[int, str] = {}
    for path, layer in layers.items():
        for name, tensor in tensors_of(layer):
            other = owner.setdefault(id(tensor), path)
            if layers[other] is not layer:
                raise CannotFold(f"{path}.{name} is shared with {other}")
