"""The size of a study, before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bnbench import session
from bnbench.config import joined
from bnbench.errors import InvalidRequest
from bnbench.memoization import remembered
from bnbench.stats import ALPHA, detectable_effect, fewest_replicates
from bnbench.store import Found
from bnbench.study.catalog import family_size
from bnbench.study.definition import ScaleName, Study
from bnbench.study.design import groups, in_all, reporting_trials, tuning_trials
from bnbench.study.runner import Place, sweep_name


@dataclass(frozen=True)
class StudyForecast:
    """The size of a study.

    Attributes:
        plan: all runs, with the middle of the grid in place of learning rates that are yet to be chosen; those whose
            results will be taken over from other sweeps count as finished.
        tuning: runs for the choice of learning rates; more if a grid must grow.
        reporting: runs that the verdicts rest on.
        detectable: the effect that is found in 80% of all studies, with p adjusted for the study's family, in standard
            deviations of a difference between the arms of a replicate; infinite with too few replicates.
        elsewhere: the results of other sweeps, by run_id; none for runs that are timed.
    """

    plan: session.Plan
    tuning: int
    reporting: int
    detectable: float
    elsewhere: Mapping[str, Found]

    @property
    def elsewhere_counts(self) -> Counter[str]:
        """How many results other sweeps have, by their name."""
        return Counter(found.folder.name for found in self.elsewhere.values())


TRIAL: ScaleName = "smoke"
"""The scale that shows whether a study runs; it is not meant to decide."""


def check_replicates(studies: Sequence[Study], scale: ScaleName) -> None:
    """Refuse studies that could decide nothing whatever their runs say, before anything is trained.

    Raises:
        InvalidRequest: naming those with too few replicates.
    """
    problems = []
    for study in studies if scale != TRIAL else []:
        if lack := lacking_replicates(study.scales[scale].seeds, family_size(study)):
            problems.append(f"study {study.name}: {lack}")
    if problems:
        raise InvalidRequest(problems)


def lacking_replicates(replicates: int, claims: int) -> str:
    """Why so few replicates can decide none of so many claims, whatever the runs say; empty if they can."""
    needed = fewest_replicates(ALPHA / claims)
    if replicates >= needed:
        return ""
    together = "one claim" if claims == 1 else f"{claims} claims that are adjusted for each other"
    return (
        f"seeds={replicates}: {together} cannot be decided by fewer than {needed} replicates; set seeds={needed} or"
        f" more, or try it out at --scale {TRIAL}"
    )


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
    rates = in_all(dict.fromkeys(tuned, middle) | dict.fromkeys(swept, amounts.lr), amounts.seeds)
    reporting = reporting_trials(study, amounts, rates, parts).request
    requests = [reporting]
    if tuned and len(amounts.lr) > 1:
        whole = in_all(dict.fromkeys(tuned, amounts.lr), amounts.seeds)
        requests.insert(0, tuning_trials(study, amounts, whole, parts).request)
    plan = session.plan_request(
        joined(requests),
        parts,
        sweep_name(study, scale),
        session.Paths(place.results, place.data, place.plugin),
        retry_failed=place.retry_failed,
        prestart=prestart,
    )
    alpha = ALPHA / family_size(study)
    detectable = remembered("detectable", [amounts.seeds, alpha], lambda: detectable_effect(amounts.seeds, alpha))
    tuning = sum(len(request.specs) for request in requests[:-1])
    elsewhere = {} if study.alone else session.results_elsewhere(plan, place.results_index)
    reckoned = session.with_results(plan, elsewhere)
    return StudyForecast(reckoned, tuning, len(reporting.specs), detectable, elsewhere)
