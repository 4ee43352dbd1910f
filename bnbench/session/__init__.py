"""A sweep from request to results: what is asked for, less what is finished, goes to the workers and into the store."""

from bnbench.session.execution import check_execution, execute, execute_run, max_lanes, worker_count
from bnbench.session.grid_extension import extension
from bnbench.session.inputs import Grid, Paths, Prestart
from bnbench.session.monitor import Silent
from bnbench.session.plan import Plan
from bnbench.session.planning import DEFAULT_NAME, plan_request, plan_run, plan_sweep
from bnbench.session.progress import Progress, Summary
from bnbench.session.timing import MEASURING, Estimate, Way, estimate

__all__ = [
    "DEFAULT_NAME",
    "MEASURING",
    "Estimate",
    "Grid",
    "Paths",
    "Plan",
    "Prestart",
    "Progress",
    "Silent",
    "Summary",
    "Way",
    "check_execution",
    "estimate",
    "execute",
    "execute_run",
    "extension",
    "max_lanes",
    "plan_request",
    "plan_run",
    "plan_sweep",
    "worker_count",
]
