"""A sweep from request to results: what is asked for, less what is finished, goes to the workers and into the store."""

from bnbench.session.execution import check_execution, execute, execute_run, most_lanes, worker_count
from bnbench.session.growth import extension
from bnbench.session.planning import DEFAULT_NAME, Plan, Start, plan_request, plan_run, plan_sweep
from bnbench.session.progress import Progress, Summary
from bnbench.session.silence import Silent

__all__ = [
    "DEFAULT_NAME",
    "Plan",
    "Progress",
    "Silent",
    "Start",
    "Summary",
    "check_execution",
    "execute",
    "execute_run",
    "extension",
    "most_lanes",
    "plan_request",
    "plan_run",
    "plan_sweep",
    "worker_count",
]
