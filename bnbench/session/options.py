"""The options on where and how runs train, and the resources that they come to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bnbench.devices import gpus
from bnbench.environment import cores
from bnbench.errors import BnbenchError, InvalidRequest, nearest
from bnbench.launch import LAUNCHERS, Launch, Launcher, Request, Settings, Site, WatchfulLaunch, read_settings
from bnbench.plan import Resources
from bnbench.session.plan import Plan
from bnbench.text import plural

CHECKPOINT_EVERY = 300.0
"""Seconds of training from one checkpoint to the next, unless told."""

_LANES = {"auto": None, "off": 1}
_LANE_COUNT = re.compile(r"0*[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class TrainingOptions:
    """The way in which a user asks for runs to be trained; :meth:`resources` makes it definite for a plan.

    Attributes:
        launcher: a name of :data:`LAUNCHERS`; on a GPU ``local`` leaves no training to this process, which an assert in
            a kernel would spoil.
        jobs: worker processes; by default one per processor core, or one per GPU in use.
        lanes: runs trained as one network: ``auto``, ``off`` or a number.
        fail_fast: stop at the first failure.
        settings: of the launcher, ``launcher.key=value``.
        detaches: leave the runs to the cluster, once they are there.
        checkpoint_every: seconds of training from one checkpoint of a stack to the next, at least; infinite for none.
        timeout: seconds that a run may train; infinite for all that it takes.
    """

    launcher: str = "local"
    jobs: int | None = None
    lanes: str = "auto"
    fail_fast: bool = False
    settings: Sequence[str] = ()
    detaches: bool = False
    checkpoint_every: float = CHECKPOINT_EVERY
    timeout: float = math.inf

    def limited(self, checkpoint_every: float | None, timeout: float | None) -> TrainingOptions:
        """The same with other times, where they are given."""
        every = self.checkpoint_every if checkpoint_every is None else checkpoint_every
        return replace(self, checkpoint_every=every, timeout=self.timeout if timeout is None else timeout)

    def check(self) -> None:
        """Check the options, which no other method does.

        Raises:
            InvalidRequest: listing all that is wrong.
        """
        problems = []
        if self.jobs is not None and self.jobs < 1:
            problems.append(f"jobs={self.jobs}: must be at least 1")
        times = {"checkpoint_every": self.checkpoint_every, "timeout": self.timeout}
        problems += [f"{name}={time}: must be above 0 seconds" for name, time in times.items() if not time > 0]
        if self.lanes not in _LANES and not _LANE_COUNT.fullmatch(self.lanes):
            problems.append(f"lanes={self.lanes}: must be auto, off, or a number of runs, at least 1")
        if self.launcher not in LAUNCHERS:
            problems.append(f"launcher={self.launcher}: unknown; {nearest(self.launcher, list(LAUNCHERS))}")
        else:
            problems += self._problems_of_site()
        if problems:
            raise InvalidRequest(problems)

    def _problems_of_site(self) -> Sequence[str]:
        """The problems of the launcher's settings and, if there are none, of what they name."""
        launcher = LAUNCHERS[self.launcher]
        able = [name for name, one in LAUNCHERS.items() if one.detaches]
        problems = []
        if self.detaches and not launcher.detaches:
            problems.append(f"--detach: needs --launcher {' or '.join(able)}, and not {self.launcher}")
        if launcher.settings is None:
            return [*problems, *(f"{word}: --launcher {self.launcher} has no settings" for word in self.settings)]
        try:
            return [*problems, *launcher.problems(self._read())]
        except InvalidRequest as error:
            return [*problems, *error.problems]

    def _read(self) -> Settings:
        """The settings of the launcher."""
        return read_settings(self.launcher, LAUNCHERS[self.launcher].settings or Settings, self.settings)

    @property
    def begins(self) -> bool:
        """True if the site where runs will train can begin while they are planned."""
        return LAUNCHERS[self.launcher].begin is not None

    def begin(self) -> None:
        """Let the site begin where runs will train."""
        begin = LAUNCHERS[self.launcher].begin
        if begin is not None:
            begin(self._read(), self.jobs)

    @contextmanager
    def opened(self, plan: Plan) -> Iterator[tuple[TrainingOptions, Site]]:
        """Have a site where the pending runs of a plan can be trained at once, and the options as they are there.

        Raises:
            BnbenchError: there is none, or another one has runs of this sweep.
        """
        launcher = LAUNCHERS[self.launcher]
        self._check_devices(plan)
        for name, other in LAUNCHERS.items():
            if name != self.launcher and (count := other.left(plan.folder)):
                remedy = f"the same command with --launcher {name} collects them"
                raise BnbenchError(f"{plan.folder}: {plural(count, 'stack')} of runs left to jobs; {remedy}")
        if launcher.open is None:
            yield self, Site(self.launch(plan))
            return
        request = Request(
            self._read(), self.jobs, plan.device.type != "cpu", plan.folder, self.detaches, self.timeout,
            adopt=lambda task: replace(task, folder=plan.folder.absolute(), checkpoints=plan.folder.absolute()),
        )  # fmt: skip
        with launcher.open(request) as site:
            yield replace(self, jobs=self.jobs or site.workers), site

    @property
    def is_timed(self) -> bool:
        """True if runs may train for some time only."""
        return math.isfinite(self.timeout)

    def watchful(self, plan: Plan) -> WatchfulLaunch | None:
        """What trains and ends workers from which nothing comes; None where none is ended, or the site does it."""
        return self._chosen(plan).watchful if self.is_timed else None

    @property
    def shares_folder(self) -> bool:
        """True if runs train away, and yet where the sweep's folder is."""
        return LAUNCHERS[self.launcher].shares_folder

    @property
    def is_away(self) -> bool:
        """True if runs train where the sweep's folder may not be."""
        return LAUNCHERS[self.launcher].is_away

    def here(self, plan: Plan) -> TrainingOptions:
        """The same where a user names no launcher: one job trains in this process, unless on a GPU."""
        is_here = self.jobs == 1 and plan.device.type == "cpu"
        return replace(self, launcher="inline" if is_here else "local")

    def checked(self) -> TrainingOptions:
        """The options, once :meth:`check` has found nothing wrong with them."""
        self.check()
        return self

    def resources(self, plan: Plan) -> Resources:
        """The resources that train the pending runs of a plan.

        Raises:
            InvalidRequest: some of these runs cannot be trained where the launcher trains.
        """
        self._check_devices(plan)
        lanes = _LANES[self.lanes] if self.lanes in _LANES else int(self.lanes)
        known = plan.known_lanes() if lanes is None else {}
        return Resources(self.workers(plan), lanes, plan.device, known, LAUNCHERS[self.launcher].compiles)

    def workers(self, plan: Plan) -> int:
        """The processes that train at a time: one per core or GPU unless told, and no more than all runs have.

        A launcher that isolates nothing trains in this process alone, but for a user's components, which are never
        trained here.
        """
        if not (LAUNCHERS[self.launcher].isolates or _is_foreign(plan)):
            return 1
        here = 0 if self.is_away else len(gpus(plan.device))
        processes = sum(spec.devices for spec in plan.pending.values())
        return max(1, min(self.jobs or here or cores(), processes))

    def _check_devices(self, plan: Plan) -> None:
        """Refuse runs on several devices where a worker has a job of a cluster, and so one device.

        Raises:
            InvalidRequest: naming the largest number of devices.
        """
        most = max((spec.devices for spec in plan.pending.values()), default=1)
        if most > 1 and self.is_away:
            here = " or ".join(name for name, one in LAUNCHERS.items() if not one.is_away)
            raise InvalidRequest(
                [f"devices={most}: --launcher {self.launcher} gives each run one device; use --launcher {here}"]
            )

    def launch(self, plan: Plan) -> Launch:
        """The function that trains: a user's code is isolated, as it may end its process; one worker may be spared."""
        return self._chosen(plan).launch

    def _chosen(self, plan: Plan) -> Launcher:
        launcher = LAUNCHERS[self.launcher]
        if _is_foreign(plan):
            return launcher if launcher.isolates else LAUNCHERS["local"]
        alone = self.workers(plan) < 2 * min((spec.devices for spec in plan.pending.values()), default=1)
        spared = launcher.spares_one and self.jobs is None and alone and plan.device.type == "cpu"
        spared = spared and not self.is_timed  # this process cannot end itself
        return LAUNCHERS["inline"] if spared else launcher


def options_without_launcher(plan: Plan, jobs: int | None, lanes: str = "auto") -> TrainingOptions:
    """The options where a user names no launcher; see :meth:`TrainingOptions.here`."""
    return TrainingOptions(jobs=jobs, lanes=lanes).here(plan)


def _is_foreign(plan: Plan) -> bool:
    return any(spec.plugin is not None for spec in plan.pending.values())
