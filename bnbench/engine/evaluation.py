"""Loss and accuracy of a network on held-out examples, with running, batch or recomputed statistics."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.data import Data, Examples, normalize
from bnbench.spec import RunSpec, stream

EVALUATION_BATCH = 1024


@torch.no_grad()
def evaluate(spec: RunSpec, network: nn.Module, data: Data, examples: Examples) -> tuple[float, float]:
    """Mean cross-entropy (nats, no label smoothing) and accuracy (0 to 1) over ``examples``.

    An output that is not finite is never right. Parameters, buffers and the training mode are left as they were.
    """
    size = spec.batch_size if spec.evaluate.statistics == "batch" else EVALUATION_BATCH
    loss_sum, right = 0.0, 0
    with evaluation_mode(spec, network, data):
        for x_NCHW, y_N, kept in _batches(examples, size, full=spec.evaluate.statistics == "batch"):
            logits_NK = forward(spec, network, normalize(x_NCHW, data.mean, data.std, dtype_of(spec)))[:kept]
            loss_sum += float(F.cross_entropy(logits_NK, y_N[:kept], reduction="sum"))
            finite = logits_NK.isfinite().all(1)
            right += int(((logits_NK.argmax(1) == y_N[:kept]) & finite).sum())
    return loss_sum / len(examples.y), right / len(examples.y)


def forward(spec: RunSpec, network: nn.Module, x_NCHW: Tensor) -> Tensor:
    """The network's logits [N, classes] in float32 (float64 for fp64), computed in the spec's precision."""
    with torch.autocast(x_NCHW.device.type, torch.bfloat16, enabled=spec.precision == "bf16"):
        logits: Tensor = network(x_NCHW)
    return logits.float() if spec.precision == "bf16" else logits


def dtype_of(spec: RunSpec) -> torch.dtype:
    """The type of parameters and inputs."""
    return torch.float64 if spec.precision == "fp64" else torch.float32


@contextlib.contextmanager
def evaluation_mode(spec: RunSpec, network: nn.Module, data: Data) -> Iterator[None]:
    """Switch to evaluation with the statistics that the spec asks for, and restore everything afterwards."""
    tracking = [module for module in network.modules() if tracks_statistics(module)]
    saved = [(buffer, buffer.clone()) for buffer in network.buffers()]
    momenta = [module.momentum for module in tracking]
    network.eval()
    try:
        if spec.evaluate.statistics == "batch":
            for module in tracking:
                module.train()
        elif spec.evaluate.statistics == "recomputed" and tracking:
            _recompute(spec, network, tracking, data)
        yield
    finally:
        for module, momentum in zip(tracking, momenta, strict=True):
            module.momentum = momentum
        for buffer, value in saved:
            buffer.copy_(value)
        network.train()


def tracks_statistics(module: nn.Module) -> bool:
    """Whether a layer keeps running statistics in the way of torch.nn.BatchNorm2d."""
    return isinstance(getattr(module, "running_mean", None), Tensor) and hasattr(module, "reset_running_stats")


def _recompute(spec: RunSpec, network: nn.Module, tracking: list[nn.Module], data: Data) -> None:
    """Population statistics as the plain average over training batches with frozen weights (precise batch norm)."""
    for module in tracking:
        module.reset_running_stats()  # type: ignore[operator]
        module.momentum = None  # type: ignore[assignment]
        module.train()
    order_rng = torch.Generator().manual_seed(stream(spec.seed, "recompute"))
    order = torch.randperm(len(data.train.y), generator=order_rng).to(data.train.y.device)
    batches = torch.split(order, spec.batch_size)[: spec.evaluate.recompute_batches]
    for index in batches:
        if len(index) == spec.batch_size:
            forward(spec, network, normalize(data.train.x[index], data.mean, data.std, dtype_of(spec)))
    network.eval()


def _batches(examples: Examples, size: int, full: bool) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Batches and how many of each count; with ``full`` a short last batch is filled up from the start."""
    total = len(examples.y)
    for start in range(0, total, size):
        x_NCHW, y_N = examples.x[start : start + size], examples.y[start : start + size]
        kept = len(y_N)
        if full and kept < size:
            filler = torch.arange(size - kept, device=y_N.device) % total
            x_NCHW, y_N = torch.cat([x_NCHW, examples.x[filler]]), torch.cat([y_N, examples.y[filler]])
        yield x_NCHW, y_N, kept
