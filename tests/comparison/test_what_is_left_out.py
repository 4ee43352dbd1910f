"""A comparison goes on without what cannot be asked, and says what that is and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bnbench import comparison, store
from bnbench.comparison import Asked, Comparison, Dossier
from bnbench.comparison.dossier import dossier_report, short_report
from bnbench.errors import InvalidRequest
from bnbench.study import Place, forecast_study, merged, sweep_name
from bnbench.study.definition import Scale
from bnbench.study.questions import load_questions
from tests.conftest import Program

PLUGIN = """
import torch
from torch import nn

class Failing(nn.Module):
    "Cannot train; what is tried of it before goes well."
    calls = 0
    def __init__(self, num_features, *, a=1.0):
        super().__init__()
    def forward(self, x):
        Failing.calls += self.training
        if Failing.calls > 40:
            raise ValueError("no luck in training")
        return x

NORMS = {"failing": Failing}
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "mine.py").write_text(PLUGIN)
    return Place(tmp_path / "results", tmp_path / "data", tmp_path / "mine.py")


def _asked(place: Place, words: Sequence[str], questions: Sequence[str], scale: Scale) -> list[Asked]:
    arms = comparison.read_arms(words, place.components)
    small = [replace(one, scales={"cpu": scale}) for one in load_questions(questions)]
    return comparison.ask(small, arms, [(arm.name, arms[-1].name) for arm in arms[:-1]], "cpu")


ONE_RATE = Scale((1.0,), 6, overrides=("epochs=1", "model.width=16"))


def test_a_question_that_is_possible_for_no_arm_is_left_out(place: Place):
    """Norms of images in a perceptron: the network of one question, and not of the other."""
    asked = _asked(place, ["instance", "frn"], ["gradient_flow", "memory"], Scale((1.0,), 6))
    found, refused = comparison.sizes(asked, "cpu", place)
    assert [size.asked.name for size in found] == ["memory"] and list(refused) == ["gradient_flow"]
    assert refused["gradient_flow"].startswith("it is possible for no arm: ") and "instance" in refused["gradient_flow"]
    dossier = comparison.compare(found, comparison.Terms("cpu", place, 3, 1), refused=refused)
    assert dossier.unasked == refused and list(dossier.rows) == ["memory"]
    with pytest.raises(InvalidRequest, match="instance"):
        comparison.sizes(asked[:1], "cpu", place)


def test_a_question_whose_tuning_fails_throughout_is_decided_without_a_value(place: Place):
    rates = replace(ONE_RATE, lr=(0.1, 1.0))
    asked = _asked(place, ["failing a=1", "failing a=2"], ["convergence"], rates)
    found, refused = comparison.sizes(asked, "cpu", place)
    dossier = comparison.compare(found, comparison.Terms("cpu", place, 2, 1), refused=refused)
    assert {row.decision.verdict for row in dossier.rows["convergence"]} == {"inconclusive"}
    assert all(math.isnan(row.effect) for row in dossier.rows["convergence"])
    assert dossier.failures > 0 and any("no luck in training" in text for text in dossier.remarks["convergence"])


def test_every_run_that_failed_is_in_the_reason(place: Place):
    """Those at learning rates that only training has chosen as well."""
    asked = _asked(place, ["failing", "batch"], ["learning_rate"], replace(ONE_RATE, lr=(0.1, 1.0), seeds=6))
    found, _ = comparison.sizes(asked, "cpu", place)
    dossier = comparison.compare(found, comparison.Terms("cpu", place, 2, 1))
    runs = store.load_runs(place.results / sweep_name(asked[0].study, "cpu"))
    failed = runs["status"].isin(store.FAILURES)
    assert dossier.failures == failed.sum() > 0 and set(runs[failed]["norm"]) == {"failing"}
    (text,) = dossier.remarks["learning_rate"]
    assert text.startswith(f"{dossier.failures} runs of failing failed: ")
    again = forecast_study(asked[0].study, "cpu", replace(place, retry_failed=True))
    assert len(again.plan.pending) == 12 and not forecast_study(asked[0].study, "cpu", place).plan.pending


def test_the_short_report_of_many_arms_says_what_was_not_asked():
    words = ("rms", "layer", "group", "batch")
    arms = comparison.read_arms(words, Place(Path(), Path()).components)
    asked = comparison.ask(
        load_questions(["memory", "small_batch"]), arms, [(arm, "batch") for arm in words[:-1]], "smoke"
    )
    dossier = Dossier(unasked={"memory": "the time was up", "small_batch": "it is possible for no arm: why"})
    dossier.remarks["memory"] = ("12 runs of rms failed: no luck",)
    report = dossier_report(Comparison(arms, tuple(asked), "smoke"), dossier, {}, Place(Path(), Path()).components, "")
    said = " ".join(note for view in short_report(report).views for note in view.notes)
    assert "not asked: bytes kept: the time was up." in said and "12 runs of rms failed: no luck" in said


def test_more_claims_than_random_signs_can_decide_are_refused(program: Program):
    arms = [f"group groups=1 eps={number}e-5" for number in range(1, 28)]
    said = program("compare", *arms, "--all-pairs", "--dry-run")
    assert said.code == 2 and "5,967 claims" in said.err and "at most 5,000 can be decided" in said.err


@pytest.mark.parametrize(("scale", "task"), [("cpu", "mnist-cnn"), ("gpu", "digits-cnn"), ("gpu", "cifar-resnet20")])
def test_a_task_leaves_a_question_what_makes_it_that(scale: str, task: str):
    place = Place(Path(), Path())
    request = comparison.read_comparison(["rms"], ["layer"], [task], scale, place)
    (few,) = (one for one in request.asked if one.question.name == "regularization")
    (speed,) = (one for one in request.asked if one.question.name == "convergence")
    keys, on = (_settings(one, request) for one in (few, speed))
    assert keys["dataset"] == on["dataset"] == task.partition("-")[0].replace("cifar", "cifar10")
    is_its_own = task.startswith("cifar")
    assert (keys["epochs"], keys["split.train"]) == (("60", "5000") if is_its_own else ("100", "150"))
    assert on["epochs"] == {"mnist-cnn": "1", "cifar-resnet20": "10"}.get(task, on["epochs"])
    assert "evaluate.unit" not in keys and "model.width" not in keys
    assert on["evaluate.every"] == {"mnist-cnn": "50", "cifar-resnet20": "100"}.get(task, "4")


def _settings(asked: Asked, request: Comparison) -> dict[str, str]:
    texts = merged(asked.study.fixed, asked.study.scales[request.scale].overrides)
    return dict(text.split("=", 1) for text in texts)
