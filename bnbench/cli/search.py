"""bnbench sweep --search: trials at points of a search space, instead of a grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bnbench.cli.planning import GOES_ON, told_if_full, told_if_interrupted
from bnbench.errors import InvalidRequest
from bnbench.text import general, plural

if TYPE_CHECKING:
    from bnbench import search, session


def read_settings(
    method: str | None, trials: int | None, seed: int | None, per: str | None
) -> search.SearchSettings | None:
    """The settings of a search; None where none is asked for.

    Raises:
        InvalidRequest: an option of a search is there without --search, or without the number of trials.
    """
    options = {"--trials": trials, "--search-seed": seed, "--per": per}
    if method is None:
        if beside := [name for name, value in options.items() if value is not None]:
            raise InvalidRequest([f"{' and '.join(beside)}: only beside --search random, tpe or grid"])
        return None
    if trials is None:
        raise InvalidRequest([f"--search {method}: say how many trials, as in --trials 20"])
    from bnbench.search import SearchSettings

    settings = SearchSettings(method, trials, seed or 0, per)
    if problems := [*settings.problems()]:
        raise InvalidRequest(problems)
    return settings


def show_best(course: search.Course) -> None:
    """Say how many trials have been trained, and which is the best."""
    from bnbench.console import echo

    asked = course.design.settings.trials
    for arm in course.design.arms:
        trials, best = course.trials.get(arm, []), course.best.get(arm)
        head = f"{arm}: " if arm else ""
        of_all = "" if len(trials) >= asked or course.design.settings.method == "grid" else f" of {asked}"
        result = "none has a result"
        if best is not None and best.value is not None:
            result = f"best is trial {best.number}, {_point(best.point)}: validation accuracy {best.value:.2%}"
        echo(f"{head}{len(trials)}{of_all} trials, {result}")
    if course.open:
        has = "has" if course.open == 1 else "have"
        echo(f"{plural(course.open, 'trial')} {has} no result; the same command trains them again")


def train(course: search.Course, plan: session.Plan, options: session.TrainingOptions, start: float) -> session.Summary:
    """Train one batch of trials after another, from a first plan on, and show how it goes.

    Args:
        start: of the program, on the clock of :func:`time.monotonic`.
    """
    from bnbench import session
    from bnbench.cli.display import SweepDisplay

    statuses: dict[str, str] = {}
    batch: session.Plan | None = plan
    trained, interrupted = 0, False
    with (
        told_if_interrupted(GOES_ON),
        told_if_full(plan.folder, f"the same command with --name {plan.folder.name} goes on"),
    ):
        while batch is not None:
            with SweepDisplay(start) as display:
                summary = session.execute(batch, options, display.update)
            statuses |= summary.statuses
            trained, interrupted = trained + summary.trained, summary.interrupted
            if interrupted or (options.fail_fast and summary.failures):
                break  # its trials are chosen again, and what was trained of them counts then
            course.learn(batch)
            show_best(course)
            batch = course.go_on()
            if batch is not None and plan.save_weights:
                batch = session.saving_weights(batch)
    whole = session.Summary(plan.folder, statuses, trained, interrupted)
    display.end(whole)
    return whole


def _point(point: Mapping[str, Any]) -> str:
    """``lr=0.0312 model.depth=4``."""
    return " ".join(f"{key}={general(value) if isinstance(value, float) else value}" for key, value in point.items())
