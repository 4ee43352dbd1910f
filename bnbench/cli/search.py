"""bnbench sweep --search: trials at points of a search space, instead of a grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bnbench.cli.planning import GOES_ON, told_if_full, told_if_interrupted
from bnbench.text import general, plural

if TYPE_CHECKING:
    from bnbench import search, session


def read_settings(
    method: str | None, trials: int | None, seed: int | None, per: str | None, halving: int | None
) -> search.SearchSettings | None:
    """See :func:`bnbench.search.read_settings`, which is not imported for a grid."""
    if all(value is None for value in (method, trials, seed, per, halving)):
        return None
    from bnbench.search import read_settings

    return read_settings(method, trials, seed, per, halving)


def show_best(course: search.Course) -> None:
    """Say how many trials have been trained, and which is the best; inside a bracket, who goes on to the next rung."""
    from bnbench.console import echo

    if course.bracket is not None:
        for line in _rung_lines(course, course.bracket):
            echo(line)
        return
    asked = course.design.settings.trials
    for arm in course.design.arms:
        trials, best = course.trials.get(arm, []), course.best.get(arm)
        head = f"{arm}: " if arm else ""
        of_all = "" if len(trials) >= asked or course.design.settings.method == "grid" else f" of {asked}"
        result = "none has a result"
        if best is not None and best.value is not None:
            result = f"best is trial {best.number}, {_point(best.point)}: validation accuracy {best.value:.2%}"
        stopped = sum(trial.stopped is not None for trial in trials)
        early = f" ({stopped} stopped at a rung)" if stopped else ""
        echo(f"{head}{len(trials)}{of_all} trials{early}, {result}")
    if course.open:
        has = "has" if course.open == 1 else "have"
        echo(f"{plural(course.open, 'trial')} {has} no result; the same command trains them again")


def _rung_lines(course: search.Course, bracket: search.Bracket) -> Iterator[str]:
    """``rung 1 of 3, until epoch 1: 3 of 9 trials go on, best is trial 4, lr=0.1: validation accuracy 61.00%``."""
    ended, last = bracket.rungs[bracket.place - 1], len(bracket.rungs)
    for arm, numbers in bracket.undecided.items():
        its = [one for one in bracket.latest(arm) if one.epochs == ended.epochs]
        head = f"{arm}: " if arm else ""
        best = max((one for one in its if one.goes_on), key=lambda one: (one.value or 0.0, -one.trial), default=None)
        result = "none has a result"
        if best is not None and best.value is not None:
            point = _point(course.point(arm, best.trial))
            result = f"best is trial {best.trial}, {point}: validation accuracy {best.value:.2%}"
        place = f"rung {bracket.place} of {last}, until epoch {ended.epochs}"
        yield f"{head}{place}: {len(numbers)} of {plural(len(its), 'trial')} go on, {result}"


def rest_of_bracket(course: search.Course) -> tuple[int, float]:
    """The rungs that are left of the trials that are planned, and their share of training these to the end."""
    from bnbench.search.effort import share_left

    bracket = course.bracket
    if bracket is None or course.design.settings.halving is None:
        return 1, 1.0
    return len(bracket.rungs) - bracket.place, share_left(bracket.rungs, bracket.place)


def show_rest(course: search.Course) -> None:
    """Say, below a first plan, which rungs there are, and how many trials are still to be chosen."""
    from bnbench.console import echo

    if (effort := course.effort) is not None:
        for rungs in dict.fromkeys(map(tuple, effort.brackets)):
            each = " for each" if len(course.design.arms) > 1 else ""
            parts = [f"{plural(rung.trials, 'trial')} until epoch {rung.epochs}" for rung in rungs]
            echo(f"rungs{each}: {', '.join(parts)}")
        share = effort.epochs / effort.unhalved
        echo(f"epochs of all runs: {effort.epochs:,} of {effort.unhalved:,} ({share:.0%}), as trials stop at rungs")
    if rest := course.unchosen:
        echo(f"{plural(rest, 'trial')} more: their points depend on what these come to")


def train(course: search.Course, plan: session.Plan, options: session.TrainingOptions, start: float) -> session.Summary:
    """Train one batch of trials after another, from a first plan on, and show how it goes.

    Args:
        start: of the program, on the clock of :func:`time.monotonic`.
    """
    from bnbench import session
    from bnbench.cli.display import SweepDisplay
    from bnbench.search import carry_out

    def trained(batch: session.Plan) -> session.Summary:
        with SweepDisplay(start) as display:
            return session.execute(batch, options, display.update)

    with (
        told_if_interrupted(GOES_ON),
        told_if_full(plan.folder, f"the same command with --name {plan.folder.name} goes on"),
    ):
        whole = carry_out(course, plan, trained, show_best, options.fail_fast)
    SweepDisplay(start).end(whole)
    return whole


def _point(point: Mapping[str, Any]) -> str:
    """``lr=0.0312 model.depth=4``."""
    return " ".join(f"{key}={general(value) if isinstance(value, float) else value}" for key, value in point.items())
