"""A composed request held against its folder, its data and its networks; all that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bnbench import store
from bnbench.coincidences import sentences
from bnbench.config import Request
from bnbench.devices import CPU, Device, gpus, resolved
from bnbench.errors import BnbenchError, InvalidRequest, NothingPossible
from bnbench.imports import imported_whole
from bnbench.isolation import ask
from bnbench.memoization import remembered
from bnbench.notices import step
from bnbench.plan import Examination, Question, examine, examine_options, lasts, likely_failures, summarized
from bnbench.schema import Known
from bnbench.session.inputs import Paths, Prestart
from bnbench.session.plan import Plan
from bnbench.session.provenance import earlier_data, earlier_sources, fingerprinted, is_settled, same_data
from bnbench.spec import RunSpec, by_stack_key, flatten, run_id
from bnbench.text import plural

Rows = Mapping[str, Mapping[str, str]]
"""The table of a sweep's runs, by run_id."""


@dataclass(frozen=True)
class _Examiner:
    """Runs whose networks are tried.

    Attributes:
        specs: by run_id.
        parts: the components of the plugin.
        data: the folder of the datasets.
        prestart: see :class:`Prestart`.
    """

    specs: Mapping[str, RunSpec]
    parts: Known
    data: Path
    prestart: Prestart | None

    def examination(self) -> Examination:
        """All that must be known of runs before they are trained; what is settled is remembered.

        Raises:
            BnbenchError: see :func:`ask`.
        """
        whole = Examination()
        settled = {identity: spec for identity, spec in self.specs.items() if is_settled(spec)}
        if settled:
            about = [[*settled]]
            whole.add(Examination(**remembered("examine", about, lambda: asdict(self._tried(settled)), lasts)))
        if others := {identity: spec for identity, spec in self.specs.items() if identity not in settled}:
            whole.add(self._tried(others))
        return whole

    def wrong_options(self) -> list[str]:
        """Problems of options whatever the data hold.

        Raises:
            BnbenchError: see :func:`ask`.
        """
        return self._asked(examine_options, self.specs).problems

    def _tried(self, specs: Mapping[str, RunSpec]) -> Examination:
        if self.prestart is not None and not self.prestart.to_train:
            self.prestart.begin()
        return self._asked(examine, specs)

    def _asked(self, question: Question, specs: Mapping[str, RunSpec]) -> Examination:
        whole, count = Examination(), 0
        step(f"trying networks (of {len(self.specs)} runs)")
        for answer in ask(question, specs, self.parts, self.data):
            count += len(answer.specs)
            step(f"trying networks ({count} of {len(self.specs)} runs)")
            reason = f"trying its network failed: {answer.error}"
            whole.add(answer.value or Examination(impossible=dict.fromkeys(answer.specs, reason)))
        return whole


def checked_plan(
    request: Request, parts: Known, name: str, paths: Paths, skip: frozenset[str], prestart: Prestart | None = None
) -> Plan:
    """Check a request that is composed already.

    Args:
        parts: the components of the plugin.
        name: of the sweep.
        paths: absolute ones.
        skip: statuses of runs that are not trained again.

    Raises:
        BnbenchError: something is wrong with the request; the message says all of it.
    """
    problems, folder = list(request.problems), paths.results / name
    rows, device = _place(name, folder, request, problems)
    specs_with_data = _with_fingerprints(request.specs, paths.data, problems)
    specs: dict[str, RunSpec] = {}
    for spec in specs_with_data or request.specs:
        specs.setdefault(run_id(spec), spec)
    known = {identity: row["status"] for identity, row in rows.items()}
    untrained = [identity for identity in specs if known.get(identity) not in skip]
    if prestart is not None and prestart.to_train and untrained and not problems:
        prestart.begin()
    inquiry = _Examiner(specs, parts, paths.data, prestart)
    examination = Examination() if request.is_unclear else _examined(inquiry, bool(specs_with_data), problems)
    impossible = {key: examination.impossible[key] for key in specs if key in examination.impossible}
    if problems or (len(impossible) == len(specs) and not request.may_be_empty):
        raise _refusal(inquiry, impossible, problems)
    pending = {identity: specs[identity] for identity in untrained if identity not in impossible}
    notes = [*request.told, *_notes(specs, examination), *earlier_data(specs.values(), rows.values())]
    notes += [*same_data(specs_with_data), *earlier_sources(specs, pending, parts, rows.values())]
    notes += likely_failures(pending, examination.failing)
    if pending and (devices := gpus(device)):
        _check_room(pending, paths.data, devices)
    changed = [pair for pair in zip(request.specs, specs_with_data, strict=True) if pair[0] is not pair[1]]
    identities = {run_id(old): run_id(new) for old, new in changed}
    request = replace(request, specs=tuple(specs.values()), notes=tuple(dict.fromkeys(notes)), idle=())
    where = folder, parts, paths.plugin, paths.data, device
    return Plan(request, specs, *where, known, pending, impossible, identities=identities)


def _place(name: str, folder: Path, request: Request, problems: list[str]) -> tuple[Rows, Device]:
    """The rows of a sweep that may be written to, and the device to train on; what is wrong goes to ``problems``."""
    try:
        store.check_name(name)
        store.check_writable(folder)
        rows = store.checked_rows(folder)  # a damaged folder is refused as a whole before anything is tried or told
        device = resolved(request.device)
        problems += _lacking_gpus(request.specs, device)
        return rows, device
    except InvalidRequest as error:
        problems += error.problems
        return {}, CPU


def _lacking_gpus(specs: Sequence[RunSpec], device: Device) -> list[str]:
    """The problem that runs want more GPUs than the device stands for, if they do."""
    if device.type == "cpu":
        return []
    count, most = len(gpus(device)), max((spec.devices for spec in specs), default=1)
    if most <= count:
        return []
    return [f"devices={most}: device={device} is {plural(count, 'GPU')}; must be at most {count} here, or device=cpu"]


def _with_fingerprints(specs: Sequence[RunSpec], data: Path, problems: list[str]) -> list[RunSpec]:
    """See :func:`fingerprinted`; none without the data, and why goes to ``problems``."""
    try:
        step("reading the data")
        return fingerprinted(specs, data)
    except InvalidRequest as error:
        problems += error.problems
        return []


def _examined(inquiry: _Examiner, has_data: bool, problems: list[str]) -> Examination:
    """The examination of runs, without data of their options alone; its problems go to ``problems``."""
    try:
        examination = inquiry.examination() if has_data else Examination(problems=inquiry.wrong_options())
    except BnbenchError as error:
        examination = Examination(problems=[str(error)])
    problems += examination.problems
    return examination


def _refusal(inquiry: _Examiner, impossible: Mapping[str, str], problems: Sequence[str]) -> InvalidRequest:
    """All that is wrong; where no run is possible, also the options that were not come to in building a network."""
    reasons = {identity: reason for identity, reason in impossible.items() if reason not in problems}
    options = inquiry.wrong_options() if len(impossible) == len(inquiry.specs) else []
    more = [problem for problem in options if not any(problem in text for text in (*problems, *reasons.values()))]
    kind = InvalidRequest if problems or more else NothingPossible
    return kind([*problems, *summarized(inquiry.specs, reasons), *more])


def _notes(specs: Mapping[str, RunSpec], possible: Examination) -> list[str]:
    """Notes on the data, and on norms that are another one at the settings of a run."""
    trained = {identity: spec for identity, spec in specs.items() if identity not in possible.impossible}
    alike = (members[0] for members in by_stack_key(trained).values())
    coincide = sentences({**flatten(specs[one]), "total_steps": possible.steps[one]} for one in alike)
    return [*possible.notes, *coincide]


def _check_room(pending: Mapping[str, RunSpec], data: Path, devices: Sequence[Device]) -> None:
    """See :func:`check_room`."""
    imported_whole("bnbench.plan.gpu_memory")
    import torch

    from bnbench.components import DataFolder, components
    from bnbench.plan.gpu_memory import check_room

    here = components()
    check_room(pending, here, DataFolder(here, data), [torch.device(gpu.name) for gpu in devices])
