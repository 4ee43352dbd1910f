"""The stacked engine: K runs of one shape, trained as one network. Its judge is the reference engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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
from bnbench.stacking.optimizers import LaneOptimizer, make_lane_optimizer
from bnbench.stacking.stack import MIN_LANES, Stack, Steps
from bnbench.stacking.step import LaneStep
from bnbench.stacking.vmap import vmap_lanes
from bnbench.training.forward import dtype_of
from bnbench.training.optimizer import decays
from bnbench.training.randomness import GlobalStream
from bnbench.training.records import Keep, Outcome, Probe, Record
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
    keep: Keep | None = None,
) -> Iterator[list[tuple[int, Record]]]:
    """Train runs with one stack key and yield, at each pause, what :func:`train` would yield for each of them.

    A lane that diverges is found at the next pause, with the step at which it did, and dropped, unless that changed a
    bit of the others.

    Args:
        specs: they differ in lr, momentum, weight decay, seed and, where :func:`split_of_stack` allows it, the seed of
            their split only.
        networks: one per spec, initialized, on the device of ``data``; they are left as they are.
        data: one per spec, on the device of training: the same object for specs of one split.
        probe: measures each lane at pauses, as a network of its own.
        tell: is told why the steps are not recorded on a GPU, if they are not.
        options: how the steps are made.
        keep: takes each lane that did not diverge, as a network of its own, once all are tested, before the outcomes.

    Yields:
        Pairs of an index into ``specs`` and a record.

    Raises:
        Mismatch: compiled code does something else than torch; nothing that was yielded counts.
        Drawn: a layer has begun to draw random numbers other than those of its lane.
    """
    runs, min_lanes = len(specs), 1 if options.native else MIN_LANES
    if runs < min_lanes:  # a single run has the numbers of any stack
        specs, networks, data = ([*part] * min_lanes for part in (specs, networks, data))
    order_by_split = {split: order_of(specs[0], split.train) for split in data}
    orders = [order_by_split[split] for split in data]
    timelines = [timeline_of(specs[0], order) for order in orders]
    timeline = timelines[0]
    stack = _stack(specs, networks, data, orders, timeline, tell, options)
    stack.alive = set(range(runs))
    parameters = sum(parameter.numel() for parameter in networks[0].parameters() if parameter.requires_grad)
    records = LaneRecords(specs, timelines, data[0].classes, parameters)

    step = 0
    while step < timeline.total and stack.alive:
        if probe is not None and timeline.is_probed(step):
            yield list(stack.measure(probe, step))
        start, step = step, timeline.pause_after(step)
        metrics = stack.train(start, step)
        first_bad = stack.first_bad(metrics, first=start == 0)
        pause = Pause(start, step, stack.lanes, metrics, first_bad, stack.evaluate(lambda split: split.validation))
        new = list(records.at_pause(pause, stack.alive))
        stack.alive -= {lane for lane, record in new if isinstance(record, Outcome)}
        stack.drop_ended(min_lanes)
        if step == timeline.total:
            stack.settle()
        yield new

    if stack.alive:
        if probe is not None:
            yield list(stack.measure(probe, step))
        test = stack.evaluate(lambda split: split.test)
        if keep is not None:
            stack.keep(keep)
        yield list(records.at_end(stack.lanes, stack.alive, test))


def _stack(
    specs: Sequence[RunSpec],
    networks: Sequence[nn.Module],
    data: Sequence[Data],
    orders: Sequence[Order],
    timeline: Timeline,
    tell: Tell,
    options: StackOptions,
) -> Stack:
    """Runs before their first step, as one network."""
    spec, device, dtype = specs[0], data[0].device, dtype_of(specs[0])
    beside = device.type == "cuda" if options.wide is None else options.wide
    wide = beside and _may_be_wide(spec, networks[0], data[0].shape)
    network = fold([network.to(dtype) for network in networks], wide).train()
    vmap_lanes(spec, network, data[0].shape)
    set_streams(network, [GlobalStream(stream(lane.seed, "layers"), device, torch_only=True) for lane in specs])
    optimizer = make_lane_optimizer(specs, network, decays(spec.optim, networks[0]))
    batches = LaneBatches(specs, data, orders, dtype, NATIVE_BLOCK_BYTES if options.native else None)
    steps = _steps(specs, network, optimizer, data[0], batches, tell, options)
    return Stack(specs, data, timeline, network, optimizer, batches, steps)


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
    return LaneSteps(LaneStep(spec, network, optimizer), recorder, batches.longest, data.classes, tell)


_wide: dict[str, bool] = {}
"""Stacks by their keys, with True if their lanes may lie beside each other."""


def _may_be_wide(spec: RunSpec, network: nn.Module, shape: tuple[int, int, int]) -> bool:
    """True if a stack of such networks is proved to be right with the lanes beside each other."""
    key = stack_key(spec)
    if key not in _wide:
        _wide[key] = prove(lambda seed: copied(network).cpu(), shape, min(spec.batch_size, PROVED_WITH), True) is None
    return _wide[key]
