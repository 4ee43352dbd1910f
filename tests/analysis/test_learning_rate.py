import math

import pytest

from bnbench.analysis import LearningRateCurves, analyze_learning_rate, read_trials
from bnbench.analysis.learning_rate import UsableWidth

from .frames import runs_of


def analysis_of(*seeds: list[float | None]) -> LearningRateCurves:
    """One row with learning rates 0.001, 0.01, ...; None has diverged."""
    return analyze_learning_rate(
        read_trials(
            runs_of(
                *(
                    {
                        "lr": 10.0 ** (at - 3),
                        "seed": seed,
                        "status": "diverged" if value is None else "completed",
                        "val_accuracy": value,
                    }
                    for seed, curve in enumerate(seeds)
                    for at, value in enumerate(curve)
                )
            )
        )
    )


@pytest.mark.parametrize(
    ("curve", "width", "decades"),
    [
        ([0.3, 0.9, 0.89, 0.2], UsableWidth(0.01, 0.1, False), 1.0),
        ([0.3, 0.9, 0.89], UsableWidth(0.01, 0.1, True), 1.0),
        ([0.2, 0.9, 0.2], UsableWidth(0.01, 0.01, False), 0.0),
        ([0.1, 0.1], None, math.nan),
    ],
)
def test_width_of_the_usable_range(curve: list[float | None], width: UsableWidth | None, decades: float) -> None:
    usable = analysis_of(curve).usable(0)
    assert usable == width
    assert usable is None or usable.decades == pytest.approx(decades)


def test_seeds_that_disagree_at_the_best_leave_no_range() -> None:
    numbers = analysis_of([0.1, 0.9], [0.1, None])
    curve = numbers.curves[0]
    assert (curve.choice.code, curve.choice.unstable, numbers.usable(0)) == (1, True, None)
    assert (curve.best.mean, curve.best.sd, curve.best.n, curve.best.seeds) == (0.9, None, 1, 2)
    assert (curve.diverged, curve.runs, curve.unstable_above) == (1, 4, [1])
