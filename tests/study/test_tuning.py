"""The choice of learning rates: by validation, with a grid that grows where it is too narrow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import pytest

from bnbench.study.tuning import Tuning, tune, widened
from tests.analysis.frames import runs_of

Group = tuple[str, str]


REPLICATES = 4


class Bench:
    """Runs whose validation accuracy is a function of the learning rate; remembers what it was asked for.

    In the first ``shifted`` replicates the best learning rate is ``shift`` times that of the others.
    """

    def __init__(
        self, accuracy: Mapping[Group, Callable[[float], float]], shifted: int = 0, shift: float = 10, **changes: str
    ) -> None:
        self.accuracy, self.shifted, self.shift = accuracy, shifted, shift
        self.changes = changes
        self.asked: list[dict[Group, list[float]]] = []

    def __call__(self, rates: Mapping[Group, Sequence[float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
        self.asked.append({group: list(tried) for group, tried in rates.items()})
        lines = [
            (*group, lr, pair, 10 * pair + turn)
            for group, tried in rates.items() for lr in tried for pair in range(REPLICATES) for turn in range(2)
        ]  # fmt: skip
        rows = [
            {
                **{"norm": arm, "model": cell, "lr": lr, "seed": seed, "split.seed": pair},
                **{"val_accuracy": self.accuracy[arm, cell](lr / (self.shift if pair < self.shifted else 1))},
                **self._change(arm, lr),
            }
            for arm, cell, lr, pair, seed in lines
        ]
        runs = runs_of(*rows)
        table = pd.DataFrame(lines, columns=["arm", "cell", "lr", "pair", "seed"]).assign(run_id=runs["run_id"])
        return table, runs

    def _change(self, arm: str, lr: float) -> dict[str, str]:
        return {"status": self.changes[arm]} if arm in self.changes and lr == 0.1 else {}


def peak(best: float) -> Callable[[float], float]:
    return lambda lr: 0.9 - 0.1 * abs(math.log10(lr / best))


A, B, C = ("a", "one"), ("b", "one"), ("a", "two")


def everywhere(**rates: float) -> dict[Group, dict[int, float]]:
    """One learning rate for all replicates of a group."""
    groups = {"A": A, "B": B, "C": C}
    return {groups[name]: dict.fromkeys(range(REPLICATES), lr) for name, lr in rates.items()}


def tuned(groups: list[Group], lr: list[float], bench: Bench) -> Tuning:
    return tune(groups, lr, REPLICATES, bench)


def test_each_group_has_its_own_best_and_nothing_grows():
    bench = Bench({A: peak(0.1), B: peak(0.01), C: peak(0.1)})
    found = tuned([A, B, C], [0.001, 0.01, 0.1, 1.0], bench)
    assert found.chosen == everywhere(A=0.1, B=0.01, C=0.1) and not found.problems and len(bench.asked) == 1


def test_an_edge_widens_the_grid_of_the_cell_for_all_arms():
    bench = Bench({A: peak(10), B: peak(0.1), C: peak(0.1)})
    found = tuned([A, B, C], [0.01, 0.1, 1.0], bench)
    assert found.chosen == everywhere(A=10, B=0.1, C=0.1) and not found.problems
    assert bench.asked[-1][A] == [0.01, 0.1, 1.0, 10.0, 100.0]
    for asked in bench.asked:
        assert asked[A] == asked[B] and asked[C] == [0.01, 0.1, 1.0]


def test_a_grid_grows_twice_and_no_more():
    bench = Bench({A: peak(1e-9), B: peak(0.1)})
    found = tuned([A, B], [0.01, 0.1, 1.0], bench)
    assert len(bench.asked) == 3 and bench.asked[-1][A] == [0.0001, 0.001, 0.01, 0.1, 1.0]
    assert set(found.problems) == {A}
    assert found.problems[A] == (
        "4 of 4 replicates of a choose a learning rate at the end of the grid 0.0001 to 1, which was widened 2 times"
    )


def test_each_replicate_chooses_for_itself():
    found = tuned([A], [0.01, 0.1, 1.0, 10.0, 100.0], Bench({A: peak(0.1)}, shifted=2))
    assert found.chosen == {A: {0: 1.0, 1: 1.0, 2: 0.1, 3: 0.1}} and not found.problems


def test_an_end_that_few_replicates_choose_is_no_problem():
    """More than a tenth of them widens the grid; only more than a quarter at the last end casts doubt."""
    bench = Bench({A: peak(1.0)}, shifted=1, shift=1e9)
    found = tuned([A], [0.1, 1.0, 10.0], bench)
    assert len(bench.asked) == 3 and found.chosen[A][0] == 1000 and not found.problems


def test_a_run_without_a_result_is_no_equal_budget():
    bench = Bench({A: peak(0.1), B: peak(0.1)}, a="failed")
    found = tuned([A, B], [0.01, 0.1, 1.0, 10.0], bench)
    assert set(found.problems) == {A} and found.problems[A].startswith("8 tuning runs of a have no result")


def test_an_arm_without_any_result_has_no_choice():
    bench = Bench({A: peak(0.1)}, a="failed")
    found = tuned([A], [0.1, 0.1], bench)
    assert not found.chosen and set(found.problems) == {A}


def test_a_diverged_run_scores_at_chance():
    found = tuned([A], [0.01, 0.03, 0.1, 1.0], Bench({A: peak(0.1)}, a="diverged"))
    assert found.chosen == everywhere(A=0.03) and not found.problems


def test_nothing_is_trained_for_one_learning_rate_or_no_group():
    bench = Bench({})
    assert tuned([A], [0.1], bench).chosen == everywhere(A=0.1)
    assert tuned([], [0.1, 1.0], bench).chosen == {}
    assert not bench.asked


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ({("one", "low")}, [0.0033, 0.01, 0.03, 0.1]),
        ({("one", "high")}, [0.01, 0.03, 0.1, 0.33]),
        ({("two", "high")}, [0.01, 0.03, 0.1]),
    ],
)
def test_a_grid_goes_on_in_its_own_steps(sides, expected):
    assert widened({"one": [0.01, 0.03, 0.1]}, sides) == {"one": expected}
