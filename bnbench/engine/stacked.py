"""The stacked engine: K runs of one shape, trained as one network. Its judge is the reference engine.

N batch of a lane, K lanes, M = K * N, C channels, H, W, O classes, S steps between two pauses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnbench.data import Data, Draws, augment, draw_epoch, normalize, steps_per_epoch
from bnbench.engine.evaluation import dtype_of, evaluate_lanes, forward
from bnbench.engine.folding import fold, select, set_streams
from bnbench.engine.lane_optim import clip_lanes, make_lane_optimizer
from bnbench.engine.optim import decays
from bnbench.engine.randomness import GlobalStream, generator
from bnbench.engine.records import Evaluation, Record, end_of_run
from bnbench.engine.reference import total_steps
from bnbench.engine.schedule import multipliers
from bnbench.spec import RunSpec, effective_lr, stream


def train_stack(
    specs: Sequence[RunSpec], networks: Sequence[nn.Module], data: Data
) -> Iterator[list[tuple[int, Record]]]:
    """Train runs with one stack key and yield, at each pause, what :func:`train` would yield for each of them.

    A lane that diverges is found at the next pause, with the step at which it did, and dropped.

    Args:
        specs: they differ in lr, momentum, weight decay and seed only.
        networks: one per spec, initialized, on the device of ``data``; they are left as they are.
        data: examples on the device of training.

    Yields:
        Pairs of an index into ``specs`` and a record.
    """
    spec, device, dtype = specs[0], data.train.y.device, dtype_of(specs[0])
    lanes = list(range(len(specs)))
    parameters_of_one = sum(parameter.numel() for parameter in networks[0].parameters() if parameter.requires_grad)
    network = fold([network.to(dtype) for network in networks]).train()
    set_streams(network, [GlobalStream(stream(lane.seed, "layers"), device) for lane in specs])
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = make_lane_optimizer([lane.optim for lane in specs], parameters, decays(spec.optim, networks[0]))
    orders = LaneOrders(specs, data)

    count = len(data.train.y)
    per_epoch = steps_per_epoch(count, spec.batch_size, spec.drop_last)
    total = total_steps(spec, count)
    interval = spec.evaluate.every * (per_epoch if spec.evaluate.unit == "epochs" else 1)
    factors = multipliers(spec.schedule, total)
    lr_K1 = torch.tensor([[effective_lr(lane)] for lane in specs], dtype=dtype, device=device)
    limit_K = torch.full((len(specs),), math.inf, dtype=dtype, device=device)
    best: dict[int, float] = {}
    latest: dict[int, Evaluation] = {}

    step, examples = 0, 0
    while step < total and lanes:
        pause = min(total, step + interval)
        loss_SK: list[Tensor] = []
        right_K, sizes = torch.zeros(len(lanes), dtype=torch.int64, device=device), []
        for step_now in range(step, pause):
            position = step_now % per_epoch
            if position == 0:
                orders.draw()
            x_NCHW, y_KN = orders.batch(position, spec.batch_size, dtype)

            for parameter in parameters:
                parameter.grad = None
            logits_MO = forward(spec, network, x_NCHW)
            loss_M = F.cross_entropy(logits_MO, y_KN.flatten(), reduction="none", label_smoothing=spec.label_smoothing)
            torch.autograd.backward(loss_M, torch.full_like(loss_M, 1 / y_KN.shape[1]))
            if spec.grad_clip is not None:
                clip_lanes(parameters, len(lanes), spec.grad_clip)
            optimizer.step(lr_K1 * factors[step_now])

            loss_SK.append(loss_M.detach().view_as(y_KN).mean(1))
            right_K += (logits_MO.detach().argmax(1).view_as(y_KN) == y_KN).sum(1)
            sizes.append(y_KN.shape[1])

        losses_SK = torch.stack(loss_SK)
        if step == 0:
            limit_K = spec.divergence_factor * losses_SK[0].clamp(min=math.log(data.classes))
        bad_SK = ~(losses_SK <= limit_K)  # also true for nan
        first_bad = torch.where(bad_SK.any(0), bad_SK.int().argmax(0), -1).tolist()
        validation = evaluate_lanes([specs[lane] for lane in lanes], network, data, data.validation)
        weights_S1 = torch.tensor(sizes, dtype=torch.float64, device=device)[:, None] / sum(sizes)
        mean_loss = (losses_SK.double() * weights_S1).sum(0).tolist()
        records: list[tuple[int, Record]] = []
        alive = []
        for column, lane in enumerate(lanes):
            at = first_bad[column]
            val_loss, val_accuracy = validation[column]
            if at < 0:
                latest[lane] = Evaluation(
                    step=pause,
                    epoch=pause / per_epoch,
                    examples=examples + sum(sizes),
                    lr=effective_lr(specs[lane]) * factors[pause - 1],
                    train_loss=mean_loss[column],
                    train_accuracy=int(right_K[column]) / sum(sizes),
                    val_loss=val_loss,
                    val_accuracy=val_accuracy,
                )
                best[lane] = max(best.get(lane, 0.0), val_accuracy)
                records.append((lane, latest[lane]))
            if at < 0 and math.isfinite(val_loss):
                alive.append(column)
                continue
            done = (step + at, examples + sum(sizes[:at])) if at >= 0 else (pause, examples + sum(sizes))
            diverged = step + at + 1 if at >= 0 else pause
            records.append(
                (lane, end_of_run(done, per_epoch, best.get(lane), data.classes, parameters_of_one, diverged))
            )
        step, examples = pause, examples + sum(sizes)
        if step == total:
            kept = [lanes[column] for column in alive]
            network = select(network, alive) if alive and len(alive) < len(lanes) else network
            tests = evaluate_lanes([specs[lane] for lane in kept], network, data, data.test) if kept else []
            for lane, test in zip(kept, tests, strict=True):
                done = step, examples
                outcome = end_of_run(
                    done, per_epoch, best[lane], data.classes, parameters_of_one, None, latest[lane], test
                )
                records.append((lane, outcome))
        elif len(alive) < len(lanes) and alive:
            network = select(network, alive).train()
            parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
            chosen = torch.tensor(alive, device=device)
            optimizer.select(parameters, chosen)
            orders.select(alive)
            lr_K1, limit_K = lr_K1[chosen], limit_K[chosen]
        lanes = [lanes[column] for column in alive]
        yield records


class LaneOrders:
    """The data order and augmentation of every lane: lanes with one seed share them."""

    def __init__(self, specs: Sequence[RunSpec], data: Data) -> None:
        self._data = data
        self._seeds = [spec.seed for spec in specs]
        self._generators = {seed: (generator(seed, "order"), generator(seed, "augment")) for seed in self._seeds}
        self._draws = Draws(torch.empty(0))

    def draw(self) -> None:
        """Draw the next epoch of every seed; ``order`` and the rest become [K, examples]."""
        count, augmentation = len(self._data.train.y), self._data.augmentation
        draws = {seed: draw_epoch(count, augmentation, *pair) for seed, pair in self._generators.items()}
        self._draws = Draws(*_joined([draws[seed] for seed in self._seeds])).to(self._data.train.y.device)

    def batch(self, position: int, batch_size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Batch ``position`` (from 0) of the epoch: x [K*N, C, H, W] and y [K, N]."""
        data, draws = self._data, self._draws
        here = slice(position * batch_size, (position + 1) * batch_size)
        index_KN = draws.order[:, here]
        x = normalize(data.train.x[index_KN.flatten()], data.mean, data.std, dtype)
        if draws.dy is not None and draws.dx is not None and draws.flip is not None:
            dy, dx, flip = (part[:, here].flatten() for part in (draws.dy, draws.dx, draws.flip))
            x = augment(x, data.augmentation.pad, dy, dx, flip)
        return x, data.train.y[index_KN]

    def select(self, columns: Sequence[int]) -> None:
        """Go on with some lanes only."""
        self._seeds = [self._seeds[column] for column in columns]
        self._generators = {seed: pair for seed, pair in self._generators.items() if seed in self._seeds}
        index = torch.tensor(columns, device=self._draws.order.device)
        parts = (self._draws.order, self._draws.dy, self._draws.dx, self._draws.flip)
        self._draws = Draws(*(part[index] if part is not None else None for part in parts))  # type: ignore[arg-type]


def _joined(lanes: Sequence[Draws]) -> Any:
    """The parts of several lanes' draws, lanes first; None for what is not drawn."""
    for name in ("order", "dy", "dx", "flip"):
        parts = [getattr(draws, name) for draws in lanes]
        yield None if parts[0] is None else torch.stack(parts)
