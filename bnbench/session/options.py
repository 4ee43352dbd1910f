"""The options on where and how runs train, and the resources that they come to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bnbench.devices import gpus
from bnbench.environment import cores
from bnbench.errors import InvalidRequest, nearest
from bnbench.launch import LAUNCHERS, Launch
from bnbench.plan import Resources
from bnbench.session.plan import Plan

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
    """

    launcher: str = "local"
    jobs: int | None = None
    lanes: str = "auto"
    fail_fast: bool = False

    def check(self) -> None:
        """Check the options, which no other method does.

        Raises:
            InvalidRequest: listing all that is wrong.
        """
        problems = []
        if self.launcher not in LAUNCHERS:
            problems.append(f"launcher={self.launcher}: unknown; {nearest(self.launcher, list(LAUNCHERS))}")
        if self.jobs is not None and self.jobs < 1:
            problems.append(f"jobs={self.jobs}: must be at least 1")
        if self.lanes not in _LANES and not _LANE_COUNT.fullmatch(self.lanes):
            problems.append(f"lanes={self.lanes}: must be auto, off, or a number of runs, at least 1")
        if problems:
            raise InvalidRequest(problems)

    def checked(self) -> TrainingOptions:
        """The options, once :meth:`check` has found nothing wrong with them."""
        self.check()
        return self

    def resources(self, plan: Plan) -> Resources:
        """The resources that train the pending runs of a plan."""
        lanes = _LANES[self.lanes] if self.lanes in _LANES else int(self.lanes)
        known = plan.known_lanes() if lanes is None else {}
        return Resources(self.workers(plan), lanes, plan.device, known, LAUNCHERS[self.launcher].compiles)

    def workers(self, plan: Plan) -> int:
        """The number of workers: one per core or GPU unless told, and no more than there are runs.

        A launcher that isolates nothing trains in this process alone, but for a user's components, which are never
        trained here.
        """
        if not (LAUNCHERS[self.launcher].isolates or _is_foreign(plan)):
            return 1
        return max(1, min(self.jobs or len(gpus(plan.device)) or cores(), len(plan.pending)))

    def launch(self, plan: Plan) -> Launch:
        """The function that trains: a user's code is isolated, as it may end its process; one worker may be spared."""
        launcher = LAUNCHERS[self.launcher]
        if _is_foreign(plan):
            return launcher.launch if launcher.isolates else LAUNCHERS["local"].launch
        spared = launcher.spares_one and self.jobs is None and self.workers(plan) == 1 and plan.device.type == "cpu"
        return LAUNCHERS["inline"].launch if spared else launcher.launch


def options_without_launcher(plan: Plan, jobs: int | None, lanes: str = "auto") -> TrainingOptions:
    """The options where a user names no launcher: one job trains in this process, unless on a GPU."""
    is_here = jobs == 1 and plan.device.type == "cpu"
    return TrainingOptions("inline" if is_here else "local", jobs, lanes)


def _is_foreign(plan: Plan) -> bool:
    return any(spec.plugin is not None for spec in plan.pending.values())
