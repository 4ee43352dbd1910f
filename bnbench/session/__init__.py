"""A sweep from request to results: what is asked for, less what is finished, goes to the workers and into the store."""

from bnbench.session.execution import SINGLE, execute, execute_run
from bnbench.session.grid_extension import extension
from bnbench.session.inputs import Grid, Paths, Prestart
from bnbench.session.monitor import Silent
from bnbench.session.networks import load_network
from bnbench.session.options import TrainingOptions, options_without_launcher
from bnbench.session.plan import Plan
from bnbench.session.planning import DEFAULT_NAME, plan_request, plan_run, plan_sweep
from bnbench.session.preparation import compiling
from bnbench.session.progress import Progress, Summary
from bnbench.session.reuse import results_elsewhere, take_over, with_results
from bnbench.session.timing import MEASURING, Estimate, estimate
from bnbench.session.weights import saving_weights

__all__ = [
    "DEFAULT_NAME",
    "MEASURING",
    "SINGLE",
    "Estimate",
    "Grid",
    "Paths",
    "Plan",
    "Prestart",
    "Progress",
    "Silent",
    "Summary",
    "TrainingOptions",
    "compiling",
    "estimate",
    "execute",
    "execute_run",
    "extension",
    "load_network",
    "options_without_launcher",
    "plan_request",
    "plan_run",
    "plan_sweep",
    "results_elsewhere",
    "saving_weights",
    "take_over",
    "with_results",
]
