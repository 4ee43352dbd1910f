"""Runs tasks as jobs of a Slurm cluster, which may outlive the program."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bnbench.errors import described
from bnbench.launch.errands import Errand, Order, errands_in, new_errand
from bnbench.launch.host import named
from bnbench.launch.launcher import Done, as_it_is, same_kind
from bnbench.launch.settings import read_settings
from bnbench.launch.site import Launcher, Request, Site
from bnbench.launch.slurm_jobs import Jobs
from bnbench.launch.slurm_settings import SlurmSettings, check_accepted, slurm_problems
from bnbench.scratch import scratch_folder

FOLDER, ERRANDS, FILES = ".jobs", "errands", "submitit"
"""A folder in that which a request names; in it, one of errands and one of submitit's files."""
POLL_SECONDS = 0.5
"""Seconds from one look at the folders of errands to the next."""


@dataclass(frozen=True)
class _Place:
    """Where jobs are submitted.

    Attributes:
        settings: of the jobs.
        folder: of their files.
        detaches: leave them once they are submitted.
        known: by the ``id`` of a task, the errand that it is already.
        patience: as of :class:`Request`; jobs have it themselves, whether this program is there or not.
    """

    settings: SlurmSettings
    folder: Path
    detaches: bool = False
    known: Mapping[int, Errand] = field(default_factory=dict)
    patience: float = math.inf


@dataclass
class _Call:
    """The errands of one call, by the indices of their tasks.

    Attributes:
        jobs: what submits them.
        at_a_time: jobs that may run at a time.
        waiting: indices of errands that are not submitted yet.
        living: indices of those that are, and have no end that is known.
        heard_to: by index, the place in the file of what was told up to which all was heard.
    """

    jobs: Jobs
    at_a_time: int
    errands: dict[int, Errand] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    living: list[int] = field(default_factory=list)
    heard_to: dict[int, int] = field(default_factory=dict)

    def submit(self) -> None:
        """Submit what waits: all of it to a cluster, which has a queue, and no more than may run to this machine."""
        is_cluster = self.jobs.settings.cluster == "slurm"
        count = len(self.waiting) if is_cluster else self.at_a_time - len(self.living)
        chosen, self.waiting = self.waiting[: max(0, count)], self.waiting[max(0, count) :]
        if chosen:
            self.living += chosen
            self.jobs.submit([self.errands[index] for index in chosen], self.at_a_time)

    def hear(self, index: int, heard: Callable[[Any], None] | None) -> None:
        """Hand on what an errand has told since it was asked last."""
        for value, place in self.errands[index].told(self.heard_to.get(index, 0)):
            if heard is not None:
                heard(value)
            self.heard_to[index] = place

    def end_of(self, index: int) -> Done | None:
        """The end of an errand, or of its job."""
        errand = self.errands[index]
        if (done := errand.end(index)) is not None or (loss := self.jobs.loss(errand)) is None:
            return done
        return errand.end(index) or Done(index, None, *loss)


def on_slurm(
    function: Callable[..., Any],
    tasks: Sequence[Any],
    jobs: int,
    kinds: Callable[[Any], Hashable] = same_kind,
    placed: Callable[[Any, int], Any] = as_it_is,
    heard: Callable[[Any], None] | None = None,
    place: _Place | None = None,
) -> Generator[Done, None, None]:
    """See :class:`Launch`; a job for each task, so that ``kinds`` have no effect, and all of them have the place 0.

    A task of :attr:`Site.tasks` is not submitted again: it is waited for.

    Args:
        place: where jobs are submitted; None is the settings as they come, and a folder that goes at the end.
    """
    with scratch_folder() as elsewhere:
        place = place or _Place(read_settings("slurm", SlurmSettings), elsewhere)
        call = _Call(Jobs(place.settings, place.folder / FILES), jobs)
        try:
            for index, task in enumerate(tasks):
                if (known := place.known.get(id(task))) is not None:
                    call.errands[index] = known
                    call.living.append(index)
                    continue
                try:
                    order = Order(named(function), placed(task, 0), heard is not None, place.patience)
                    call.errands[index] = new_errand(place.folder / ERRANDS, order, place.settings.grace)
                    call.waiting.append(index)
                except Exception as error:
                    yield Done(index, None, described(error))
            yield from _wait(call, heard, place.detaches)
        finally:
            _leave(call, place.detaches)


def _wait(call: _Call, heard: Callable[[Any], None] | None, detaches: bool) -> Generator[Done, None, None]:
    """Submit what is to be submitted, and yield the ends: all, or those that there are."""
    while True:
        call.submit()
        for index in tuple(call.living):
            done = call.end_of(index)
            call.hear(index, heard)
            if done is not None:
                call.living.remove(index)
                call.errands[index].forget()
                yield done
        if (detaches and not call.waiting) or not (call.living or call.waiting):
            return
        time.sleep(POLL_SECONDS)


def _leave(call: _Call, detaches: bool) -> None:
    """End all jobs and forget their errands, but for those that are left to the cluster.

    What was not collected of an errand stays for the next program: nobody else has its results.
    """
    living = {index: call.errands[index] for index in call.living if call.errands[index].job is not None}
    for errand in [call.errands[index] for index in (*call.waiting, *call.living) if index not in living]:
        errand.forget()
    if detaches:
        return
    call.jobs.cancel([*living.values()])
    call.jobs.close()
    for index, errand in living.items():
        if errand.is_heard(call.heard_to.get(index, 0)):
            errand.forget()


@contextmanager
def opened(request: Request) -> Iterator[Site]:
    """A site on a cluster, with the tasks that an earlier program has left there; see :class:`Open`."""
    settings = request.settings
    assert isinstance(settings, SlurmSettings), "those of this launcher"
    assert request.folder is not None, "jobs have files"
    check_accepted(settings)
    folder = request.folder / FOLDER
    errands = errands_in(folder / ERRANDS)
    tasks = [request.adopt(errand.read_task().task) for errand in errands]
    known = {id(task): errand for task, errand in zip(tasks, errands, strict=True)}
    place = _Place(settings, folder, request.detaches, known, request.patience)
    yield Site(partial(on_slurm, place=place), settings.jobs, tasks)
    remove_if_empty(folder)


def tasks_left(folder: Path) -> int:
    """The number of tasks that a program has left to a cluster, with their files in a folder."""
    return len(errands_in(folder / FOLDER / ERRANDS))


def remove_if_empty(folder: Path) -> None:
    """Remove the files of jobs once there is none of them."""
    if not any((folder / ERRANDS).glob("*")):
        shutil.rmtree(folder, ignore_errors=True)


SLURM = Launcher(
    on_slurm,
    "jobs of a Slurm cluster, in a folder that all its machines see",
    isolates=True,
    compiles=True,
    is_away=True,
    shares_folder=True,
    settings=SlurmSettings,
    problems=slurm_problems,
    open=opened,
    detaches=True,
    left=tasks_left,
    package="submitit",
)
