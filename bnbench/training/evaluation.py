"""Loss and accuracy of a network on held-out examples, with running, batch or recomputed statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.data import Data, Examples, normalize
from bnbench.spec import RunSpec
from bnbench.training.batch_dependence import mixes_examples
from bnbench.training.forward import dtype_of, forward
from bnbench.training.modes import evaluation_mode
from bnbench.training.randomness import generator

EVALUATION_BATCH = 1024
LANE_BATCH, LANE_BATCH_OF_GPU = 32, 512
"""Examples that each lane of a stack is given at a time: see :func:`lane_batch`."""


@torch.no_grad()
def evaluate(spec: RunSpec, network: nn.Module, data: Data, examples: Examples) -> tuple[float, float]:
    """Mean cross-entropy (nats, no label smoothing) and accuracy (0 to 1) over ``examples``.

    With batch statistics, and if the network mixes the examples of a batch, they are taken in whole batches of the
    training's size, in one random order for all runs. An output that is not finite is never right. The network is left
    as it was: its parameters, its buffers, its mode, and what its layers keep in Python.
    """
    ((loss, accuracy),) = evaluate_lanes([spec], network, data, examples)
    return loss, accuracy


@torch.no_grad()
def evaluate_lanes(
    specs: Sequence[RunSpec], network: nn.Module, data: Data, examples: Examples
) -> list[tuple[float, float]]:
    """:func:`evaluate` for each lane of a stack; ``network`` maps [K*N, C, H, W] to logits [K*N, classes]."""
    spec, lanes = specs[0], len(specs)
    full = spec.evaluate.statistics == "batch" or mixes_examples(network, data.shape)
    alone = EVALUATION_BATCH if lanes == 1 else lane_batch(spec, examples.y.device)
    size = spec.batch_size if full else alone
    examples = _shuffled(examples, spec.split.seed) if full else examples
    loss_K = torch.zeros(lanes, dtype=torch.float64, device=examples.y.device)
    right_K = torch.zeros(lanes, dtype=torch.int64, device=examples.y.device)
    with evaluation_mode(specs, network, data):
        for x_NCHW, y_N, count in _batches(examples, size, full):
            x_NCHW = normalize(x_NCHW, data.mean, data.std, dtype_of(spec)).repeat(lanes, 1, 1, 1)
            logits_KNO = torch.unflatten(forward(spec, network, x_NCHW), 0, (lanes, -1))[:, :count]
            target_KN = y_N[:count].expand(lanes, count)
            loss_M = F.cross_entropy(logits_KNO.flatten(0, 1), target_KN.flatten(), reduction="none")
            loss_K += loss_M.view(lanes, count).sum(1)
            right_K += ((logits_KNO.argmax(2) == target_KN) & logits_KNO.isfinite().all(2)).sum(1)
    total = len(examples.y)
    return [(loss / total, right / total) for loss, right in zip(loss_K.tolist(), right_K.tolist(), strict=True)]


def lane_batch(spec: RunSpec, device: torch.device) -> int:
    """Examples that each lane of a stack is given at a time: the same however many lanes there are.

    Rounding depends on it. A GPU gets more, as far as they need no more memory than a batch in training.
    """
    return LANE_BATCH if device.type == "cpu" else max(LANE_BATCH, min(LANE_BATCH_OF_GPU, 16 * spec.batch_size))


def _shuffled(examples: Examples, seed: int) -> Examples:
    """Examples in random order: a folder of images has them by class."""
    order = torch.randperm(len(examples.y), generator=generator(seed, "evaluation"))
    return examples[order.to(examples.y.device)]


def _batches(examples: Examples, size: int, full: bool) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Batches and how many of each count; with ``full`` a short last batch is filled up from the start."""
    total = len(examples.y)
    for start in range(0, total, size):
        x_NCHW, y_N = examples.x[start : start + size], examples.y[start : start + size]
        count = len(y_N)
        if full and count < size:
            filler = torch.arange(size - count, device=y_N.device) % total
            x_NCHW, y_N = torch.cat([x_NCHW, examples.x[filler]]), torch.cat([y_N, examples.y[filler]])
        yield x_NCHW, y_N, count
