"""Points by the tree-structured Parzen estimator (Bergstra et al. 2011), which Optuna has."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bnbench.config import Interval, Point, Space
from bnbench.search.trial import Trial
from bnbench.spec import stream

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

BATCH = 8
"""Trials that are chosen at once and trained together: the same on every machine, as points depend on it."""

STOPPED = "stopped_after_epochs"
"""The attribute of a trial in Optuna that says when it did not go on."""


def tree_parzen_points(spaces: Sequence[Space], seed: int, trials: Sequence[Trial], total: int) -> list[Point]:
    """The points of the batch that is begun, or of the next one; those of the first batch are drawn at random."""
    end = min((len(trials) // BATCH + 1) * BATCH, total)
    if end <= len(trials):
        return []
    with quiet():
        import optuna

        study = optuna.create_study(direction="maximize")
        study.add_trials([frozen(trial, spaces) for trial in trials])
        points = []
        for number in range(len(trials), end):
            number_seed = stream(seed, "search", str(number)) % 2**32  # a search that goes on may begin at any number
            study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=BATCH, constant_liar=True, seed=number_seed, multivariate=True
            )
            asked = study.ask(_distributions(spaces)).params
            points.append({space.key: asked[space.key] for space in spaces})
    return points


def frozen(trial: Trial, spaces: Sequence[Space]) -> FrozenTrial:
    """A trial as Optuna has it: one that is open is running, an impossible one has failed, a stopped one is pruned."""
    from optuna.trial import TrialState, create_trial

    state = TrialState.RUNNING if trial.is_open else TrialState.FAIL if trial.is_impossible else TrialState.COMPLETE
    pruned = {} if trial.stopped is None else {STOPPED: trial.stopped}
    reached = {trial.stopped: trial.value} if trial.stopped is not None and trial.value is not None else {}
    return create_trial(
        state=TrialState.PRUNED if pruned else state,
        value=trial.value,
        params=dict(trial.point),
        distributions=_distributions(spaces),
        user_attrs=pruned,
        intermediate_values=reached,
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna without its messages, and without warnings that some of it is new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna

        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(level)


def _distributions(spaces: Sequence[Space]) -> dict[str, BaseDistribution]:
    return {space.key: _distribution(space) for space in spaces}


def _distribution(space: Space) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(space, Interval):
        return CategoricalDistribution(space.values)
    if space.whole:
        return IntDistribution(int(space.low), int(space.high), log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)
