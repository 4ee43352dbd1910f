"""Readings over several tasks: the right numbers, and no number where a task lacks one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bnbench.comparison import Arm, Asked, ask
from bnbench.comparison.aggregate_views import over_tasks_view, pairs_view
from bnbench.comparison.aggregates import over_tasks
from bnbench.comparison.course import Dossier
from bnbench.study.questions import load_questions

NEVER = math.inf
TASKS = ("digits-mlp", "digits-cnn")


def _asked(tasks: tuple[str, ...] = TASKS) -> list[Asked]:
    """The question of convergence of two arms against a third, as if asked on tasks: its steps and its accuracy."""
    arms = [Arm(name, (f"norm={name}",)) for name in ("rms", "layer", "batch")]
    (one,) = ask(load_questions(["convergence"]), arms, [("rms", "batch"), ("layer", "batch")], "smoke")
    return [replace(one, task=task) for task in tasks]


def _dossier(asked: list[Asked], *frames: dict[str, list[float]], reading: str = "steps") -> Dossier:
    values = {(one.name, reading): pd.DataFrame(frame) for one, frame in zip(asked, frames, strict=True)}
    return Dossier(values=values)


MLP = {"rms": [10.0, 20, 30, 40], "layer": [20.0] * 4, "batch": [20.0] * 4}
CNN = {"rms": [1.0, 2, 3, 4], "layer": [NEVER] * 4, "batch": [1.0, 2, 2, 9]}


def test_steps_over_two_tasks_by_hand():
    """Fewer steps are better: 10 of 20 twice, 30 and 40 of 20; then 1 2 3 4 against 1 2 2 9."""
    asked = _asked()
    steps = over_tasks(asked, _dossier(asked, MLP, CNN))[0]
    rms, layer = steps.pairs
    on_mlp = (4 + 4 * 0.5) / 16
    on_cnn = ((0.5 + 3) + (2 * 0.5 + 1) + 1 + 1) / 16
    assert rms.improvement.value == pytest.approx((on_mlp + on_cnn) / 2)
    assert rms.size.value == 1.25  # 0.5 1 1.5 2 of both, relative to 20 and to 2
    assert layer.improvement.value == pytest.approx((0.5 + 0) / 2)
    assert rms.replicates == 4 and steps.tasks == TASKS


def test_a_task_that_lacks_an_arm_gives_no_number_and_is_named():
    asked = _asked()
    steps, accuracy = over_tasks(asked, _dossier(asked, MLP, {**CNN, "layer": [math.nan] * 4}))
    assert [one.pair for one in steps.pairs] == [("rms", "batch")]
    assert steps.lacking == ("layer has no value on digits-cnn",)
    assert not accuracy.pairs and "rms has no value on digits-mlp, digits-cnn" in accuracy.lacking


def test_a_task_that_was_not_asked_is_said_to_be_once():
    asked = _asked()
    dossier = replace(_dossier(asked[:1], MLP), unasked={asked[1].name: "the time was up"})
    steps, _ = over_tasks(asked, dossier)
    assert steps.lacking == ("it was not asked on digits-cnn",)


def test_tasks_have_as_many_replicates():
    """A replicate that one task lacks is left out of all."""
    asked = _asked()
    (steps, _) = over_tasks(asked, _dossier(asked, MLP, {**CNN, "rms": [1.0, math.nan, 3, 4]}))
    assert [one.replicates for one in steps.pairs] == [3, 4]


def test_a_single_task_is_no_aggregate():
    asked = _asked(TASKS[:1])
    assert over_tasks(asked, _dossier(asked, MLP)) == []


def test_the_views_tell_both():
    asked, generator = _asked(), np.random.default_rng(0)
    better = {"rms": 0.9, "layer": 0.8, "batch": 0.8}
    frames = [
        {arm: list(mean + 0.01 * generator.normal(size=22)) for arm, mean in better.items()} for _ in TASKS
    ]  # fmt: skip
    readings = over_tasks(asked, _dossier(asked, *frames, reading="accuracy"))
    view = over_tasks_view(readings, ["rms", "layer"])
    rms, layer = view.tables
    assert rms.rows[0][0].value == "accuracy" and rms.rows[0][1].words == "100% [100 to 100]"
    assert rms.rows[0][1].mark == "best" and layer.rows[0][1].mark == ""
    (table,) = pairs_view(readings).tables
    assert table.rows[0][3].words.startswith("+10.") and "points [+9." in table.rows[0][3].words
    assert any(note.startswith("steps to 90%: rms has no value") for note in view.notes)
