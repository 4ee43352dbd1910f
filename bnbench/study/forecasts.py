"""The size of a study, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from bnbench import session
from bnbench.config import joined
from bnbench.memoization import remembered
from bnbench.stats import ALPHA, detectable_effect
from bnbench.study.definition import ScaleName, Study
from bnbench.study.design import groups, reporting_trials, tuning_trials
from bnbench.study.runner import Place, sweep_name


@dataclass(frozen=True)
class StudyForecast:
    """The size of a study.

    Attributes:
        plan: all runs, with the middle of the grid in place of learning rates that are yet to be chosen.
        tuning: runs for the choice of learning rates; more if a grid must grow.
        reporting: runs that the verdicts rest on.
        detectable: the effect that is found in 80% of all studies if this study's claims are decided together, in
            standard deviations of a difference between two runs of one seed; infinite with too few seeds.
    """

    plan: session.Plan
    tuning: int
    reporting: int
    detectable: float


def forecast_study(
    study: Study, scale: ScaleName, place: Place, prestart: session.Prestart | None = None
) -> StudyForecast:
    """Count the runs of a study and plan them, writing nothing.

    Args:
        prestart: see :class:`session.Prestart`.

    Raises:
        BnbenchError: something is wrong with its settings.
    """
    amounts, parts = study.scales[scale], place.components
    tuned, swept = groups(study, every_lr=False), groups(study, every_lr=True)
    middle = (amounts.lr[len(amounts.lr) // 2],)
    rates = dict.fromkeys(tuned, middle) | dict.fromkeys(swept, amounts.lr)
    reporting = reporting_trials(study, amounts, rates, parts).request
    requests = [reporting]
    if tuned and len(amounts.lr) > 1:
        whole = dict.fromkeys(tuned, amounts.lr)
        requests.insert(0, tuning_trials(study, amounts, whole, parts).request)
    plan = session.plan_request(
        joined(requests),
        parts,
        sweep_name(study, scale),
        session.Paths(place.results, place.data, place.plugin),
        prestart=prestart,
    )
    alpha = ALPHA / len(study.claims)
    detectable = remembered("detectable", [amounts.seeds, alpha], lambda: detectable_effect(amounts.seeds, alpha))
    tuning = sum(len(request.specs) for request in requests[:-1])
    return StudyForecast(plan, tuning, len(reporting.specs), detectable)
