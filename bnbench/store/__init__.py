"""The results folder: append-only CSV by many writers, and tidy tables back."""

from bnbench.store.columns import FAILURES, METRICS, OUTCOME, RESULTS, Status
from bnbench.store.folder import (
    check_writable,
    is_locked,
    join,
    load_metrics,
    load_runs,
    load_sweeps,
    locked,
    plan,
    statuses,
)
from bnbench.store.segment import Segment

__all__ = [
    "FAILURES",
    "METRICS",
    "OUTCOME",
    "RESULTS",
    "Segment",
    "Status",
    "check_writable",
    "is_locked",
    "join",
    "load_metrics",
    "load_runs",
    "load_sweeps",
    "locked",
    "plan",
    "statuses",
]
