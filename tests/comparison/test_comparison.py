"""A whole comparison, small: what is found, what is not, and what an interruption or an arm that fails leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bnbench import comparison, session, store
from bnbench.comparison.views import lines_of
from bnbench.errors import InvalidRequest
from bnbench.study import Place, Scale, Study, execute, sweep_name
from bnbench.study.questions import load_questions

PLUGIN = """
from torch import nn

class Copy(nn.BatchNorm1d):
    "Batch normalization, written again."

class Blunt(nn.BatchNorm1d):
    "Batch normalization with a far too large eps."
    def __init__(self, num_features):
        super().__init__(num_features, eps=30.0)

class Picky(nn.Module):
    "Refuses batches of two."
    def __init__(self, num_features):
        super().__init__()
    def forward(self, x):
        if len(x) == 2:
            raise ValueError("two is too few for me")
        return x

NORMS = {"copy": Copy, "blunt": Blunt, "picky": Picky}
"""
REPLICATES = 12


def _place(folder: Path) -> Place:
    (folder / "mine.py").write_text(PLUGIN)
    return Place(folder / "results", folder / "data", folder / "mine.py")


def _asked(place: Place, arm: str, question: str, *, against: str = "batch", lr: tuple[float, ...] = (1.0,)):
    """One question of an arm, with few replicates at one learning rate."""
    (whole,) = load_questions([question])
    scale = Scale(lr, REPLICATES, overrides=("epochs=6", "model.width=32"))
    small = replace(whole, scales={"cpu": scale})
    arms = comparison.read_arms([arm, against], place.components)
    return comparison.ask([small], arms, [(arm, against)], "cpu")


def _train(one: Study, part: str, plan: session.Plan) -> session.Summary:
    return execute(one, plan, 1)


def _outcomes(place: Place, arm: str, question: str, **options: object) -> Mapping[str, str]:
    asked = _asked(place, arm, question, **options)
    dossier = comparison.compare(comparison.sizes(asked, "cpu", place), "cpu", place, _train)
    lines = lines_of(asked, dossier, arm)
    return {line.reading.name: line.rows[0].decision.verdict for line in lines}


def test_a_copy_is_told_from_nothing_and_a_blunt_one_is_found(tmp_path: Path):
    place = _place(tmp_path)
    copy = _outcomes(place, "copy", "convergence")
    assert copy == {"steps": "no difference", "accuracy": "no difference"}
    blunt = _outcomes(place, "blunt", "convergence")
    assert blunt["accuracy"] == "contradicted" or blunt["steps"] == "contradicted", blunt


def test_the_runs_are_those_of_the_study_of_the_same_name(tmp_path: Path):
    place = _place(tmp_path)
    (one,) = _asked(place, "layer", "convergence")
    comparison.compare(comparison.sizes([one], "cpu", place), "cpu", place, _train)
    runs = store.load_runs(place.results / sweep_name(one.study, "cpu"))
    assert set(runs["norm"]) == {"layer", "batch"} and set(runs["status"]) == {"completed"}
    (again,) = _asked(place, "layer", "convergence")
    (size,) = comparison.sizes([again], "cpu", place)
    assert size.runs == 0 and size.finished == len(runs)


def test_a_verdict_can_be_recomputed_from_runs_csv(tmp_path: Path):
    place = _place(tmp_path)
    asked = _asked(place, "layer", "convergence")
    dossier = comparison.compare(comparison.sizes(asked, "cpu", place), "cpu", place, _train)
    runs = pd.read_csv(place.results / "study-convergence-cpu" / "runs.csv")
    by_norm = runs.pivot(index="seed", columns="norm", values="test_accuracy")
    accuracy = next(row for row in dossier.rows["convergence"] if row.claim.measure.phrase == "test accuracy")
    assert accuracy.effect == pytest.approx((by_norm["layer"] - by_norm["batch"]).mean())


def test_time_that_is_up_leaves_the_rest_and_the_next_call_goes_on(tmp_path: Path):
    place = _place(tmp_path)
    asked = [*_asked(place, "layer", "convergence"), *_asked(place, "layer", "small_batch")]
    sizes = comparison.sizes(asked, "cpu", place)
    none = comparison.compare(sizes, "cpu", place, _train, budget=0.05)
    assert not none.rows and set(none.unasked) == {"convergence", "small_batch"}
    whole = comparison.compare(sizes, "cpu", place, _train)
    assert set(whole.rows) == {"convergence", "small_batch"} and not whole.unasked


def test_an_arm_that_fails_for_some_batches_loses_that_question_alone(tmp_path: Path):
    place = _place(tmp_path)
    asked = [*_asked(place, "picky", "convergence"), *_asked(place, "picky", "small_batch")]
    dossier = comparison.compare(comparison.sizes(asked, "cpu", place), "cpu", place, _train)
    (lost,) = dossier.rows["small_batch"]
    assert lost.decision.verdict == "inconclusive"
    assert any("two is too few for me" in text for text in dossier.remarks["small_batch"])
    assert all(row.decision.n == REPLICATES for row in dossier.rows["convergence"])


@pytest.mark.parametrize(
    ("words", "against", "says"),
    [
        (["seeds=10"], [], "name the norm that is to be compared"),
        (["layer", "seeds=3"], ["batch"], "seeds=3: 17 claims that are adjusted for each other cannot be decided"),
        (["layer", "lr=0.1"], [], "lr is tuned over the grid of the scale"),
        (["layer", "nrom=3"], [], "nrom: unknown key"),
        (["layer batch_size=8"], [], "arm 'layer batch_size=8': batch_size is varied by the question small_batch"),
        (["layer"], ["rms batches=shuffled"], "batches is varied by the question non_stationary_batches; leave it out"),
    ],
)
def test_a_wrong_comparison_is_refused(tmp_path: Path, words: list[str], against: list[str], says: str):
    place = _place(tmp_path)
    with pytest.raises(InvalidRequest) as error:
        comparison.read_comparison(words, against, [], "cpu", place)
    assert says in str(error.value), str(error.value)
    assert not place.results.exists()


def test_a_misspelt_task_is_named(tmp_path: Path):
    with pytest.raises(InvalidRequest, match="--on mnist-ccn: there is no such task; did you mean 'mnist-cnn'"):
        comparison.read_comparison(["layer"], [], ["mnist-ccn"], "smoke", _place(tmp_path))


def test_a_task_takes_the_place_of_data_and_network(tmp_path: Path):
    place = _place(tmp_path)
    request = comparison.read_comparison(["layer"], ["batch"], ["digits-cnn", "digits-mlp"], "smoke", place)
    names = [one.name for one in request.asked]
    assert "convergence on digits-cnn" in names and "convergence on digits-mlp" in names and "memory" in names
    (one,) = [one for one in request.asked if one.name == "convergence on digits-cnn"]
    assert "model=cnn" in one.study.scales["smoke"].overrides
