"""One stack of runs, start to end: build, train, append to the store. This is what a launcher executes."""

from __future__ import annotations

import math
import os
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
import torch.fx.experimental.symbolic_shapes  # by torch's first gradient: processes that are forked have it then
from torch import nn

from bnbench import store
from bnbench.book import Book, failure_status
from bnbench.checkpointing import Checkpointer, read_earlier
from bnbench.components import Components, components
from bnbench.data import Data, to_device
from bnbench.engines import StackOptions, train, train_interleaved, train_stack
from bnbench.environment import timestamp
from bnbench.error_origin import foreign_line
from bnbench.errors import lacks_room
from bnbench.global_state import preserved_global_state
from bnbench.launch import Line, Spent
from bnbench.members import Failure, Seat, carry_out_together
from bnbench.native import Mismatch, NotNative, only_loaded
from bnbench.notices import heard
from bnbench.probes import take, take_interleaved
from bnbench.spec import RunSpec, run_id
from bnbench.store import Segment, part_name
from bnbench.tasks import Attempt, End, Task, halves
from bnbench.training import (
    Outcome,
    Probe,
    Reading,
    Record,
    brief,
    current,
    device_failure,
    free_unused,
    now,
    prepare_process,
    resolve_device,
)
from bnbench.training.distributed import Member, join
from bnbench.training.records import row_of
from bnbench.training.saving import NOTHING, Saving, Unfit
from bnbench.training.weights import WeightSaver

SPENT = """device={task.device} takes nothing more from this process: {loss}; without --launcher inline, the same \
command trains the runs that are left in processes that can be replaced"""


def work(task: Task, watch: Callable[[Record], None] = lambda record: None) -> list[End]:
    """Train runs, write all that they yield, and return how they ended.

    Args:
        watch: is shown each record as well.

    Raises:
        Spent: with the runs that ended; the GPU takes nothing more from this process, as after an assert in a kernel.
    """
    _prepare(task)
    is_shared_out = any(spec.devices > 1 for spec in task.specs)
    return _work_together(task, watch) if is_shared_out else _work_alone(task, watch)


def _prepare(task: Task) -> None:
    """Prepare the process for runs, before they begin: what a plugin imports takes no time of theirs.

    What the plugin raises it raises again, and is told, when they train.
    """
    prepare_process()
    with suppress(Exception, SystemExit):
        components(task.plugin)


def _work_alone(task: Task, watch: Callable[[Record], None]) -> list[End]:
    """Train runs in this process; see :func:`work`.

    A stack that raises is halved and tried again, so that a lack of memory costs time only, and a run that fails fails
    alone: what a single run raises is written as its status, with the traceback under logs/. Runs that compiled code
    trains otherwise than torch, or not at all, are all trained again, without it. No compiler is started here.
    """
    name = _segment_name(task)
    waiting, ends = [Attempt(task.specs, task.execution.engine, task.checkpoint)], []
    while waiting:
        attempt = waiting.pop()
        specs = attempt.specs
        with _segment(task, name) as segment, heard(partial(_log_for_all, segment, specs)):
            try:
                with only_loaded(), _checkpoint_removed(task, attempt, segment) as ended:
                    ended[:], left = _train(task, attempt, segment, watch)
            except Unfit as error:
                _log_for_all(segment, specs, f"trained from the beginning, as its checkpoint is not used: {error}")
                ended, left = [], ()
                waiting.append(replace(attempt, checkpoint=""))
                name = _segment_name(task, part_name(name))
            except (Mismatch, NotNative) as error:
                _log_for_all(segment, specs, f"trained again by torch: {error}")
                ended, left = [], ()
                waiting = [one.by_torch() for one in (*waiting, attempt)]
                name = _segment_name(task, part_name(name))
        ends += ended
        if (loss := device_failure(torch.device(task.device))) is not None:
            raise Spent(ends, SPENT.format(task=task, loss=loss))
        if left:
            waiting += reversed(halves(attempt, left))
            name = _segment_name(task, part_name(name))  # the rows of an attempt that failed stay apart
    return ends


def _segment_name(task: Task, attempt: str = "") -> str:
    """The name of this process's segment, or of one for an attempt that the process makes behind another."""
    return f"{attempt or task.session}-{socket.gethostname()}-{os.getpid()}"


def _segment(task: Task, name: str) -> Segment:
    """A segment for a task. Raises TakenOver if its program has lost the folder."""
    return Segment(task.folder, name, task.checkpoints, task.token, task.before_checkpoint)


def _work_together(task: Task, watch: Callable[[Record], None]) -> list[End]:
    """Train one run in several processes, of which the first writes what comes of it; this one has no part in it."""
    attempt = Attempt(task.specs, "reference")
    facts = _facts(task, attempt, resolve_device(task.device))
    ends = carry_out_together(take_part, task, attempt.devices, watch)
    if not isinstance(ends, Failure):
        return list(ends)
    (spec,) = task.specs
    with _segment(task, _segment_name(task)) as segment:
        book = Book(segment, facts, {spec: run_id(spec)}, waits=False)
        book.fail(spec, ends.status, ends.error, ends.log)
        book.close()
    return list(book.ended.values())


def take_part(seat: Seat, line: Line) -> list[End]:
    """Train a run together with other processes; the first writes all that comes of it. Raises what training raises."""
    _prepare(seat.task)
    place = torch.device(seat.task.device)
    device = torch.device(place.type, (place.index or 0) + seat.rank) if place.type == "cuda" else place
    task = replace(seat.task, device=str(device), checkpoint_every=math.inf)
    attempt = Attempt(task.specs, "reference", rank=seat.rank)
    with current(device):
        join(Member(seat.rank, attempt.devices), seat.port, device)
        if seat.rank == 0:
            with _segment(task, _segment_name(task)) as segment:
                with heard(partial(_log_for_all, segment, task.specs)):
                    return _train(task, attempt, segment, line)[0]
        (spec,), parts = task.specs, components(task.plugin)
        data = parts.load(spec, task.data)
        network = _anew(task, spec).build(spec, data).to(device)
        for _ in _trained(attempt, [network], to_device([data], device), None, lambda text: None, NOTHING):
            pass
    return []


@preserved_global_state()
def _train(
    task: Task, attempt: Attempt, segment: Segment, watch: Callable[[Record], None]
) -> tuple[list[End], tuple[RunSpec, ...]]:
    """The runs that ended, and those that are left to be tried in smaller stacks.

    Raises:
        Mismatch: compiled code trains them otherwise than torch; no result of any of them was written.
        NotNative: there is no compiled code for them, as where it was removed after it was planned; likewise.
        Unfit: they cannot go on from their checkpoint; likewise.
    """
    specs, device = attempt.specs, resolve_device(task.device)
    book = _begun(task, attempt, device, segment)
    if task.execution.reasons and task.execution.engine == "reference":
        _log_for_all(segment, specs, f"trained alone, which is slower: {book.facts['engine_reason']}")
    free_unused(device)
    try:
        with current(device):
            for rows in _rows(task, attempt, device, watch, book):
                book.write(rows)
                if book.end_late(task.timeout):
                    break
    except (KeyboardInterrupt, Mismatch, NotNative, Unfit):
        raise
    except BaseException as error:  # a plugin may also call sys.exit
        if lacks_room(error, task.folder, task.checkpoint_place):
            raise
        book.close()
        if attempt.devices > 1:  # another process may have failed before
            raise
        if len(specs) > 1 or not attempt.is_alone:
            return list(book.ended.values()), tuple(spec for spec in specs if spec not in book.ended)
        line = foreign_line(error).strip() if task.plugin else ""
        message = brief(error) + (f" ({line})" if line else "")
        book.fail(specs[0], failure_status(error), message, traceback.format_exc())
    book.close()
    return list(book.ended.values()), ()


def _begun(task: Task, attempt: Attempt, device: torch.device, segment: Segment) -> Book:
    """The book of an attempt, with what an interrupted one has left. Raises :class:`Unfit`; nothing is written then."""
    specs, name = attempt.specs, attempt.checkpoint
    earlier = read_earlier(task.checkpoint_place, name, specs, attempt.engine, device) if name else None
    facts = _facts(task, attempt, device) | dict(earlier.facts if earlier else {})
    ids = {spec: run_id(spec) for spec in specs}
    book = Book(segment, facts, ids, waits=attempt.engine == "native", seconds=dict.fromkeys(specs, 0.0))
    segment.start(specs, book.facts)
    for note in task.notes:
        _log_for_all(segment, specs, note)
    if earlier is not None:
        book.go_on(earlier)
        _log_for_all(segment, specs, f"went on from step {earlier.snapshot.step}, to which they had come")
    return book


@contextmanager
def _checkpoint_removed(task: Task, attempt: Attempt, segment: Segment) -> Iterator[list[End]]:
    """Remove the checkpoint of an attempt that ends in a block, unless it is interrupted, or some of its runs stopped.

    An interruption is also a disk that takes no more of what it writes.

    Yields:
        a list for the ends of its runs.

    Raises:
        TakenOver: the program of the task has lost the folder; the checkpoint is another one's.
    """
    ended: list[End] = []
    try:
        yield ended
    except BaseException as error:
        if not (isinstance(error, KeyboardInterrupt) or lacks_room(error, task.folder, task.checkpoint_place)):
            segment.remove_checkpoint(attempt.checkpoint_name)
        raise
    if not any(end.status == store.STOPPED for end in ended):
        segment.remove_checkpoint(attempt.checkpoint_name)


def _facts(task: Task, attempt: Attempt, device: torch.device) -> dict[str, Any]:
    """The columns of runs.csv that are equal for all runs of an attempt."""
    return {
        "engine": "reference" if attempt.is_alone else attempt.engine,
        "engine_reason": "; ".join(task.execution.reasons),
        "lanes": 1 if attempt.is_alone else len(attempt.specs),
        "device": str(device),
        "started_at": timestamp(),
        "host": socket.gethostname(),
        "version": version("bnbench"),
        "torch": torch.__version__,
        "git_commit": task.git_commit,
    }


def _anew(task: Task, spec: RunSpec) -> Components:
    """For a run with a user's code: what that keeps in globals and class attributes is as at the start."""
    return components(task.plugin, anew=spec.plugin is not None)


def _log_for_all(segment: Segment, specs: Sequence[RunSpec], text: str) -> None:
    for spec in specs:
        segment.log(run_id(spec), f"{text}\n")


def _rows(
    task: Task,
    attempt: Attempt,
    device: torch.device,
    watch: Callable[[Record], None],
    book: Book,
) -> Iterator[list[tuple[RunSpec, dict[str, Any]]]]:
    """What the engine yields, as rows.

    ``seconds`` is a run's training and evaluation, without loading, building, probes and writing. In a stack the time
    from one pause to the next is shared evenly by the runs that live in it: their sum is the stack's time. Interleaved
    runs have none. What an engine tells goes under logs/, weights go under weights/.
    """
    specs, segment = attempt.specs, book.segment
    parts, probe = components(task.plugin), take if specs[0].probes else None
    data = [parts.load(spec, task.data) for spec in specs]
    keep = _saver(segment, dict(zip(specs, data, strict=True))) if task.save_weights else None
    on_device = to_device(data, device)
    if attempt.engine == "interleaved" and len(specs) > 1:
        built = [_anew(task, spec).build(spec, split).to(device) for spec, split in zip(specs, data, strict=True)]
        for records in train_interleaved(specs, built, on_device, take_interleaved, keep):
            yield [(specs[index], row_of(record)) for index, record in records]
        return
    networks = [network.to(device) for network in _anew(task, specs[0]).build_lanes(specs, data[0])]
    tell = partial(_log_for_all, segment, specs)
    checkpoints = _checkpointer(task, attempt, device, book)
    trained = _trained(attempt, networks, on_device, probe, tell, Saving(keep, checkpoints, task.until))
    seconds = book.seconds
    for records in _shared(book, trained, device, [one for one in (keep, checkpoints) if one is not None]):
        if len(specs) == 1:
            for _, record in records:
                watch(record)
        yield [
            (spec, row_of(record) | ({"seconds": round(seconds[spec], 4)} if isinstance(record, Outcome) else {}))
            for lane, record in records
            for spec in [specs[lane]]
        ]


def _checkpointer(task: Task, attempt: Attempt, device: torch.device, book: Book) -> Checkpointer | None:
    """Writes checkpoints of an attempt, and has the one that it goes on from; None where neither is wanted."""
    if math.isinf(task.checkpoint_every) and book.snapshot is None and task.until is None:
        return None
    if task.warning is not None:
        task.warning.heed()
    tell = partial(_log_for_all, book.segment, attempt.specs)
    return Checkpointer(
        book.segment, attempt.checkpoint_name, attempt.specs, attempt.engine, device, task.checkpoint_every,
        task.largest_checkpoint, book.aside, tell, book.snapshot, task.warning,
    )  # fmt: skip


def _saver(segment: Segment, data: Mapping[RunSpec, Data]) -> WeightSaver:
    """Writes weights of runs on these data beside their rows."""
    return WeightSaver(segment.weights, lambda spec, text: segment.log(run_id(spec), f"{text}\n"), data)


def _shared(
    book: Book,
    trained: Iterator[list[tuple[int, Record]]],
    device: torch.device,
    savers: Sequence[WeightSaver | Checkpointer],
) -> Iterator[list[tuple[int, Record]]]:
    """What an engine yields; the book has the seconds that each run has taken until then.

    Those of probes, and of writing weights and checkpoints, are nobody's.
    """
    specs = list(book.seconds)
    living, start, aside = set(specs) - book.ended.keys(), now(device), 0.0
    for records in trained:
        writing = sum(saver.seconds for saver in savers)
        if not records or not all(isinstance(record, Reading) for _, record in records):
            spent = now(device) - start - (writing - aside)
            for spec in living:
                book.seconds[spec] += spent / len(living)
        yield records
        living -= {specs[lane] for lane, record in records if isinstance(record, Outcome)}
        start, aside = now(device), writing


def _trained(
    attempt: Attempt,
    networks: Sequence[nn.Module],
    data: Sequence[Data],
    probe: Probe | None,
    tell: Callable[[str], None],
    saving: Saving,
) -> Iterator[list[tuple[int, Record]]]:
    """What the engine that trains a stack, or a run without companions, yields."""
    if attempt.is_alone:
        member = Member(attempt.rank, attempt.devices)
        trained = train(attempt.specs[0], networks[0], data[0], probe, saving, member)
        yield from ([(0, record)] for record in trained)
    else:
        options = StackOptions(native=attempt.engine == "native")
        yield from train_stack(attempt.specs, networks, data, probe, tell, options, saving)
