"""Settings beside a study: what all runs share changes, what the study is does not, and its files stay apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bnbench.components import components
from bnbench.errors import InvalidRequest
from bnbench.spec import RunSpec, flatten
from bnbench.store.access import LONGEST_NAME
from bnbench.store.naming import naming_rule
from bnbench.study import Study, load, names, sweep_name, told_apart, varied
from bnbench.study.design import groups, in_all, reporting_trials
from tests.study.files import TREE, study_of

PARTS = components()
CLAIM = {**TREE["claims"]["accuracy"], "cells": ["small"]}
CELLS = {"small": ["batch_size=8"], "large": ["batch_size=64", "steps=3"]}


def changed(study: Study, *texts: str) -> Study:
    (found,) = varied([study], texts, PARTS)
    return found


def specs_of(study: Study) -> tuple[RunSpec, ...]:
    rates = in_all({group: [0.1] for group in groups(study, every_lr=False)}, study.scales["cpu"].seeds)
    return reporting_trials(study, study.scales["cpu"], rates, PARTS).request.specs


def test_words_are_names_or_settings(tmp_path: Path):
    path = tmp_path / "a=b.yaml"
    path.touch()
    words = ["convergence", "dataset=mnist", "~grad_clip", str(path), "+lr=1", "mine.yaml"]
    assert told_apart(words) == (["convergence", str(path), "mine.yaml"], ["dataset=mnist", "~grad_clip", "+lr=1"])


def test_a_setting_takes_the_place_of_the_study_s_own_in_every_run(tmp_path: Path):
    scales = {"cpu": {"lr": [0.1], "seeds": 2, "overrides": ["batch_size=16", "model.depth=2"]}}
    study = study_of(tmp_path, scales=scales, cells={"all": ["label_smoothing=0.1"]})
    found = specs_of(changed(study, "batch_size=32", "+epochs=2", "~grad_clip"))
    assert len(found) == 4
    for spec in found:
        assert (spec.batch_size, spec.epochs, spec.grad_clip, spec.label_smoothing) == (32, 2, None, 0.1)
        assert spec.model.name == "mlp" and flatten(spec)["model.depth"] == 2
    assert {spec.norm.name for spec in found} == {"batch", "none"}


def test_a_choice_that_is_made_anew_drops_the_options_of_the_old_one(tmp_path: Path):
    assert {flatten(spec)["model.width"] for spec in specs_of(changed(study_of(tmp_path), "model=mlp"))} == {100}


def test_steps_take_the_place_of_epochs(tmp_path: Path):
    assert {(spec.steps, spec.epochs) for spec in specs_of(changed(study_of(tmp_path), "steps=5"))} == {(5, None)}


def test_amounts_are_those_of_every_scale(tmp_path: Path):
    found = changed(study_of(tmp_path), "seeds=7", "tuning_seeds=4")
    assert (found.scales["cpu"].seeds, found.scales["cpu"].tuning_seeds) == (7, 4)
    assert found.changes == ("seeds=7", "tuning_seeds=4")
    assert {spec.seed for spec in specs_of(found)} == set(range(7))


def test_without_settings_nothing_changes(tmp_path: Path):
    study = study_of(tmp_path)
    assert changed(study) == study and sweep_name(study, "cpu") == "study-mine-cpu"


def test_the_device_makes_no_other_study(tmp_path: Path):
    study = study_of(tmp_path)
    found = changed(study, "device=cpu")
    assert sweep_name(found, "cpu") == sweep_name(study, "cpu") and specs_of(found) == specs_of(study)


def test_every_set_of_settings_has_a_sweep_of_its_own_whatever_their_order(tmp_path: Path):
    study = study_of(tmp_path)
    sets = [(), ("epochs=3",), ("epochs=30",), ("epochs=3", "batch_size=8"), ("seeds=3",), ("dataset.path='/a b/ä'",)]
    sets[-1] = (*sets[-1], "dataset=npz", "label_smoothing=0.12345678901234567890")
    found = [sweep_name(changed(study, *texts), "cpu") for texts in sets]
    assert len(set(found)) == len(sets) and not any(naming_rule(name, LONGEST_NAME) for name in found), found
    assert found[3].startswith("study-mine-cpu-batch-size-8-epochs-3-")
    assert sweep_name(changed(study, "batch_size=8", "epochs=3"), "cpu") == found[3]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["epohcs=3"], ["epohcs: unknown key; did you mean 'epochs'?"]),
        (["dataset=mnits"], ["dataset=mnits: unknown dataset; did you mean 'mnist'?"]),
        (["lr=0.1"], ["lr=0.1: lr is tuned over the grid of the scale"]),
        (["seed=3"], ["seed=3: seed is counted up by the study", "seeds=20"]),
        (["probes=[memory]"], ["probes are those that the claims measure"]),
        (["drop_last=true,false"], ["drop_last=true,false: must be one value for all runs"]),
        (["seeds=0"], ["seeds=0: must be a whole number from 1 to 1000"]),
        (["tuning_seeds=many"], ["tuning_seeds=many: must be a whole number from 1 to 90"]),
        (["seeds=true"], ["seeds=true: must be a whole number from 1 to 1000"]),
        (["seeds=1200"], ["seeds=1200: must be a whole number from 1 to 1000"]),
        (["tuning_seeds=91"], ["tuning_seeds=91: must be a whole number from 1 to 90"]),
        (["precision=bf16", "precision=fp64"], ["precision is set more than once"]),
        (["norm=group"], ["study mine: norm=group: norm is set by the arms batch (norm=batch), none (norm=none)"]),
        (["norm.eps=1"], ["norm.eps=1: norm is set by the arms", "such as model=mlp model.depth=1"]),
        (["batch_size=4"], ["batch_size=4: batch_size is set by the cells small (batch_size=8), large (batch_size=64"]),
        (["epochs=4"], ["epochs=4: steps is set by the cells"]),
        (["=3"], ["no key before the ="]),
        (["~dataset"], ["'~dataset': ~ cannot take it away; write dataset=value"]),
    ],
)
def test_what_is_refused_and_why(tmp_path: Path, texts: list[str], says: list[str]):
    with pytest.raises(InvalidRequest) as caught:
        changed(study_of(tmp_path, cells=CELLS, claims={"accuracy": CLAIM}), *texts)
    assert len(caught.value.problems) == 1
    assert all(part in str(caught.value) for part in says), str(caught.value)


def test_all_problems_at_once_and_for_every_study(tmp_path: Path):
    study = study_of(tmp_path)
    with pytest.raises(InvalidRequest) as caught:
        varied([study, replace(study, name="other")], ["lr=1", "seeds=0", "norm=group", "epohcs=3"], PARTS)
    assert len(caught.value.problems) == 5


def test_every_study_that_comes_with_bnbench_can_be_changed():
    for study in load(names()):
        assert changed(study, "label_smoothing=0.1").changes == ("label_smoothing=0.1",)


def test_a_file_cannot_say_that_it_is_changed(tmp_path: Path):
    with pytest.raises(InvalidRequest) as caught:
        study_of(tmp_path, changes=["epochs=3"], name="other")
    assert [problem.partition(".yaml: ")[2].partition(";")[0] for problem in caught.value.problems] == [
        "changes: unknown", "name: unknown",
    ]  # fmt: skip
