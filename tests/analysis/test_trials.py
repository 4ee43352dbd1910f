import math

import pandas as pd
import pytest

from bnbench.analysis.trials import read_trials, uncounted

from .frames import runs_of


def test_a_diverged_run_scores_at_chance() -> None:
    runs = runs_of({"status": "diverged", "val_accuracy": math.nan, "test_accuracy": 0.7, "classes": 4})
    trials = read_trials(runs)
    assert trials.counted[["val", "test"]].to_numpy().tolist() == [[0.25, 0.25]]


def test_a_diverged_run_without_classes_takes_those_of_its_dataset() -> None:
    runs = runs_of({}, {"status": "diverged", "seed": 1, "classes": math.nan})
    assert read_trials(runs).counted["val"].tolist() == [0.9, 0.1]


def test_runs_that_are_no_results_are_counted_by_reason() -> None:
    statuses = ["completed", "failed", "failed", "impossible", "out_of_memory"]
    trials = read_trials(runs_of(*({"status": status, "seed": seed} for seed, status in enumerate(statuses))))
    assert (len(trials.counted), uncounted(trials)) == (1, {"failed": 2, "impossible": 1, "out_of_memory": 1})


def test_a_completed_run_without_accuracy_is_no_result() -> None:
    trials = read_trials(runs_of({"val_accuracy": math.nan}, {"seed": 1}))
    assert uncounted(trials) == {"without validation accuracy": 1}


@pytest.mark.parametrize("finished_first", [True, False])
def test_a_run_in_two_sweeps_counts_once_as_a_result(finished_first: bool) -> None:
    one = runs_of({"sweep": "a"}, {"sweep": "a", "seed": 1})
    two = runs_of({"sweep": "b", "status": "planned", "val_accuracy": math.nan})
    runs = pd.concat([one, two] if finished_first else [two, one])
    trials = read_trials(runs)
    assert sorted(trials.frame["run_id"]) == ["r0", "r1"]
    assert trials.frame["counted"].all()
    assert trials.levels["sweep"] == ("a + b",)


def test_no_runs() -> None:
    assert read_trials(runs_of({}).iloc[:0]).frame.empty
