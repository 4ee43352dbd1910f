"""The statistics that a network is evaluated with: running, of the batch, or of the population."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from bnbench.data import Data
from bnbench.engine.randomness import generator
from bnbench.spec import RunSpec


def tracks_statistics(module: nn.Module) -> bool:
    """Whether a layer keeps running statistics in the way of torch.nn.BatchNorm2d."""
    running = any(name.startswith("running_") for name, _ in module.named_buffers(recurse=False))
    return running and hasattr(module, "reset_running_stats")


def statistics_of(spec: RunSpec, tracking: Sequence[nn.Module]) -> str:
    """What stands in for batch statistics: a layer with ``recomputes`` has no running ones to go by."""
    asked = spec.evaluate.statistics
    return "recomputed" if asked == "running" and any(getattr(m, "recomputes", False) for m in tracking) else asked


def freeze_statistics(network: nn.Module) -> None:
    """Let the layers that keep running statistics normalize with them in training too, and no longer update them."""
    for module in network.modules():
        if tracks_statistics(module):
            module.eval()


def recompute(
    specs: Sequence[RunSpec], tracking: Sequence[nn.Module], data: Data, show: Callable[[Tensor], object]
) -> None:
    """Population statistics as the plain average over training batches with frozen weights (precise batch norm).

    Args:
        specs: of the lanes of a network, or of the one run.
        tracking: the network's layers that keep statistics.
        data: whose training images ``[K * N, C, H, W]`` are shown.
        show: gives them to the network.
    """
    for module in tracking:
        module.reset_running_stats()  # type: ignore[operator]
        module.momentum = None  # type: ignore[assignment]
        module.train()
    spec, device = specs[0], data.train.y.device
    orders = [torch.randperm(len(data.train.y), generator=generator(lane.seed, "recompute")) for lane in specs]
    for index_KN in torch.split(torch.stack(orders), spec.batch_size, 1)[: spec.evaluate.recompute_batches]:
        if index_KN.shape[1] == min(spec.batch_size, len(data.train.y)):
            show(data.train.x[index_KN.flatten().to(device)])
    for module in tracking:
        module.eval()
