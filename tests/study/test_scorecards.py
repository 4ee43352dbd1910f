"""From tables to verdicts, against a few lines of pandas and by every reason to be inconclusive."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnbench.reports import plain_text, render
from bnbench.stats import decide
from bnbench.study import Findings, Study, as_table, load, names, names_of_all, scorecard
from bnbench.study import report as scorecard_report
from bnbench.study.catalog import family_size
from bnbench.study.contrast import Comparison
from bnbench.study.definition import StudyClaim
from bnbench.study.measure import Tables
from bnbench.study.scorecards import row_of
from bnbench.study.tuning import Tuning
from tests.study.files import TREE, study_of

NOTHING = Tables(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
NOISE = np.array([0.003, -0.002, 0.001, 0.0, -0.001, 0.002, -0.003, 0.001, -0.001, 0.0])
CHANCE = 0.1
SCALES = {"cpu": {"lr": [0.1], "seeds": 10}}


def runs(accuracies: dict[tuple[str, str], Any]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"arm": arm, "cell": cell, "pair": pair, "lr": 0.1, "run_id": f"{arm}-{cell}-{pair}", "test": value,
             "counted": not math.isnan(value), "diverged": value == CHANCE, "steps_done": 200}
            for (arm, cell), values in accuracies.items() for pair, value in enumerate(values)
        ]
    )  # fmt: skip


def findings(study: Study, accuracies: dict[tuple[str, str], Any], problems: dict[Any, str] | None = None) -> Findings:
    chosen = {group: dict.fromkeys(range(10), 0.1) for group in accuracies}
    metrics = pd.DataFrame(columns=["run_id", "step", "val_accuracy"])
    tables = Tables(runs(accuracies), metrics, pd.DataFrame())
    return Findings(study, "cpu", tables, NOTHING, Tuning(chosen, problems or {}), frozenset())


def study(folder: Path, **changes: Any) -> Study:
    return study_of(folder, claims={"accuracy": {**TREE["claims"]["accuracy"], **changes}}, scales=SCALES)


def test_a_difference_against_pandas(tmp_path: Path):
    batch, none = 0.95 + NOISE, 0.90 + NOISE[::-1]
    found = findings(study(tmp_path), {("batch", "all"): batch, ("none", "all"): none})
    (row,) = scorecard([found])
    wide = found.tables.runs.pivot(index="pair", columns="arm", values="test")
    difference = wide["batch"] - wide["none"]
    assert row.effect == pytest.approx(difference.mean()) and row.decision.n == 10
    alone = decide(difference, 0.01, np.random.default_rng([0, *b"mine"]))
    assert (row.decision.verdict, row.decision.p) == (
        alone.verdict,
        alone.p,
    ) and row.decision.interval == alone.interval
    assert row.decision.verdict == "supported" and row.low < row.effect < row.high
    assert row.centres == pytest.approx({("batch", "all"): 0.95, ("none", "all"): 0.90})


@pytest.mark.parametrize(("failing", "verdict"), [(9, "supported"), (3, "supported"), (1, "supported")])
def test_a_baseline_that_diverges_counts_against_it_and_both_are_told(tmp_path: Path, failing: int, verdict: str):
    """However many of its runs do; how often each trains, and the difference of those that do, are told as well."""
    none = 0.90 + NOISE[::-1]
    none[:failing] = CHANCE
    (row,) = scorecard([findings(study(tmp_path), {("batch", "all"): 0.95 + NOISE, ("none", "all"): none})])
    assert row.decision.verdict == verdict and -1 <= row.low < row.effect <= row.high <= 1
    said = as_table([row])["sentence"][0]
    assert f"trained: batch 10 of 10, none {10 - failing} of 10; where both trained, +" in said
    assert as_table([row])["trained"][0] == f"batch=10 none={10 - failing}"


@pytest.mark.parametrize(("expect", "verdict"), [("higher", "contradicted"), ("lower", "supported")])
def test_the_effect_is_arm_less_baseline_whatever_is_claimed(tmp_path: Path, expect: str, verdict: str):
    groups = {("batch", "all"): 0.80 + NOISE, ("none", "all"): 0.90 + NOISE[::-1]}
    (row,) = scorecard([findings(study(tmp_path, expect=expect), groups)])
    assert row.decision.verdict == verdict
    assert row.low <= row.effect <= row.high < 0 and row.effect == pytest.approx(-0.1, abs=0.01)


def test_a_ratio_is_the_geometric_mean_of_ratios(tmp_path: Path):
    batch, none = 0.8 + NOISE, 0.4 + NOISE[::-1]
    own = study(tmp_path, contrast="ratio", smallest_effect=1.5)
    (row,) = scorecard([findings(own, {("batch", "all"): batch, ("none", "all"): none})])
    assert row.effect == pytest.approx(np.prod(batch / none) ** 0.1) and row.low < row.effect < row.high
    assert row.decision.verdict == "supported" and row.low > 1


def test_an_interaction_is_a_difference_of_differences(tmp_path: Path):
    cells = {"small": ["batch_size=2"], "large": ["batch_size=64"]}
    claim = {**TREE["claims"]["accuracy"], "cells": ["small", "large"], "expect": "lower"}
    own = study_of(tmp_path, cells=cells, claims={"accuracy": claim}, scales=SCALES)
    accuracies = {("batch", "small"): 0.7 + NOISE, ("none", "small"): 0.9 - NOISE}
    accuracies |= {("batch", "large"): 0.95 + 2 * NOISE, ("none", "large"): 0.9 + NOISE[::-1]}
    (row,) = scorecard([findings(own, accuracies)])
    small = accuracies["batch", "small"] - accuracies["none", "small"]
    large = accuracies["batch", "large"] - accuracies["none", "large"]
    assert row.effect == pytest.approx(np.mean(small - large)) and row.decision.verdict == "supported"
    said = "across 10 replicates, from large to small, batch lost 25.0 points more test accuracy than none (95%"
    assert said in as_table([row])["sentence"][0]


def test_a_miss_of_a_target_is_no_missing_value(tmp_path: Path):
    own = study(
        tmp_path, measure={"steps_to_target": {"target": 0.9}}, contrast="ratio", smallest_effect=1.5, expect="lower"
    )
    found = findings(own, {("batch", "all"): [0.9] * 10, ("none", "all"): [0.9] * 10})
    lines = [(f"batch-all-{pair}", 10 + pair, 0.95) for pair in range(10)] + [("none-all-0", 100, 0.95)]
    metrics = pd.DataFrame(lines, columns=["run_id", "step", "val_accuracy"])
    (row,) = scorecard(
        [Findings(own, "cpu", Tables(found.tables.runs, metrics, pd.DataFrame()), NOTHING, found.tuning, frozenset())]
    )
    assert row.decision.verdict == "supported" and row.effect == pytest.approx(math.sqrt(15 * 16) / 200)
    assert row.low == 0 < row.high < 0.1 and "was at most 0.0775 times that" in as_table([row])["sentence"][0]
    assert row.missed == {("batch", "all"): 0, ("none", "all"): 9}
    assert "never reached: none in 9 of 10" in as_table([row])["sentence"][0]
    assert row.centres == {("batch", "all"): 14.5, ("none", "all"): math.inf}


def test_equal_arms_do_not_differ(tmp_path: Path):
    groups = {("batch", "all"): 0.9 + NOISE, ("none", "all"): 0.9 + NOISE[::-1]}
    (row,) = scorecard([findings(study(tmp_path), groups)])
    assert row.decision.verdict == "no difference"


@pytest.mark.parametrize(
    ("batch", "problems", "reason"),
    [
        (0.95 + NOISE[:9], None, "1 of 10 replicates without a value"),
        (np.append(0.95 + NOISE[:9], math.nan), None, "1 of 10 replicates without a value"),
        (0.95 + NOISE, {("none", "all"): "the grid is too narrow"}, "the grid is too narrow"),
    ],
)
def test_what_cannot_be_relied_on_is_inconclusive(tmp_path: Path, batch: Any, problems: Any, reason: str):
    found = findings(study(tmp_path), {("batch", "all"): batch, ("none", "all"): 0.90 + NOISE[::-1]}, problems)
    (row,) = scorecard([found])
    assert (row.decision.verdict, row.decision.reason) == ("inconclusive", reason)
    assert reason in as_table([row])["sentence"][0]


def test_claims_are_adjusted_for_their_family_whatever_is_decided_beside_them(tmp_path: Path):
    accuracies = {("batch", "all"): 0.95 + NOISE, ("none", "all"): 0.90 + NOISE[::-1]}
    own = study(tmp_path)
    (alone,) = scorecard([findings(own, accuracies)])
    twice = replace(own, claims=tuple(replace(own.claims[0], name=name) for name in ("first", "second")))
    rows = scorecard([findings(twice, accuracies), findings(own, accuracies), findings(own, accuracies)])
    assert [row.decision.p for row in rows] == pytest.approx([2 * alone.decision.p] * 2 + [alone.decision.p] * 2)
    assert {row.decision.raw_p for row in rows} == {alone.decision.p}


def test_the_claims_that_are_asked_together_are_one_family():
    for together in (names_of_all(), sorted({*names()} - {*names_of_all()})):
        sizes = {family_size(one) for one in load(together)}
        assert sizes == {sum(len(one.claims) for one in load(together))}
    changed = replace(load(["convergence"])[0], changes=("epochs=3",))
    assert family_size(changed) == len(changed.claims)


def test_the_scorecard_in_words(tmp_path: Path):
    own = study(tmp_path, published="93% and 90%")
    rows = scorecard([findings(own, {("batch", "all"): 0.95 + NOISE, ("none", "all"): 0.90 + NOISE[::-1]})])
    text = render(scorecard_report(rows, "cpu"), "markdown")
    assert "| mine | accuracy | supported | +5.0 points | +4.8 to +5.2 points | 0.002 | 0.002 | 10 |" in text
    said = (
        "Supported: across 10 replicates, test accuracy was 5.0 points higher with batch than with none"
        " (95% interval +4.8 to +5.2 points)"
    )
    assert f"{said}; mean: batch 95.0%, none 90.0%. Published: 93% and 90%." in text


def test_a_scorecard_begins_with_how_many_claims_ended_in_which_way_and_with_which(tmp_path: Path):
    own = study(tmp_path)
    (row,) = scorecard([findings(own, {("batch", "all"): 0.95 + NOISE, ("none", "all"): 0.90 + NOISE[::-1]})])
    ends = [
        ("speed", "steps", "supported"),
        ("range", "decades", "supported"),
        ("speed", "accuracy", "supported"),
        ("range", "widest", "supported"),
        ("range", "narrowest", "supported"),
        ("memory", "saved", "no difference"),
        ("range", "largest", "inconclusive"),
    ]
    rows = [
        replace(row, study=name, claim=replace(row.claim, name=claim), decision=replace(row.decision, verdict=verdict))
        for name, claim, verdict in ends
    ]
    counted, *which = scorecard_report(rows, "cpu").summary
    assert counted == "Of 7 claims, 5 supported, 1 without a difference worth the name and 1 inconclusive."
    assert which == [
        "Supported: speed (steps and accuracy); range (decades, widest and narrowest).",
        f"No difference: {row.claim.says} +5.0 points (memory, saved).",
        f"Inconclusive: {row.claim.says} +5.0 points (range, largest).",
    ]
    assert scorecard_report([row], "cpu").summary == (f"Supported: {row.claim.says} +5.0 points (mine, accuracy).",)
    assert "too few replicates" in scorecard_report(rows, "smoke").summary[0]
    assert scorecard_report([], "cpu").summary == ()


@pytest.mark.parametrize(
    ("arm", "expect", "doubt"),
    [
        (
            0.90 * 1.47 + 60 * NOISE,
            "lower",
            "there is a difference (p = 0.002), but it may be below the",
        ),
        (0.90 + 250 * NOISE, "higher", "neither a difference (p = "),
    ],
)
def test_a_doubt_is_told_in_the_unit_of_the_claim(tmp_path: Path, arm: Any, expect: str, doubt: str):
    own = study(tmp_path, contrast="ratio", smallest_effect=1.5, expect=expect)
    (row,) = scorecard([findings(own, {("batch", "all"): arm, ("none", "all"): 0.90 + NOISE[::-1]})])
    said = as_table([row])["sentence"][0]
    assert row.decision.verdict == "inconclusive" and doubt in said and "effect" not in said
    assert ("a factor of 1.5" in said) == (expect == "lower")


CLAIMS = [(one, claim) for one in load(names()) for claim in one.claims]


@pytest.mark.parametrize(("study", "claim"), CLAIMS, ids=[f"{one.name}-{claim.name}" for one, claim in CLAIMS])
@pytest.mark.parametrize("share", [-15, -1.5, -0.3, 0.3, 1.5, 15])
def test_a_sentence_has_the_sign_of_the_effect_and_of_its_interval(study: Study, claim: StudyClaim, share: float):
    """Differences are so many smallest effects in favour of the claim, or against it."""
    smallest = math.log(claim.smallest_effect) if claim.contrast == "ratio" else claim.smallest_effect
    favour = 1 if claim.expect == "higher" else -1
    differences = favour * smallest * (share + 100 * NOISE)
    numbers = Comparison(differences, differences, dict.fromkeys(claim.groups, 0.5))
    decision = decide(favour * differences, smallest, np.random.default_rng(0), estimand=claim.measure.estimand)
    row = row_of(Findings(study, "cpu", NOTHING, NOTHING, Tuning({}, {}), frozenset()), claim, numbers, decision)
    lines = as_table([row]).to_dict("records")[0]
    cells = [plain_text(cell) for cell in scorecard_report([row], "cpu").views[0].tables[0].rows[0]]
    shown, limits = cells[3], cells[4]
    neutral = 1 if claim.contrast == "ratio" else 0
    higher = (share > 0) == (claim.expect == "higher")
    assert (row.effect > neutral) == higher and row.low <= row.effect <= row.high
    assert (decision.verdict == "supported") == (share > 1) and (decision.verdict == "contradicted") == (share < -1)
    assert f"(95% interval {limits})" in lines["sentence"]
    if claim.contrast == "ratio":
        assert f"{shown.removeprefix('x ')} times that" in lines["sentence"]
    else:
        assert (shown[0] == "+") == higher and (shown[0] == "-") == (not higher)
        more, less = ("more", "less") if len(claim.cells) == 2 else ("higher", "lower")
        assert f" {shown[1:]} {more if higher else less} " in lines["sentence"]
        assert [limit[0] for limit in limits.split(" to ")] == ["+" if end > 0 else "-" for end in (row.low, row.high)]
    assert decision.verdict == "inconclusive" or f"effect {shown}, smallest effect of interest " in lines["reason"]
    assert "effect -" not in lines["reason"] or not higher


@pytest.mark.parametrize("value", [0.0, -0.0, 0.0004, -0.0004])
def test_what_is_rounded_to_zero_has_no_sign(tmp_path: Path, value: float):
    own = study(tmp_path)
    numbers = Comparison(np.full(10, value), np.full(10, value), dict.fromkeys(own.claims[0].groups, 0.5))
    found = Findings(own, "cpu", NOTHING, NOTHING, Tuning({}, {}), frozenset())
    row = row_of(found, own.claims[0], numbers, decide(numbers.low, 0.01, np.random.default_rng(0)))
    said = "test accuracy was as high with batch as with none (95% interval 0.0 to 0.0 points)"
    assert said in as_table([row])["sentence"][0]


@pytest.mark.parametrize("load", [1.0, 3.0])
def test_the_load_of_the_machine_is_below_the_scorecard_of_a_claim_about_time(tmp_path: Path, load: float):
    measure = {"probe": {"probe": "step_time", "name": "work_in_turns", "at": "mean"}}
    timed = study(tmp_path, measure=measure, contrast="ratio", smallest_effect=1.1)
    found = findings(timed, {("batch", "all"): 1.2 + NOISE, ("none", "all"): 1 + NOISE[::-1]})
    lines = [
        {"run_id": run, "step": 0, "probe": "step_time", "layer": "network", "name": name, "value": value}
        for run, test in found.tables.runs[["run_id", "test"]].itertuples(index=False)
        for name, value in (("work_in_turns", test), ("load", load))
    ]
    rows = scorecard([replace(found, tables=replace(found.tables, probes=pd.DataFrame(lines)))])
    assert rows[0].decision.verdict == "supported"
    note = "The machine was busy while steps were timed: they took 3.0 times their CPU time."
    assert (note in rows[0].load, note in scorecard_report(rows, "cpu").views[0].tables[0].notes[-1]) == (
        load > 1,
        load > 1,
    )


def test_the_forest_plot_has_a_panel_for_ratios_and_one_for_points(tmp_path: Path):
    values = {("batch", "all"): 0.9 + NOISE, ("none", "all"): 0.8 + NOISE[::-1]}
    points = scorecard([findings(study(tmp_path), values)])
    ratios = scorecard([findings(study(tmp_path, contrast="ratio", smallest_effect=1.05), values)])
    rows = [*points, *ratios]
    (figure,) = scorecard_report(rows, "cpu").views[0].figures
    assert [panel.name for panel in figure.panels] == ["points", "ratio"]
    assert figure.data["effect"].tolist() == [row.effect for row in rows]
    assert figure.data["high"].tolist() == [row.high for row in rows]
