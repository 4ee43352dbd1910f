"""Which runs a study has: equal budgets, seeds apart, settings in layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnbench.components import components
from bnbench.spec import run_id
from bnbench.study import Study, load, merged
from bnbench.study.design import counterparts, groups, in_all, reporting_trials, tuning_trials
from tests.study.files import TREE, claim_of, study_of

CELLS = {"small": ["batch_size=8"], "large": ["batch_size=64"], "unused": ["batch_size=3"]}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([["a=1", "b=2"], ["b=3"]], ["a=1", "b=3"]),
        ([["model=mlp", "model.depth=2", "split.train=5"], ["model=cnn"]], ["split.train=5", "model=cnn"]),
        ([["model=mlp", "model.depth=2"], ["model.depth=3"]], ["model=mlp", "model.depth=3"]),
        ([["model=mlp"], ["model=cnn", "model.depth=3"]], ["model=cnn", "model.depth=3"]),
        ([[], []], []),
    ],
)
def test_a_later_layer_takes_the_place_of_an_earlier_one(layers: list[list[str]], expected: list[str]):
    assert merged(*layers) == expected


def interaction(folder: Path) -> Study:
    claim = {**TREE["claims"]["accuracy"], "cells": ["small", "large"]}
    return study_of(folder, cells=CELLS, claims={"accuracy": claim})


def test_every_arm_has_the_same_budget_in_every_cell_that_a_claim_compares(tmp_path: Path):
    study = interaction(tmp_path)
    own = groups(study, every_lr=False)
    assert own == [("batch", "small"), ("none", "small"), ("batch", "large"), ("none", "large")]
    trials = tuning_trials(study, study.scales["cpu"], in_all({group: [0.03, 0.1] for group in own}, 6), components())
    assert trials.table.groupby(["arm", "cell", "pair"]).size().to_dict() == {
        (*group, pair): 4 for group in own for pair in range(6)
    }
    specs = {run_id(spec): spec for spec in trials.request.specs}
    assert len(specs) == 96
    for line in trials.table.itertuples():
        spec = specs[line.run_id]
        assert (spec.norm.name, spec.lr) == (line.arm, line.lr)
        assert spec.batch_size == {"small": 8, "large": 64}[line.cell]
        assert spec.seed in (1000 + line.pair, 2000 + line.pair) and spec.probes == ()
        assert spec.split.seed == line.pair


def test_tuning_seeds_are_no_reporting_seeds_and_arms_share_theirs(tmp_path: Path):
    study = study_of(tmp_path)
    rates = in_all({group: [0.1] for group in groups(study, every_lr=False)}, 6)
    tuning = tuning_trials(study, study.scales["cpu"], rates, components()).request.specs
    reporting = reporting_trials(study, study.scales["cpu"], rates, components()).request.specs
    assert {spec.seed for spec in tuning} == {*range(1000, 1006), *range(2000, 2006)}
    assert sorted(spec.seed for spec in reporting) == sorted([*range(6), *range(6)])


def test_a_replicate_divides_the_data_as_no_other_does_and_all_its_runs_alike(tmp_path: Path):
    """From the split seed on that the study names."""
    study = study_of(tmp_path, fixed=[*TREE["fixed"], "split.seed=70"])
    rates = in_all({group: [0.1] for group in groups(study, every_lr=False)}, 6)
    for trials in (tuning_trials, reporting_trials):
        planned = trials(study, study.scales["cpu"], rates, components())
        specs = {run_id(spec): spec for spec in planned.request.specs}
        assert all(specs[line.run_id].split.seed == 70 + line.pair for line in planned.table.itertuples())


def test_replicates_report_at_learning_rates_of_their_own(tmp_path: Path):
    study = study_of(tmp_path)
    rates = {("batch", "all"): [(0.1,), (0.3, 1.0), ()], ("none", "all"): [(), (), (0.03,)]}
    planned = reporting_trials(study, study.scales["cpu"], rates, components())
    lines = [(line.arm, line.pair, line.lr) for line in planned.table.itertuples()]
    assert lines == [("batch", 0, 0.1), ("batch", 1, 0.3), ("batch", 1, 1.0), ("none", 2, 0.03)]
    assert [(spec.norm.name, spec.seed, spec.lr) for spec in planned.request.specs] == lines


def test_arms_that_are_not_paired_have_seeds_of_their_own(tmp_path: Path):
    study = study_of(tmp_path, paired=False, arms={"batch": ["norm=batch"], "none": ["norm=batch"]})
    rates = in_all({group: [0.1] for group in groups(study, every_lr=False)}, 6)
    table = reporting_trials(study, study.scales["cpu"], rates, components()).table
    assert table["run_id"].is_unique and len(table) == 12
    assert table.groupby("arm")["pair"].apply(list).to_dict() == {"batch": [*range(6)], "none": [*range(6)]}


def test_equal_arms_that_are_paired_are_trained_once(tmp_path: Path):
    study = study_of(tmp_path, arms={"batch": ["norm=batch"], "none": ["norm=batch"]})
    rates = in_all({group: [0.1] for group in groups(study, every_lr=False)}, 6)
    trials = reporting_trials(study, study.scales["cpu"], rates, components())
    assert len(trials.table) == 12 and len(trials.request.specs) == 6


def test_probes_are_those_that_the_claims_need(tmp_path: Path):
    study = claim_of(tmp_path, measure={"probe": {"probe": "gradient_flow", "name": "gradient_growth"}})
    rates = in_all({group: [0.1] for group in groups(study, every_lr=False)}, 6)
    for trials, probes in ((reporting_trials, {("gradient_flow",)}), (tuning_trials, {()})):
        request = trials(study, study.scales["cpu"], rates, components()).request
        assert {spec.probes for spec in request.specs} == probes


def test_counterparts_are_the_arms_of_a_cell_with_one_seed_at_their_own_learning_rates(tmp_path: Path):
    study = interaction(tmp_path)
    own = groups(study, every_lr=False)
    rates = in_all({group: [0.03, 0.1] if group[0] == "batch" else [0.1, 0.3] for group in own}, 6)
    table = reporting_trials(study, study.scales["cpu"], rates, components()).table
    found = counterparts(table)
    assert sorted(name for group in found for name in group) == sorted(table["run_id"])
    by_id = table.set_index("run_id")
    for group in found:
        lines = by_id.loc[list(group)]
        assert lines["arm"].tolist() == ["batch", "none"]
        assert lines["cell"].nunique() == lines["pair"].nunique() == 1
        assert lines["lr"].tolist() in ([0.03, 0.1], [0.1, 0.3])


def test_a_run_that_is_used_twice_is_in_one_group_once(tmp_path: Path):
    study = study_of(tmp_path, arms={"batch": ["norm=batch"], "none": ["norm=batch"]})
    rates = in_all({group: [0.1] for group in groups(study, every_lr=False)}, 6)
    found = counterparts(reporting_trials(study, study.scales["cpu"], rates, components()).table)
    assert [len(group) for group in found] == [1] * 6


def test_batches_that_are_not_like_all_examples_are_as_many_and_as_large_as_those_that_are():
    """And batch renormalization is trained where a claim is made of it, not everywhere."""
    (study,) = load(["non_stationary_batches"])
    own = groups(study, every_lr=False)
    table = {
        "shuffled": ("shuffled", ()), "single_class": ("single_class", ()),
        "mixed": ("shuffled", ("plain", "contrast_0.4")), "alternating": ("alternating", ("plain", "contrast_0.4")),
    }  # fmt: skip
    assert set(own) == {(arm, cell) for arm in ("batch", "layer") for cell in table} | {("renorm", "single_class")}
    for scale in study.scales.values():
        trials = reporting_trials(study, scale, in_all({group: [0.1] for group in own}, scale.seeds), components())
        specs = {run_id(spec): spec for spec in trials.request.specs}
        assert len({(spec.steps, spec.epochs, spec.batch_size) for spec in specs.values()}) == 1
        for line in trials.table.itertuples():
            spec = specs[line.run_id]
            assert (spec.norm.name, spec.batches, spec.domains) == (line.arm, *table[line.cell])
