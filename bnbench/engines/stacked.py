"""The stacked engine: K runs of one shape, trained as one network. Its judge is the reference engine.

N batch of a lane, K lanes, M = K * N, C channels, H, W, S steps of a block or between two pauses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor, nn

from bnbench.data import Data, Examples, order_of
from bnbench.engines.reference import total_steps
from bnbench.native import NativeSteps
from bnbench.native.guard import SHARE, Guard
from bnbench.norms.copying import copied
from bnbench.spec import RunSpec, effective_lr, stack_key, stream
from bnbench.stacking import Folded, fold, prove, select, set_streams, unfold
from bnbench.stacking.batches import NATIVE_BLOCK_BYTES, LaneBatches
from bnbench.stacking.graph_capture.cuda_graph import recorder_for
from bnbench.stacking.graph_capture.runner import LaneSteps
from bnbench.stacking.metrics import LaneTally
from bnbench.stacking.optimizers import LaneOptimizer, make_lane_optimizer
from bnbench.stacking.step import LaneStep
from bnbench.stacking.vmap import run_at_once
from bnbench.training.evaluation import evaluate_lanes
from bnbench.training.forward import dtype_of, memory_format
from bnbench.training.optimizer import decays
from bnbench.training.randomness import GlobalStream, undrawn
from bnbench.training.records import Evaluation, Probe, Record, end_of_run
from bnbench.training.schedule import multiplier
from bnbench.training.statistics import freeze_statistics

PROVED_WITH = 2
"""Examples of a lane with which lanes are proved to be right beside each other, at most."""
FEWEST = 2
"""Lanes that a stack keeps and is evaluated with: torch rounds products of one lane in a way of their own."""


def train_stack(
    specs: Sequence[RunSpec],
    networks: Sequence[nn.Module],
    data: Data,
    probe: Probe | None = None,
    tell: Callable[[str], None] = lambda reason: None,
    record: bool = True,
    native: bool = False,
    guarded: float = SHARE,
    wide: bool | None = None,
) -> Iterator[list[tuple[int, Record]]]:
    """Train runs with one stack key and yield, at each pause, what :func:`train` would yield for each of them.

    A lane that diverges is found at the next pause, with the step at which it did, and dropped, unless that changed a
    bit of the others.

    Args:
        specs: they differ in lr, momentum, weight decay and seed only.
        networks: one per spec, initialized, on the device of ``data``; they are left as they are.
        data: examples on the device of training.
        probe: measures each lane at pauses, as a network of its own.
        tell: is told why the steps are not recorded on a GPU, if they are not.
        record: whether they may be.
        native: let compiled code make the steps, which is proved to know the networks.
        guarded: share of the time in which steps of compiled code are compared with the reference engine's.
        wide: let the lanes lie beside each other within the network if that is right; None does so on a GPU.

    Yields:
        Pairs of an index into ``specs`` and a record.

    Raises:
        Mismatch: compiled code does something else than torch; nothing that was yielded counts.
        Drawn: a layer has begun to draw random numbers other than those of its lane.
    """
    spec, device, dtype = specs[0], data.train.y.device, dtype_of(specs[0])
    lanes = list(range(len(specs)))
    alive = set(lanes)
    parameters_of_one = sum(parameter.numel() for parameter in networks[0].parameters() if parameter.requires_grad)
    beside = (device.type == "cuda" if wide is None else wide) and _may_be_wide(spec, networks[0], data.shape)
    network = fold([network.to(dtype) for network in networks], beside).train()
    run_at_once(spec, network, data.shape)
    set_streams(network, [GlobalStream(stream(lane.seed, "layers"), device, torch_only=True) for lane in specs])
    optimizer = make_lane_optimizer(specs, network, decays(spec.optim, networks[0]))
    order = order_of(spec, data.train)
    batches = LaneBatches(specs, data, order, dtype, NATIVE_BLOCK_BYTES if native else None)
    steps: NativeSteps | LaneSteps
    guard = Guard(specs, guarded) if native else None
    if native:
        steps = NativeSteps(spec, network, optimizer, data.shape, data.classes)
    else:
        recorder = recorder_for(device) if record else None
        steps = LaneSteps(LaneStep(spec, network, optimizer), recorder, batches.longest, data.classes, tell)

    per_epoch, total = order.steps, total_steps(spec, order)
    interval = spec.evaluate.every * (per_epoch if spec.evaluate.unit == "epochs" else 1)
    frozen_from = total if spec.freeze_statistics is None else spec.freeze_statistics * per_epoch
    lr_K1 = torch.tensor([[effective_lr(lane)] for lane in specs], dtype=dtype, device=device)
    limit_K = torch.full((len(specs),), math.inf, dtype=dtype, device=device)
    best: dict[int, float] = {}
    latest: dict[int, Evaluation] = {}

    step, examples = 0, 0
    while step < total and alive:
        if probe is not None and step % (interval * spec.probe_every) == 0:
            yield _readings(probe, specs, network, lanes, alive, data, step)
        pause = min(total, step + interval)
        tally, step_now = LaneTally(), step
        with undrawn():
            while step_now < pause:
                if step_now == frozen_from:
                    freeze_statistics(network)
                    steps.select(network, batches.longest)
                until = frozen_from if step_now < frozen_from < pause else pause
                x_SMCHW, y_SKN = batches.take(step_now % per_epoch, until - step_now)
                factors = [multiplier(spec.schedule, step_now + ahead, total) for ahead in range(len(y_SKN))]
                lr_SK1 = lr_K1 * lr_K1.new_tensor(factors)[:, None, None]
                if guard is None:
                    tally.add(*steps.run(x_SMCHW, y_SKN, lr_SK1), y_SKN)
                else:
                    _guarded(guard, steps, network, optimizer, (x_SMCHW, y_SKN, lr_SK1), step_now >= frozen_from, tally)
                step_now += len(y_SKN)

        if step == 0:
            limit_K = spec.divergence_factor * tally.losses()[0].clamp(min=math.log(data.classes))
        first_bad = _first_bad(tally.losses(), limit_K)
        validation = _evaluate([specs[lane] for lane in lanes], network, data, data.validation)
        records: list[tuple[int, Record]] = []
        train_losses, train_accuracies = tally.mean_losses(), tally.accuracies()
        for column, lane in enumerate(lanes):
            if lane not in alive:
                continue
            bad, (val_loss, val_accuracy) = first_bad[column], validation[column]
            if bad is None:
                latest[lane] = Evaluation(
                    step=pause,
                    epoch=pause / per_epoch,
                    examples=examples + sum(tally.sizes),
                    lr=effective_lr(specs[lane]) * multiplier(spec.schedule, pause - 1, total),
                    train_loss=train_losses[column],
                    train_accuracy=train_accuracies[column],
                    val_loss=val_loss,
                    val_accuracy=val_accuracy,
                )
                best[lane] = max(best.get(lane, 0.0), val_accuracy)
                records.append((lane, latest[lane]))
            if bad is None and math.isfinite(val_loss):
                continue
            alive.remove(lane)
            trained = pause - step if bad is None else bad
            done = step + trained, examples + sum(tally.sizes[:trained])
            diverged = pause if bad is None else step + bad + 1
            end = end_of_run(done, per_epoch, best.get(lane), data.classes, parameters_of_one, diverged)
            records.append((lane, end))
        step, examples = pause, examples + sum(tally.sizes)
        kept = _columns_to_keep(network, lanes, alive, 1 if native else FEWEST)
        if alive and len(kept) < len(lanes):
            network = select(network, kept).train()
            if step > frozen_from:
                freeze_statistics(network)
            chosen = torch.tensor(kept, device=device)
            optimizer.select(network, chosen)
            batches.select(kept)
            steps.select(network, batches.longest)
            lr_K1, limit_K = lr_K1[chosen], limit_K[chosen]
            lanes = [lanes[column] for column in kept]
        if guard is not None and step == total:
            guard.settle()
        if step == total and alive:
            if probe is not None:
                yield records
                yield _readings(probe, specs, network, lanes, alive, data, step)
                records = []
            tests = _evaluate([specs[lane] for lane in lanes], network, data, data.test)
            for lane, test in zip(lanes, tests, strict=True):
                if lane in alive:
                    done = step, examples
                    count = parameters_of_one
                    end = end_of_run(done, per_epoch, best[lane], data.classes, count, None, latest[lane], test)
                    records.append((lane, end))
        yield records


_wide: dict[str, bool] = {}
"""Whether stacks may have their lanes beside each other, by their keys."""


def _may_be_wide(spec: RunSpec, network: nn.Module, shape: tuple[int, int, int]) -> bool:
    """Whether a stack of such networks is proved to be right with the lanes beside each other."""
    key = stack_key(spec)
    if key not in _wide:
        _wide[key] = prove(lambda seed: copied(network).cpu(), shape, min(spec.batch_size, PROVED_WITH), True) is None
    return _wide[key]


def _guarded(
    guard: Guard,
    steps: NativeSteps | LaneSteps,
    network: Folded,
    optimizer: LaneOptimizer,
    block: tuple[Tensor, Tensor, Tensor],
    frozen: bool,
    tally: LaneTally,
) -> None:
    """Make the steps of a block; while that is due, one by itself with the reference's step of a lane beside it."""
    x_SMCHW, y_SKN, lr_SK1 = block
    while len(y_SKN) and guard.is_due():
        expected = guard.expect(network, optimizer, (x_SMCHW, y_SKN, lr_SK1), frozen)
        tally.add(*steps.run(x_SMCHW[:1], y_SKN[:1], lr_SK1[:1]), y_SKN[:1])
        guard.compare(expected, network, optimizer)
        x_SMCHW, y_SKN, lr_SK1 = x_SMCHW[1:], y_SKN[1:], lr_SK1[1:]
    if len(y_SKN):
        with guard.training(len(y_SKN) * network.lanes):
            tally.add(*steps.run(x_SMCHW, y_SKN, lr_SK1), y_SKN)


def _readings(
    probe: Probe,
    specs: Sequence[RunSpec],
    network: Folded,
    lanes: Sequence[int],
    alive: Collection[int],
    data: Data,
    step: int,
) -> list[tuple[int, Record]]:
    """What a probe measures of each lane, as a network of its own with its weights as a network alone has them."""
    records: list[tuple[int, Record]] = []
    for column, lane in enumerate(lanes):
        if lane in alive:
            alone = unfold(network, column).to(memory_format=memory_format(specs[lane], data.train.y.device))
            records += [(lane, reading) for reading in probe(specs[lane], alone, data, step)]
    return records


def _evaluate(specs: list[RunSpec], network: Folded, data: Data, examples: Examples) -> list[tuple[float, float]]:
    """Loss and accuracy of each lane; a single one is evaluated as if it had companions."""
    with undrawn():
        if len(specs) >= FEWEST:
            return evaluate_lanes(specs, network, data, examples)
        return evaluate_lanes(specs * FEWEST, select(network, [0] * FEWEST), data, examples)[:1]


def _columns_to_keep(network: Folded, lanes: Sequence[int], alive: Collection[int], fewest: int) -> list[int]:
    """The columns that go on: those of the lanes that live, and some of the others where bits would change without."""
    if not network.separable:
        return list(range(len(lanes)))
    living = [column for column, lane in enumerate(lanes) if lane in alive]
    ended = [column for column, lane in enumerate(lanes) if lane not in alive]
    return sorted(living + ended[: max(0, fewest - len(living))])


def _first_bad(losses_SK: Tensor, limit_K: Tensor) -> list[int | None]:
    """For each lane, the first step from 0 whose loss is not finite or above the limit."""
    bad_SK = ~(losses_SK <= limit_K)  # also true for nan
    first = bad_SK.int().argmax(0).tolist()
    return [at if found else None for at, found in zip(first, bad_SK.any(0).tolist(), strict=True)]
