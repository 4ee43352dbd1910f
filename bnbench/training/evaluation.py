"""Loss and accuracy of a network on held-out examples, with running, batch or recomputed statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from bnbench.data import Data, Examples, LaneExamples, examples_of_lanes
from bnbench.spec import RunSpec
from bnbench.training.batch_dependence import mixes_examples
from bnbench.training.forward import dtype_of, forward
from bnbench.training.loss import is_right, losses, positions
from bnbench.training.modes import evaluation_mode
from bnbench.training.randomness import generator

EVALUATION_BATCH = 1024
PREDICTED_BYTES = 2**25
"""Of the images of all splits that are shown at a time, at most, to what is not the network itself."""
LANE_BATCH, LANE_BATCH_OF_GPU = 32, 512
"""Examples that each lane of a stack is given at a time: see :func:`lane_batch`."""


class Predictions(Protocol):
    """Puts out a stack's logits at evaluation in the network's place; no example may depend on the others.

    Attributes:
        by_split: the memory that it needs is that of the images of each split, however many lanes there are.
    """

    by_split: bool

    def __call__(self, x_DNCHW: Tensor, split_K: Tensor) -> Tensor:
        """The logits [K, N, classes, *], until the next call.

        Args:
            x_DNCHW: normalized images of each split.
            split_K: of each lane.
        """
        ...


@torch.no_grad()
def evaluate(spec: RunSpec, network: nn.Module, data: Data, examples: Examples) -> tuple[float, float]:
    """Mean cross-entropy (nats, no label smoothing) and accuracy (0 to 1) over ``examples``.

    With batch statistics, and if the network mixes the examples of a batch, they are taken in whole batches of the
    training's size, in one random order for all runs. An output that is not finite is never right. The network is left
    as it was: its parameters, its buffers, its mode, and what its layers keep in Python. Where positions have labels,
    both are means over examples and positions.
    """
    ((loss, accuracy),) = evaluate_lanes([spec], network, [data], [examples])
    return loss, accuracy


@torch.no_grad()
def evaluate_lanes(
    specs: Sequence[RunSpec],
    network: nn.Module,
    data: Sequence[Data],
    examples: Sequence[Examples],
    predictions: Predictions | None = None,
) -> list[tuple[float, float]]:
    """:func:`evaluate` for each lane of a stack; ``network`` maps [K*N, C, H, W] to logits [K*N, classes, *].

    Args:
        data: of each lane; the same object for lanes of one split.
        examples: of each lane's data, equally many.
        predictions: put out the logits in the network's place.
    """
    spec, lanes, device = specs[0], len(specs), data[0].device
    full = predictions is None and (spec.evaluate.statistics == "batch" or mixes_examples(network, data[0].shape))
    part, total = examples_of_lanes(data, examples), len(examples[0])
    if predictions is not None and predictions.by_split:
        size = _most_at_a_time(part, dtype_of(spec))
    else:
        size = spec.batch_size if full else EVALUATION_BATCH if lanes == 1 else lane_batch(spec, device)
    order_DN = _order(specs, part, total, full) + part.start_D[:, None]
    loss_K = torch.zeros(lanes, dtype=torch.float64, device=device)
    right_K = torch.zeros(lanes, dtype=torch.int64, device=device)
    predict = predictions or partial(predicted, spec, network)
    with evaluation_mode(specs, network, data) if predictions is None else nullcontext():
        for index_DN, count in _batches(order_DN, size, full):
            x_DNCHW = torch.unflatten(part.joined.images(index_DN.flatten()), 0, index_DN.shape)
            logits_KNO = predict(part.normalize_splits(x_DNCHW, dtype_of(spec)), part.split_K)[:, :count]
            logits_MO, target_M = logits_KNO.flatten(0, 1), part.joined.y[index_DN[part.split_K, :count]].flatten(0, 1)
            loss_K += losses(logits_MO, target_M).view(lanes, count).sum(1)
            right_M = is_right(logits_MO, target_M) & logits_MO.isfinite().all(1)
            right_K += right_M.view(lanes, -1).sum(1)
    answers = total * positions(part.joined.y)
    return [(loss / total, right / answers) for loss, right in zip(loss_K.tolist(), right_K.tolist(), strict=True)]


def lane_batch(spec: RunSpec, device: torch.device) -> int:
    """Examples that each lane of a stack is given at a time: the same however many lanes there are.

    Rounding depends on it. A GPU gets more, as far as they need no more memory than a batch in training.
    """
    return LANE_BATCH if device.type == "cpu" else max(LANE_BATCH, min(LANE_BATCH_OF_GPU, 16 * spec.batch_size))


def predicted(spec: RunSpec, network: nn.Module, x_DNCHW: Tensor, split_K: Tensor) -> Tensor:
    """What :class:`Predictions` put out, by the network itself, in its mode."""
    return torch.unflatten(forward(spec, network, x_DNCHW[split_K].flatten(0, 1)), 0, (len(split_K), -1))


def _most_at_a_time(part: LaneExamples, dtype: torch.dtype) -> int:
    """Examples of each split that are shown at a time to what is not the network itself."""
    image, splits = math.prod(part.joined.source.shape[1:]) * dtype.itemsize, len(part.mean_DC)
    return max(LANE_BATCH, min(EVALUATION_BATCH, PREDICTED_BYTES // (image * splits)))


def _order(specs: Sequence[RunSpec], part: LaneExamples, total: int, full: bool) -> Tensor:
    """[D, N] int64, the order of each split's examples: random in whole batches, as a folder of images is by class."""
    splits, device = len(part.start_D), part.start_D.device
    if not full:
        return torch.arange(total, device=device).expand(splits, -1)
    seeds = dict(zip(part.split_K.tolist(), (spec.split.seed for spec in specs), strict=True))
    orders = [torch.randperm(total, generator=generator(seeds[split], "evaluation")) for split in range(len(seeds))]
    return torch.stack(orders).to(device)


def _batches(order_DN: Tensor, size: int, full: bool) -> Iterator[tuple[Tensor, int]]:
    """Batches and how many of each count; with ``full`` a short last batch is filled up from the start."""
    total = order_DN.shape[1]
    for start in range(0, total, size):
        index_DN = order_DN[:, start : start + size]
        count = index_DN.shape[1]
        if full and count < size:
            filler = torch.arange(size - count, device=order_DN.device) % total
            index_DN = torch.cat([index_DN, order_DN[:, filler]], 1)
        yield index_DN, count
