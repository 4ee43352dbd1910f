"""The views by name, and the request that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast, get_args

import pandas as pd

from bnbench.analysis import LearningRates, Options
from bnbench.analysis.baseline import parse_baseline
from bnbench.analysis.targets import parse_targets
from bnbench.analysis.versions import Versions, select_versions
from bnbench.errors import InvalidRequest, nearest
from bnbench.reports.convergence import convergence
from bnbench.reports.learning_rate import learning_rate
from bnbench.reports.origin_notes import origin_notes
from bnbench.reports.provenance import provenance, report_title
from bnbench.reports.small_batch import small_batch
from bnbench.reports.summary import ending_sentence
from bnbench.reports.view import Report, ReportView
from bnbench.reports.where import with_versions

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
) -> Report:
    """Compute views of the results, with where they come from.

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
    shown, options = _read(runs, baseline, targets, lr, versions, problems)
    if problems:
        raise InvalidRequest(problems)
    notes = origin_notes(shown)
    computed = [VIEWS[name](shown.runs, metrics, options) for name in views]
    told = tuple(with_versions(replace(view, notes=(*view.notes, *notes)), shown) for view in computed)
    sentences = (*(sentence for view in told for sentence in view.sentences), *ending_sentence(runs))
    return Report(report_title(runs), sentences, told, provenance(runs), runs)


def _read(
    runs: pd.DataFrame,
    baseline: str | None,
    targets: Iterable[str | float],
    lr: str,
    versions: bool,
    problems: list[str],
) -> tuple[Versions, Options]:
    """The runs that are shown and the options of their views; all that is wrong is added to the problems."""
    shown, options = Versions(runs), Options(lr=cast(LearningRates, lr))
    try:
        shown = select_versions(runs, baseline, versions)
        options = replace(options, baseline=parse_baseline(shown.baseline, shown.runs))
    except InvalidRequest as error:
        problems += error.problems
    try:
        options = replace(options, targets=parse_targets(targets))
    except InvalidRequest as error:
        problems += error.problems
    return shown, options
