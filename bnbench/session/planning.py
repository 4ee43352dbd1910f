"""From a request to a checked plan: what is finished, what is impossible, what is to be trained. Writes nothing."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from bnbench import store
from bnbench.asking import Answer, Waits, ask, ask_copies
from bnbench.coincidences import sentences
from bnbench.config import Request, compose_request, read_spec
from bnbench.devices import CPU, Device, gpus, resolved
from bnbench.environment import cores
from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.notices import step
from bnbench.paths import expanded
from bnbench.plan import (
    Division,
    Examination,
    Execution,
    Question,
    engine_lines,
    examine,
    examine_options,
    lasts,
    likely_failures,
    stacks,
    summarized,
    until_last,
)
from bnbench.plan.readiness import foreseen, is_lasting
from bnbench.plugins import known_components
from bnbench.remembered import machine, remembered
from bnbench.schema import Known
from bnbench.session.naming import free_name
from bnbench.session.provenance import (
    PATH,
    earlier_data,
    earlier_sources,
    fingerprinted,
    is_settled,
    repeated,
    same_data,
)
from bnbench.spec import RunSpec, flatten, run_id, stack_key
from bnbench.whole import imported_whole

Start = Callable[[], None]
"""Lets what workers need be imported beside planning."""
DEFAULT_NAME = "runs"
SOON = 1.0
"""Seconds above which dividing runs is timed again: most of it is kept then, as proofs and compiled code are."""


@dataclass(frozen=True)
class Estimate:
    """What is to be expected of training.

    Attributes:
        seconds: to the end.
        engines: a line for each engine and why none that is faster.
    """

    seconds: float
    engines: Sequence[str]


@dataclass(frozen=True)
class Terms:
    """Terms on which runs are divided into stacks.

    Attributes:
        workers: how many train at a time.
        lanes: runs trained as one network; None as many as is quick.
        known: how many are trained together at most, by stack key, as it was found before; counts only without lanes.
        compiles: whether compilers are waited for.
    """

    workers: int
    lanes: int | None = None
    known: Mapping[str, int] = field(default_factory=dict)
    compiles: bool = False


@dataclass(frozen=True)
class Plan:
    """A checked request, held against what its results folder has already.

    Attributes:
        specs: by run_id, what was asked for.
        folder: the sweep's folder.
        known: by run_id, the status of every run in the folder.
        pending: by run_id, what to train now.
        impossible: by run_id, why a spec cannot be trained.
        interleaved: groups of run_ids; if given, the pending runs of a group are trained in turns, group by group.
        identities: by run_id of a spec as it was composed, that of the run if it is another one, as it is where its
            data have a fingerprint.
    """

    request: Request
    specs: Mapping[str, RunSpec]
    folder: Path
    components: Known
    plugin: Path | None
    data: Path
    device: Device
    known: Mapping[str, str]
    pending: Mapping[str, RunSpec]
    impossible: Mapping[str, str]
    interleaved: tuple[tuple[str, ...], ...] = ()
    identities: Mapping[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> list[str]:
        """The runs that have a result already."""
        return [identity for identity in self.specs if self.known.get(identity) in store.RESULTS]

    @property
    def held_back(self) -> list[str]:
        """The runs that failed earlier and are not tried again."""
        left = {*self.pending, *self.finished, *self.impossible}
        return [identity for identity in self.specs if identity not in left]

    @property
    def obstacles(self) -> list[str]:
        """What is impossible, in sentences."""
        return summarized(self.specs, self.impossible)

    @property
    def others(self) -> int:
        """How many runs the folder has that were not asked for now."""
        return len(set(self.known) - set(self.specs))

    def estimate(self, workers: int, lanes: int | None = None, rounds: int = 1) -> Estimate:
        """How long it is from this plan to the end, if so many workers train what is pending, and who trains it.

        As many measure a few steps at once. How long it takes to divide the runs and to start the workers is measured
        as well: what is left of the time for that, once what was spent on measuring steps is taken off.

        What was measured of built-in components on this machine is taken again for the rest of the week.

        Args:
            lanes: runs trained as one network; None as many as is quick.
            rounds: in how many parts, one after the other, the plan is trained.
        """
        if self.device != CPU or not all(map(is_settled, self.pending.values())):
            return Estimate(*self._measured(workers, lanes, rounds))
        about = [
            [*self.pending],
            workers,
            lanes,
            rounds,
            cores(),
            self.known_lanes(),
            machine(),
            date.today().isocalendar()[:2],
        ]
        known: Any = remembered("estimate", about, lambda: [*self._measured(workers, lanes, rounds)], is_lasting)
        return Estimate(*known)

    def _measured(self, workers: int, lanes: int | None, rounds: int) -> tuple[float, list[str]]:
        """The attributes of an :class:`Estimate`, measured now."""
        start = time.monotonic()
        imported_whole("bnbench.plan.estimate")
        import torch

        from bnbench.plan.estimate import stack_seconds

        device = torch.device(self.device.name)
        loading = time.monotonic() - start
        dividing, divided = self._timed_division(workers, lanes)
        every = Division({}, {})
        for answer in divided:
            every.add(answer.value)
        planned = stacks(self.pending, every.executions, workers, spread=lanes is None)
        seconds: list[float] = []
        starts: list[float] = []
        for found in divided:
            specs, own = found.specs, [stack for stack in planned if stack[0] in found.specs]
            question = partial(stack_seconds, device=device, planned=own, found=found.value)
            asked = time.monotonic()
            if self.device.type == "cpu" and (workers > 1 or any(spec.plugin for spec in specs.values())):
                answers = ask_copies(question, specs, self.components, self.data, min(workers, cores()))
            else:
                answers = [told.value for told in self.ask(question, specs, measures=True) if told.error is None]
            seconds += [fmean(times) for times in zip(*(answer.seconds for answer in answers), strict=True)]
            spent = fmean(answer.spent for answer in answers) if answers else 0.0
            starts.append(max(time.monotonic() - asked - spent, 0.0))
        starting = max(max(starts, default=0.0), sum(starts) / workers)
        whole = loading + rounds * (dividing + starting) + until_last(seconds, workers)
        return whole, engine_lines(self.pending, foreseen(planned, self.pending, every))

    def _timed_division(self, workers: int, lanes: int | None) -> tuple[float, list[Answer]]:
        """How the runs are divided, and the seconds that it takes whoever trains: what was slow is known by then."""
        seconds = math.inf
        terms = Terms(workers, lanes, self.known_lanes())
        while True:
            start, before = time.monotonic(), seconds
            divided = list(self.divide(self.pending, terms))
            seconds = time.monotonic() - start
            if seconds < SOON or before < math.inf:
                return seconds, divided

    def division(self, terms: Terms) -> Question:
        """The question that comes to a :class:`Division` on some terms."""
        imported_whole("bnbench.plan.choice")
        import torch

        from bnbench.plan.choice import Means, division

        means = Means(terms.workers, terms.lanes, torch.device(self.device.name), terms.compiles)
        return partial(division, means=means, known=terms.known if terms.lanes is None else {})

    def divide(self, pending: Mapping[str, RunSpec], terms: Terms, waits: Waits | None = None) -> Iterator[Answer]:
        """A :class:`Division` of what is pending: as the same command found before, or found now.

        Args:
            waits: see :func:`ask`.
        """
        for told in self.ask(self.division(terms), pending, True, waits):
            if told.error is None:
                yield told
                continue
            companions = Counter(map(stack_key, told.specs.values()))
            why = Execution(reasons=(f"trying lanes failed: {told.error}",))
            executions = {key: why if runs > 1 else Execution() for key, runs in companions.items()}
            yield replace(told, value=Division(executions, dict.fromkeys(companions, 0.0)))

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for and where it is trained, as far as how many lanes are quick depends on it."""
        return {**{key: list(texts) for key, texts in self.request.typed.items()}, "device": str(self.device)}

    def known_lanes(self) -> dict[str, int]:
        """How many runs are trained together at most, by stack key, as the same command found before."""
        known: dict[str, int] = {}
        for entry in store.read_history(self.folder):
            if self.asked.items() <= entry.items():
                known |= entry.get("lanes", {})
        return known

    def ask(
        self, question: Question, specs: Mapping[str, RunSpec], measures: bool = False, waits: Waits | None = None
    ) -> Iterator[Answer]:
        """See :func:`ask`."""
        return ask(question, specs, self.components, self.data, measures, waits)


def plan_sweep(
    overrides: Sequence[str],
    name: str | None,
    *,
    results: Path,
    data: Path,
    zips: Sequence[str] = (),
    excludes: Sequence[str] = (),
    plugin: Path | None = None,
    retry_failed: bool = False,
    start: Start | None = None,
) -> Plan:
    """Compose and check a sweep.

    Args:
        name: of the sweep; None takes one that is free.
        start: is called as soon as it is clear that there is something to train, while planning goes on.

    Raises:
        BnbenchError: something is wrong with the request; the message says all of it.
    """
    parts = known_components(plugin and _absolute(plugin, "--plugin"))
    request = compose_request(overrides, parts, zips, excludes)
    if name is None:
        name = free_name(request.specs, _absolute(results, "--results"), date.today())
    return plan_request(
        request, parts, name, results=results, data=data, plugin=plugin, retry_failed=retry_failed, start=start
    )


def plan_request(
    request: Request,
    parts: Known,
    name: str,
    *,
    results: Path,
    data: Path,
    plugin: Path | None = None,
    retry_failed: bool = False,
    start: Start | None = None,
) -> Plan:
    """Check a sweep that is composed already, with the components ``parts`` of ``plugin``.

    Raises:
        BnbenchError: as :func:`plan_sweep`.
    """
    results, data = _absolute(results, "--results"), _absolute(data, "--data")
    plugin = plugin and _absolute(plugin, "--plugin")
    skip = store.RESULTS if retry_failed else store.RESULTS | {"failed", "out_of_memory"}
    return _plan(request, parts, name, results, data, plugin, skip, start)


def plan_run(
    overrides: Sequence[str],
    name: str,
    *,
    results: Path,
    data: Path,
    plugin: Path | None = None,
    source: Path | None = None,
) -> Plan:
    """Compose and check one run, from overrides or from the spec file ``source``.

    The run is trained also if the folder has its result: asking for a run means running it.

    Raises:
        BnbenchError: as :func:`plan_sweep`, and for overrides that make more than one run.
    """
    results, data = _absolute(results, "--results"), _absolute(data, "--data")
    plugin = plugin and _absolute(plugin, "--plugin")
    parts = known_components(plugin)
    request = compose_request([text for text in overrides if source is None or not text.startswith(f"{PATH}=")], parts)
    if source is not None:
        moves = [override for override in overrides if override.startswith(f"{PATH}=")]
        if not all(override in moves or override.startswith("device=") for override in overrides):
            beside = f"device=... and, for data that were moved, {PATH}=..."
            raise InvalidRequest([f"--from repeats a run as it was; only {beside} can be set beside it"])
        spec = repeated(source, read_spec(source, parts), moves, parts, data)
        request = replace(request, specs=(spec,), factors={}, typed={}, excluded=0, notes=_renamed(source, spec))
    if len(request.specs) > 1 and not request.problems:
        factors = ", ".join(request.factors)
        remedy = "use bnbench sweep"
        raise InvalidRequest([f"these overrides make {len(request.specs)} runs ({factors}); {remedy}"])
    return _plan(request, parts, name, results, data, plugin, frozenset())


def _plan(
    request: Request,
    parts: Known,
    name: str,
    results: Path,
    data: Path,
    plugin: Path | None,
    skip: frozenset[str],
    start: Start | None = None,
) -> Plan:
    problems = list(request.problems)
    folder = results / name
    composed: list[RunSpec] = []
    specs: dict[str, RunSpec] = {}
    rows: Mapping[str, Mapping[str, str]] = {}
    device, found = CPU, Examination()
    try:
        store.check_name(name)
        store.check_writable(folder)
        rows = store.checked_rows(folder)  # a damaged folder is refused as a whole before anything is tried or told
        device = resolved(request.device)
    except InvalidRequest as error:
        problems += error.problems
    try:
        step("reading the data")
        composed = fingerprinted(request.specs, data)
    except InvalidRequest as error:
        problems += error.problems
    for spec in composed or request.specs:
        specs.setdefault(run_id(spec), spec)
    known = {identity: row["status"] for identity, row in rows.items()}
    if start is not None and not problems and any(known.get(identity) not in skip for identity in specs):
        start()
    try:
        if not request.is_unclear:
            found = _examined(specs, bool(composed), parts, data)
    except BnbenchError as error:
        problems += [str(error)]
    problems += found.problems
    impossible = {identity: found.impossible[identity] for identity in specs if identity in found.impossible}
    if problems or len(impossible) == len(specs):
        others = {name: reason for name, reason in impossible.items() if reason not in problems}
        raise InvalidRequest([*problems, *summarized(specs, others)])
    coincide = sentences(
        {**flatten(spec), "total_steps": found.steps[identity]}
        for identity, spec in specs.items()
        if identity not in impossible
    )
    notes = dict.fromkeys([*request.notes, *found.notes, *coincide])
    notes.update(dict.fromkeys(earlier_data(specs.values(), rows.values())))
    notes.update(dict.fromkeys(same_data(composed)))
    pending = {
        identity: spec
        for identity, spec in specs.items()
        if identity not in impossible and known.get(identity) not in skip
    }
    notes.update(dict.fromkeys(earlier_sources(specs, pending, parts, rows.values())))
    notes.update(dict.fromkeys(likely_failures(pending, found.failing)))
    typed, request = request.specs, replace(request, specs=tuple(specs.values()), notes=tuple(notes))
    if pending and (used := gpus(device)):
        _check_room(pending, data, used)
    identities = {run_id(old): run_id(new) for old, new in zip(typed, composed, strict=True) if old is not new}
    return Plan(request, specs, folder, parts, plugin, data, device, known, pending, impossible, (), identities)


def _examined(specs: Mapping[str, RunSpec], has_data: bool, parts: Known, data: Path) -> Examination:
    """What must be known of specs before they are trained; what is settled is remembered.

    Args:
        has_data: whether the data are there; options alone are looked at if not.

    Raises:
        BnbenchError: see :func:`ask`.
    """
    tried = 0

    def asked(some: Mapping[str, RunSpec]) -> Examination:
        nonlocal tried
        every = Examination()
        step(f"trying networks (of {len(specs)} runs)")
        for told in ask(examine if has_data else examine_options, some, parts, data):
            tried += len(told.specs)
            step(f"trying networks ({tried} of {len(specs)} runs)")
            reason = f"trying its network failed: {told.error}"
            every.add(told.value or Examination(impossible=dict.fromkeys(told.specs, reason)))
        return every

    if not has_data:
        return asked(specs)
    found = Examination()
    settled = {identity: spec for identity, spec in specs.items() if is_settled(spec)}
    if settled:
        about = [[*settled]]
        found.add(Examination(**remembered("examine", about, lambda: asdict(asked(settled)), lasts)))
    if others := {identity: spec for identity, spec in specs.items() if identity not in settled}:
        found.add(asked(others))
    return found


def _check_room(pending: Mapping[str, RunSpec], data: Path, used: Sequence[Device]) -> None:
    """See :func:`check_room`."""
    imported_whole("bnbench.plan.room")
    import torch

    from bnbench.components import components
    from bnbench.plan.room import check_room

    here = components()
    check_room(pending, here, partial(here.load, root=data), [torch.device(gpu.name) for gpu in used])


def _renamed(source: Path, spec: RunSpec) -> tuple[str, ...]:
    """A note if a spec file is named for another run than it holds: it was edited, or an earlier version wrote it."""
    held = run_id(spec)
    if source.stem == held or not re.fullmatch(r"[r0-9a-f][0-9a-f]{11}", source.stem):
        return ()
    return (f"the file is named for run {source.stem}; what it holds now is run {held}",)


def _absolute(path: Path, option: str) -> Path:
    """The path, whatever folder a plugin makes the current one."""
    return expanded(path, option).absolute()
