"""The statistics that a network is evaluated with: running, of the batch, or of the population.

Legend: K lanes, N batch of a lane, C channels of a lane, * any number of positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from bnbench.data import LaneExamples
from bnbench.norms.common.copying import copied
from bnbench.spec import RunSpec
from bnbench.training.randomness import generator

Show = Callable[[nn.Module, Tensor], object]
"""Gives a network training images ``[K * N, C, H, W]`` as they are stored."""

RECOMPUTED = ("running_mean", "running_var")
"""Running statistics that any layer may keep: mean and variance of its inputs per channel."""

PER_EXAMPLE = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
"""Layers of torch whose running variance is the average of those of the examples."""


def running_statistics(module: nn.Module) -> dict[str, Tensor]:
    """A layer's own running statistics by name: the buffers that are called so in the way of torch.nn.BatchNorm2d."""
    return {name: buffer for name, buffer in module.named_buffers(recurse=False) if name.startswith("running_")}


def tracks_statistics(module: nn.Module) -> bool:
    """True if a layer keeps running statistics of its own."""
    return bool(running_statistics(module))


def not_recomputed(module: nn.Module) -> list[str]:
    """The running statistics of a layer that cannot be recomputed from its inputs."""
    recomputable = {*RECOMPUTED, *averages_of(module)}
    return [name for name in running_statistics(module) if name not in recomputable]


def averages_of(module: nn.Module) -> Mapping[str, Callable[[Tensor], Tensor]]:
    """A layer's ``averages``: running statistics by name, each the mean of a function of centered inputs."""
    averages: Mapping[str, Callable[[Tensor], Tensor]] = getattr(module, "averages", {})
    return averages


def statistics_of(spec: RunSpec, tracking: Sequence[nn.Module]) -> str:
    """The stand-in for batch statistics: a layer with ``recomputes`` has no running ones to go by."""
    choice = spec.evaluate.statistics
    return "recomputed" if choice == "running" and any(getattr(m, "recomputes", False) for m in tracking) else choice


def freeze_statistics(network: nn.Module) -> None:
    """Let the layers that keep running statistics normalize with them in training too, and no longer update them."""
    for module in network.modules():
        if tracks_statistics(module):
            module.eval()


@torch.no_grad()
def recompute(specs: Sequence[RunSpec], network: nn.Module, train: LaneExamples, show: Show) -> None:
    """Replace running statistics by those of the population, over training batches with frozen weights.

    As Wu & Johnson 2021 (section 3) and fvcore's ``update_bn_stats``: layers normalize with batch statistics, and the
    mean and the variance of all inputs of a layer, ``E[mean^2 + var] - E[mean]^2`` over batches with biased variances,
    take the place of its running ones. A copy of the network is shown the batches, each with the buffers as they are
    now, so that schedules do not go on and batch renormalization is corrected as at the next step of training.

    Args:
        specs: of the lanes of a network, or of the one run.
        network: in evaluation mode; nothing but running statistics is changed.
        train: the training examples of the lanes, which are shown in batches of the training size.
        show: gives them to a network.
    """
    trial = copied(network)
    populations = [Population(layer) for layer in trial.modules() if tracks_statistics(layer)]
    for population in populations:
        population.layer.train()
    _pass(specs, trial, train, show, {population.layer: population.see for population in populations})
    centering = {population.layer: population.see_centered for population in populations if population.averages}
    if centering:
        _pass(specs, trial, train, show, centering)
    tracking = filter(tracks_statistics, network.modules())
    for layer, population in zip(tracking, populations, strict=True):
        for name, running in running_statistics(layer).items():
            value = population.values().get(name)
            if value is not None:
                running.copy_(value.view_as(running))


class Population:
    """Moments of all inputs of a layer, per lane and channel, in float64.

    Attributes:
        layer: whose inputs they are.
        averages: what the layer keeps beside mean and variance, see :func:`averages_of`.
    """

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self.averages = averages_of(layer)
        self._channels = next(iter(running_statistics(layer).values())).numel()
        self._within = isinstance(layer, PER_EXAMPLE)
        self._count = 0
        self._mean: Tensor = torch.zeros(())
        self._squares: Tensor = torch.zeros(())
        self._sums: dict[str, Tensor] = {}

    def see(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Take in a batch, by the law of total variance."""
        x_KNC = self._lanes(inputs[0])
        mean_K1C = x_KNC.mean(_axes(x_KNC), keepdim=True)
        centers = x_KNC.mean(_axes(x_KNC)[1:], keepdim=True) if self._within else mean_K1C
        squares = (x_KNC - centers).square().sum(_axes(x_KNC)).flatten()
        count, mean = x_KNC[:, :, :1].numel() // len(x_KNC), mean_K1C.flatten()
        if self._count == 0:
            self._mean, self._squares = torch.zeros_like(mean), torch.zeros_like(mean)
        before, self._count = self._count, self._count + count
        shift = mean - self._mean
        self._mean = self._mean + shift * (count / self._count)
        between = 0 if self._within else shift.square() * (before * count / self._count)
        self._squares = self._squares + squares + between

    def see_centered(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Take in a batch for the other averages, once the mean is known."""
        x_KNC = self._lanes(inputs[0])
        centered = x_KNC - self._mean.view(len(x_KNC), 1, -1, *[1] * (x_KNC.dim() - 3))
        for name, function in self.averages.items():
            total = function(centered).sum(_axes(x_KNC)).flatten()
            self._sums[name] = self._sums.get(name, torch.zeros_like(total)) + total

    def values(self) -> dict[str, Tensor]:
        """The statistics by name, ``[K * C]`` each; none if the layer was not called."""
        if self._count == 0:
            return {}
        others = {name: total / self._count for name, total in self._sums.items()}
        return {"running_mean": self._mean, "running_var": self._squares / self._count, **others}

    def _lanes(self, x: Tensor) -> Tensor:
        """Inputs ``[K * N, C, *]`` as ``[K, N, C, *]``; lanes that lie in the channels count as channels of one."""
        return torch.unflatten(x.double(), 0, (self._channels // x.shape[1], -1))


def _axes(x_KNC: Tensor) -> tuple[int, ...]:
    """The axes that a channel's moments are taken over: the batch, then the positions."""
    return (1, *range(3, x_KNC.dim()))


def _pass(
    specs: Sequence[RunSpec],
    network: nn.Module,
    train: LaneExamples,
    show: Show,
    see: Mapping[nn.Module, Callable[[nn.Module, tuple[Tensor, ...]], None]],
) -> None:
    """Show a network the batches while the inputs of some layers are seen; its buffers are left as they were."""
    buffers = [
        (layer, name, buffer.clone())
        for layer in network.modules()
        for name, buffer in layer.named_buffers(recurse=False)
    ]
    with ExitStack() as hooks:
        for layer, hook in see.items():
            hooks.enter_context(layer.register_forward_pre_hook(hook))
        for x_NCHW in _batches(specs, train):
            show(network, x_NCHW)
            for layer, name, value in buffers:
                layer._buffers[name] = value.clone()


def _batches(specs: Sequence[RunSpec], train: LaneExamples) -> Iterator[Tensor]:
    """Training images in whole batches, shuffled for each lane, as they are stored."""
    spec, device = specs[0], train.split_K.device
    orders = [torch.randperm(train.count, generator=generator(lane.seed, "recompute")) for lane in specs]
    for index_KN in torch.split(torch.stack(orders), spec.batch_size, 1)[: spec.evaluate.recompute_batches]:
        if index_KN.shape[1] == min(spec.batch_size, train.count):
            yield train.joined.images((index_KN.to(device) + train.start_K[:, None]).flatten())
