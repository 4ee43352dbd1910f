"""The machines of a cluster, held against this one before anything is trained there, and given the data they lack."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bnbench.environment import decisive_versions, unlike
from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.imports import imported_whole
from bnbench.launch import AskEach, Done, Site
from bnbench.notices import step
from bnbench.plugin_source import Plugin
from bnbench.session.plan import Plan
from bnbench.text import plural

MOST_BYTES = 4 * 2**30
"""Bytes of data that are sent to machines at most."""


@dataclass(frozen=True)
class Visit:
    """The questions to a machine.

    Attributes:
        plugin: is executed, to see that all is there that it imports.
        files: of the datasets, with their sizes in bytes.
    """

    plugin: Plugin | None
    files: Mapping[Path, int]


@dataclass(frozen=True)
class Machine:
    """A machine as it is found.

    Attributes:
        versions: of Python and of packages; of one that is not there it is empty.
        missing: the files that are not there.
        problem: why a plugin or a file cannot be used there; empty if all can.
    """

    versions: Mapping[str, str]
    missing: tuple[Path, ...] = ()
    problem: str = ""


def examine(visit: Visit) -> Machine:
    """This machine; called on each of a cluster."""
    problem = ""
    if visit.plugin is not None:
        from bnbench.components import components

        try:
            components(visit.plugin)
        except BnbenchError as error:
            problem = str(error)
    missing = tuple(path for path in visit.files if not path.exists())
    other = [path for path, size in visit.files.items() if path not in missing and path.stat().st_size != size]
    problem = problem or (f"{other[0]} is another file there; copy the one from here, or remove it" if other else "")
    return Machine(decisive_versions(), missing, problem)


def receive(files: Mapping[Path, bytes]) -> str:
    """Write files that are not there; the reason why one cannot be written, or nothing. Called on machines."""
    for path, content in files.items():
        coming = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                coming.write_bytes(content)
                coming.replace(path)
        except OSError as error:
            return f"{path} cannot be written there ({error.strerror}); copy it there, or name another folder by --data"
    return ""


def check_machines(plan: Plan, site: Site) -> Site:
    """Refuse a cluster on whose machines runs would train otherwise than here, or not at all; send data they lack.

    Returns:
        the site, where a machine that comes later is held to the same: it has no runs if it is not fit.

    Raises:
        InvalidRequest: listing the machines, with what is there and here.
    """
    if site.ask_each is None:
        return site
    step("looking at the machines of the cluster")
    plugin = plan.components.plugin_of(plan.pending.values())
    files = _data_files(plan)
    visit = Visit(plugin, {path: path.stat().st_size for path in files})
    if problems := _examined(visit, site.ask_each):
        raise InvalidRequest(problems)
    return site if site.guarded is None else replace(site, launch=site.guarded(partial(_examined, visit)))


def _examined(visit: Visit, ask_each: AskEach) -> Sequence[str]:
    """The problems with the machines that are asked, once they have been sent what they lack."""
    answers = ask_each(examine, visit)
    problems = [problem for name, done in answers for problem in _problems(name, done, examine(Visit(None, {})))]
    lacking = [(name, done.value.missing) for name, done in answers if isinstance(done.value, Machine)]
    if not problems and (missing := sorted({path for _, paths in lacking for path in paths})):
        problems += _send(ask_each, missing, {name for name, paths in lacking if paths})  # two may have one name
    return problems


def _data_files(plan: Plan) -> Sequence[Path]:
    """The files of the datasets of the pending runs."""
    imported_whole("bnbench.data.fingerprint")
    from bnbench.data.fingerprint import dataset_files

    choices = dict.fromkeys(spec.dataset for spec in plan.pending.values())
    return [path for choice in choices for path in dataset_files(choice, plan.data) if path.exists()]


def _problems(name: str, done: Done, here: Machine) -> Iterator[str]:
    """The problems with a machine, by what it has answered."""
    if not isinstance(done.value, Machine):
        yield f"node {name}: bnbench cannot be called there: {done.error}"
        return
    yield from (f"node {name}: {difference}" for difference in unlike(done.value.versions, here.versions))
    if done.value.problem:
        yield f"node {name}: {done.value.problem}"


def _send(ask_each: AskEach, files: Sequence[Path], names: set[str]) -> Iterator[str]:
    """Send files to machines, which have them at the same place then; the problems with it."""
    size = sum(path.stat().st_size for path in files)
    if size > MOST_BYTES:
        lack = f"lacks {plural(len(files), 'file')} of data, {size / 2**30:,.1f} GiB, such as {files[0]}"
        yield from (f"node {name}: {lack}; copy them there, at most {MOST_BYTES >> 30} GiB are sent" for name in names)
        return
    step(f"sending data to {plural(len(names), 'machine')}")
    for name, done in ask_each(receive, {path: path.read_bytes() for path in files}, names):
        if problem := done.error or done.value:
            yield f"node {name}: {problem}"
