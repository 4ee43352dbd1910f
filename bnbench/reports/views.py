"""The views by name, and the request that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast, get_args

import pandas as pd

from bnbench.errors import InvalidRequest, nearest
from bnbench.reports.baseline import parse_baseline
from bnbench.reports.coinciding import coinciding_norms
from bnbench.reports.convergence import convergence
from bnbench.reports.datasets import changed_data, without_fingerprint
from bnbench.reports.learning_rate import learning_rate
from bnbench.reports.levels import Level
from bnbench.reports.options import LearningRates, Options
from bnbench.reports.small_batch import small_batch
from bnbench.reports.targets import parse_targets
from bnbench.reports.versions import Versions, told_apart
from bnbench.reports.view import ReportView

VIEWS: dict[str, Callable[[pd.DataFrame, pd.DataFrame, Options], ReportView]] = {
    "convergence": convergence,
    "learning-rate": learning_rate,
    "small-batch": small_batch,
}


def report(
    runs: pd.DataFrame,
    metrics: pd.DataFrame,
    views: Sequence[str] = tuple(VIEWS),
    baseline: str | None = None,
    targets: Iterable[str | float] = (),
    lr: str = "best",
    versions: bool = False,
) -> list[ReportView]:
    """Compute views of the results.

    Args:
        runs: one line per run, as read from results folders.
        metrics: one line per evaluation.
        views: names in ``VIEWS``.
        baseline: what rows are compared with, for example ``norm=none``.
        targets: validation accuracies to reach, for example ``0.95`` or ``95%``; none: derived from the results.
        lr: ``best`` or ``all``.
        versions: show all versions of a plugin's components side by side, not only the newest.

    Raises:
        InvalidRequest: any of these is wrong; all problems are listed.
    """
    problems = [
        f"view {name!r}: there is no such view; {nearest(name, list(VIEWS))}" for name in views if name not in VIEWS
    ]
    if lr not in get_args(LearningRates):
        problems.append(f"lr {lr!r}: {nearest(lr, list(get_args(LearningRates)))}")
    shown = Versions(runs)
    wanted: dict[str, Level] = {}
    reached: tuple[float, ...] = ()
    try:
        shown = told_apart(runs, baseline, versions)
        wanted = parse_baseline(shown.baseline, shown.runs)
    except InvalidRequest as error:
        problems += error.problems
    try:
        reached = parse_targets(targets)
    except InvalidRequest as error:
        problems += error.problems
    if problems:
        raise InvalidRequest(problems)
    options = Options(wanted, reached, cast(LearningRates, lr))
    found = [VIEWS[name](shown.runs, metrics, options) for name in views]
    notes = (*shown.notes, *coinciding_norms(shown.runs), *without_fingerprint(shown.runs), *changed_data(shown.runs))
    return [replace(view, notes=(*view.notes, *notes)) for view in found]
