"""The stacked engine: K runs of one shape, trained as one network. Its judge is the reference engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from bnbench.data import Data, Order, order_of
from bnbench.engines.lane_records import LaneRecords, Pause
from bnbench.native import NativeSteps
from bnbench.native.guard import SHARE
from bnbench.native.guarded import GuardedSteps
from bnbench.norms.common.copying import copied
from bnbench.spec import RunSpec, stack_key, stream
from bnbench.stacking import Folded, fold, prove, set_streams
from bnbench.stacking.batches import NATIVE_BLOCK_BYTES, LaneBatches
from bnbench.stacking.graph_capture.cuda_graph import recorder_for
from bnbench.stacking.graph_capture.runner import LaneSteps
from bnbench.stacking.network import lane_by_lane_layers
from bnbench.stacking.optimizers import LaneOptimizer, make_lane_optimizer
from bnbench.stacking.stack import MIN_LANES, Stack, Steps
from bnbench.stacking.step import LaneStep
from bnbench.stacking.vmap import vmap_lanes
from bnbench.training.forward import dtype_of
from bnbench.training.optimizer import decays
from bnbench.training.randomness import GlobalStream
from bnbench.training.records import Outcome, Probe, Record
from bnbench.training.saving import NOTHING, Saving, Snapshot, Unfit, put_tensors
from bnbench.training.statistics import freeze_statistics
from bnbench.training.timeline import Timeline, timeline_of

PROVED_WITH = 2
"""Examples of a lane with which lanes are proved to be right beside each other, at most."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class StackOptions:
    """The way in which the steps of a stack are made.

    Attributes:
        native: by compiled code, which is proved to know the networks.
        guarded: share of the time in which steps of compiled code are compared with the reference engine's.
        record: whether steps may be recorded on a GPU.
        wide: let the lanes lie beside each other within the network if that is right; None does so on a GPU.
    """

    native: bool = False
    guarded: float = SHARE
    record: bool = True
    wide: bool | None = None


DEFAULT = StackOptions()


def train_stack(
    specs: Sequence[RunSpec],
    networks: Sequence[nn.Module],
    data: Sequence[Data],
    probe: Probe | None = None,
    tell: Tell = lambda reason: None,
    options: StackOptions = DEFAULT,
    saving: Saving = NOTHING,
) -> Iterator[list[tuple[int, Record]]]:
    """Train runs with one stack key and yield, at each pause, what :func:`train` would yield for each of them.

    A lane that diverges is found at the next pause, with the step at which it did, and dropped, unless that changed a
    bit of the others. Runs that stop before their end are not tested.

    Args:
        specs: they differ in lr, momentum, weight decay, seed and, where :func:`split_of_stack` allows it, the seed of
            their split only.
        networks: one per spec, initialized, on the device of ``data``; they are left as they are.
        data: one per spec, on the device of training: the same object for specs of one split.
        probe: measures each lane at pauses, as a network of its own.
        tell: is told why the steps are not recorded on a GPU, if they are not.
        options: how the steps are made.
        saving: what it keeps are lanes that did not diverge, each as a network of its own, once all are tested.

    Yields:
        Pairs of an index into ``specs`` and a record.

    Raises:
        Mismatch: compiled code does something else than torch; nothing that was yielded counts.
        Drawn: a layer has begun to draw random numbers other than those of its lane.
        Unfit: it cannot go on from the snapshot of ``saving``.
    """
    yield from _begun(specs, networks, data, tell, options, saving).to_goal(probe, saving)


@dataclass(frozen=True)
class _Training:
    """Runs in training as a stack.

    Attributes:
        columns: for each column that it began with, the index of its run; -1 for one that only fills it up.
        min_lanes: that the stack has to its end.
    """

    columns: Sequence[int]
    timeline: Timeline
    stack: Stack
    records: LaneRecords
    min_lanes: int

    def to_goal(self, probe: Probe | None, saving: Saving) -> Iterator[list[tuple[int, Record]]]:
        """Train to the end, or to where the runs are to stop; see :func:`train_stack`."""
        timeline, stack = self.timeline, self.stack
        begin = step = 0 if saving.snapshot is None else saving.snapshot.step
        goal = timeline.goal(saving.until)
        while step < goal and stack.alive:
            if saving.checkpoints is not None and step > begin and stack.is_settled:
                saving.checkpoints.at_pause(partial(self.snapshot, step))
            if probe is not None and timeline.is_probed(step):
                yield self.of_runs(stack.measure(probe, step))
            start, step = step, timeline.pause_after(step)
            metrics = stack.train(start, step)
            first_bad = stack.first_bad(metrics, first=start == 0)
            pause = Pause(start, step, stack.lanes, metrics, first_bad, stack.evaluate(lambda split: split.validation))
            new = list(self.records.at_pause(pause, stack.alive))
            stack.alive -= {lane for lane, record in new if isinstance(record, Outcome)}
            stack.drop_ended(self.min_lanes)
            if step == goal:
                stack.settle()
            yield self.of_runs(new)
        if stack.alive:
            yield from self._left(step, probe, saving)

    def _left(self, step: int, probe: Probe | None, saving: Saving) -> Iterator[list[tuple[int, Record]]]:
        """The last records of the runs that have come to a step, at which they are over or stop."""
        stack = self.stack
        if step < self.timeline.total:
            if saving.checkpoints is not None:
                saving.checkpoints.at_stop(partial(self.snapshot, step))
            yield self.of_runs(self.records.at_stop(stack.lanes, stack.alive, step))
            return
        if probe is not None:
            yield self.of_runs(stack.measure(probe, step))
        test = stack.evaluate(lambda split: split.test)
        if saving.keep is not None:
            stack.keep(saving.keep)
        yield self.of_runs(self.records.at_end(stack.lanes, stack.alive, test))

    def of_runs(self, pairs: Iterable[tuple[int, Record]]) -> list[tuple[int, Record]]:
        """Records with the indices of their runs in the place of those of columns."""
        return [(self.columns[lane], record) for lane, record in pairs]

    def snapshot(self, step: int) -> Snapshot:
        """The stack after a step. Raises :class:`Unsteady` if layers keep something in Python that changes."""
        stack = self.stack
        state = {**stack.state(step), "records": self.records.state(stack.lanes)}
        return Snapshot(step, [self.columns[lane] if lane in stack.alive else -1 for lane in stack.lanes], state)


def _begun(
    specs: Sequence[RunSpec],
    networks: Sequence[nn.Module],
    data: Sequence[Data],
    tell: Tell,
    options: StackOptions,
    saving: Saving,
) -> _Training:
    """A stack before its first step, or as it was when a snapshot was taken. Raises as :func:`_stack`."""
    min_lanes, snapshot = 1 if options.native else MIN_LANES, saving.snapshot
    filled = [*range(len(specs)), *[-1] * (min_lanes - len(specs))]  # a single run has the numbers of any stack
    columns = filled if snapshot is None else snapshot.columns
    runs = _by_column(columns, specs, networks, data)
    timelines = [timeline_of(specs[0], order) for order in runs.orders]
    timeline = timelines[0]
    stack = _stack(runs, timeline, tell, options, snapshot)
    stack.alive = {column for column, run in enumerate(columns) if run >= 0}
    parameters = sum(parameter.numel() for parameter in networks[0].parameters() if parameter.requires_grad)
    records = LaneRecords(runs.specs, timelines, data[0].classes, parameters)
    if saving.checkpoints is not None:
        stack.watch_python()
    if snapshot is not None:
        records.restore(snapshot.state["records"])
        if snapshot.is_part:
            stack.drop_ended(min_lanes, always=True)
    return _Training(columns, timeline, stack, records, min_lanes)


@dataclass(frozen=True)
class _Columns:
    """The runs of a stack by column, those that only fill it up among them.

    Attributes:
        orders: in which they take their training examples.
    """

    specs: Sequence[RunSpec]
    networks: Sequence[nn.Module]
    data: Sequence[Data]
    orders: Sequence[Order]


def _by_column(
    columns: Sequence[int], specs: Sequence[RunSpec], networks: Sequence[nn.Module], data: Sequence[Data]
) -> _Columns:
    """The runs at the places of some columns; nobody reads a column of no run, which has those of the first one."""
    first = next(run for run in columns if run >= 0)
    runs = [run if run >= 0 else first for run in columns]
    by_split = {split: order_of(specs[0], split.train) for split in data}
    return _Columns(
        [specs[run] for run in runs],
        [networks[run] for run in runs],
        [data[run] for run in runs],
        [by_split[data[run]] for run in runs],
    )


def _stack(
    runs: _Columns, timeline: Timeline, tell: Tell, options: StackOptions, snapshot: Snapshot | None = None
) -> Stack:
    """Runs as one network, before their first step or as they were when a snapshot was taken.

    Raises:
        Unfit: the snapshot is not of such a network.
    """
    specs, data = runs.specs, runs.data
    spec, device, dtype = specs[0], data[0].device, dtype_of(specs[0])
    beside = device.type == "cuda" if options.wide is None else options.wide
    wide = beside and _may_be_wide(spec, runs.networks[0], data[0].shape)
    networks = [network if dtype is torch.float32 else copied(network).to(dtype) for network in runs.networks]
    network = fold(networks, wide).train()
    vmap_lanes(spec, network, data[0].shape)
    streams = [GlobalStream(stream(lane.seed, "layers"), device, torch_only=True) for lane in specs]
    set_streams(network, streams)
    optimizer = make_lane_optimizer(specs, network, decays(spec.optim, runs.networks[0]))
    batches = LaneBatches(specs, data, runs.orders, dtype, NATIVE_BLOCK_BYTES if options.native else None)
    if snapshot is not None:
        _restore(snapshot, timeline, network, streams, optimizer, batches)
    steps = _steps(specs, network, optimizer, data[0], batches, tell, options)
    stack = Stack(specs, data, timeline, network, optimizer, batches, steps)
    if snapshot is not None:
        stack.go_on(snapshot.state, snapshot.step)
    return stack


def _restore(
    snapshot: Snapshot,
    timeline: Timeline,
    network: Folded,
    streams: Sequence[GlobalStream],
    optimizer: LaneOptimizer,
    batches: LaneBatches,
) -> None:
    """Let the parts of a stack be as they were; see :meth:`Stack.state`."""
    state = snapshot.state
    layers = list(lane_by_lane_layers(network))
    if state["wide"] != network.wide or len(state["vmapped"]) != len(layers):
        raise Unfit("its lanes are laid out in another way")
    for layer, vmapped in zip(layers, state["vmapped"], strict=True):
        layer.vmapped = vmapped
    put_tensors(network, state["network"])
    for stream_of_lane, its in zip(streams, state["streams"] or (), strict=False):
        stream_of_lane.restore(its)
    optimizer.restore(state["optimizer"])
    batches.restore(state["batches"])
    if snapshot.step > timeline.frozen_from:
        freeze_statistics(network)


def _steps(
    specs: Sequence[RunSpec],
    network: Folded,
    optimizer: LaneOptimizer,
    data: Data,
    batches: LaneBatches,
    tell: Tell,
    options: StackOptions,
) -> Steps:
    spec = specs[0]
    if options.native:
        native = NativeSteps(spec, network, optimizer, data.shape, data.classes)
        return GuardedSteps(specs, network, optimizer, native, options.guarded)
    recorder = recorder_for(data.device) if options.record else None
    return LaneSteps(LaneStep(spec, network, optimizer), recorder, batches.longest, data.shape, data.classes, tell)


_wide: dict[str, bool] = {}
"""Stacks by their keys, with True if their lanes may lie beside each other."""


def _may_be_wide(spec: RunSpec, network: nn.Module, shape: tuple[int, int, int]) -> bool:
    """True if a stack of such networks is proved to be right with the lanes beside each other."""
    key = stack_key(spec)
    if key not in _wide:
        _wide[key] = prove(lambda seed: copied(network).cpu(), shape, min(spec.batch_size, PROVED_WITH), True) is None
    return _wide[key]
