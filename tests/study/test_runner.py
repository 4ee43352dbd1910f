"""Studies that are really trained: an arm against itself, a difference that was planted, and what fails."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bnbench import session, store
from bnbench.study import Findings, Place, Study, execute, run_study, scorecard
from bnbench.study.lr_curve import RESOLUTION, LargestLearningRate
from tests.study.files import TREE, claim_of, study_of

NOISY = '''
import torch

from bnbench.data import Raw
from bnbench.data.embedded import digits


def noisy(root, *, wrong: float = 0.0) -> Raw:
    """Digits, of whose training labels a share is wrong; the last 400 are the test set."""
    raw = digits(root)
    x, y = raw.train_x, raw.train_y.clone()
    generator = torch.Generator().manual_seed(0)
    hit = torch.rand(len(y), generator=generator) < wrong
    hit[-400:] = False
    y[hit] = (y[hit] + torch.randint(1, 10, (int(hit.sum()),), generator=generator)) % 10
    return Raw(x[:-400], y[:-400], x[-400:], y[-400:])


DATASETS = {"noisy": noisy}
'''


class Trainer:
    """Trains in this process, and remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[str, int]] = []

    def __call__(self, study: Study, what: str, plan: session.Plan) -> session.Summary:
        self.given.append((what, len(plan.pending)))
        return session.execute(plan, session.TrainingOptions("inline", 1))


def conducted(study: Study, folder: Path, plugin: Path | None = None) -> tuple[Findings, Trainer]:
    trainer = Trainer()
    return run_study(study, "cpu", Place(folder / "results", folder / "data", plugin), trainer), trainer


def test_an_arm_against_itself_is_never_supported_or_contradicted(tmp_path: Path):
    """The same norm under two names, with independent seeds, at three batch sizes."""
    cells = {f"batch_{size}": [f"batch_size={size}"] for size in (16, 32, 64)}
    claims = {cell: {**TREE["claims"]["accuracy"], "cells": [cell]} for cell in cells}
    arms = {"batch": ["norm=batch"], "none": ["norm=batch"]}
    scales = {"cpu": {"lr": [0.1], "seeds": 10}}
    study = study_of(tmp_path, paired=False, arms=arms, cells=cells, claims=claims, scales=scales)
    found, _ = conducted(study, tmp_path)
    assert found.tables.runs["run_id"].is_unique and len(found.tables.runs) == 60
    rows = scorecard([found])
    assert not {row.decision.verdict for row in rows} & {"supported", "contradicted"}
    assert all(row.decision.n == 10 and row.low < 0 < row.high for row in rows)


def test_a_planted_difference_is_found(tmp_path: Path):
    """5% of one arm's training labels are wrong."""
    (tmp_path / "noisy.py").write_text(NOISY)
    study = study_of(
        tmp_path,
        arms={"batch": ["dataset=noisy"], "none": ["dataset=noisy", "dataset.wrong=0.05"]},
        fixed=["norm=batch", "model=mlp", "model.depth=2", "model.width=64", "epochs=30"],
        scales={"cpu": {"lr": [0.1], "seeds": 10}},
    )
    found, _ = conducted(study, tmp_path, tmp_path / "noisy.py")
    (row,) = scorecard([found])
    assert row.decision.verdict == "supported" and row.effect > 0.01, row.decision


def test_tuning_then_reporting_and_the_second_time_nothing(tmp_path: Path):
    study = study_of(tmp_path)
    first, trainer = conducted(study, tmp_path)
    *tuning, (last, count) = trainer.given
    assert {what for what, _ in tuning} == {"tuning"} and tuning[0] == ("tuning", 72)
    assert (last, count) == ("reporting", 12)
    folder = tmp_path / "results" / "study-mine-cpu"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    second, trainer = conducted(study, tmp_path)
    assert {count for _, count in trainer.given} == {0}
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert [row.decision for row in scorecard([second])] == [row.decision for row in scorecard([first])]


def test_a_study_reports_on_the_code_that_it_tuned(tmp_path: Path):
    """A plugin is read once, although a study is several sweeps."""
    plugin = tmp_path / "mine.py"
    plugin.write_text("from torch import nn\ndef mine(n): return nn.Identity()\nNORMS = {'mine': mine}\n")
    study = study_of(tmp_path, arms={"batch": ["norm=batch"], "none": ["norm=mine"]})

    class Spoiler(Trainer):
        def __call__(self, study: Study, what: str, plan: session.Plan) -> session.Summary:
            plugin.write_text("x = (")
            return super().__call__(study, what, plan)

    trainer = Spoiler()
    found = run_study(study, "cpu", Place(tmp_path / "results", tmp_path / "data", plugin), trainer)
    assert trainer.given[-1] == ("reporting", 12) and found.failures == 0
    assert len(set(store.load_runs(tmp_path / "results" / "study-mine-cpu")["plugin"].dropna())) == 1


def test_a_curve_is_trained_at_every_learning_rate_and_between_those_that_a_limit_lies_between(tmp_path: Path):
    """Without tuning; until neighbours are within 10%."""
    study = claim_of(tmp_path, measure="largest_lr", contrast="ratio", smallest_effect=2)
    found, trainer = conducted(study, tmp_path)
    assert {what for what, _ in trainer.given} == {"reporting"} and trainer.given[0][1] == 36
    runs = found.curves.runs
    grid = runs[~runs["refined"]].groupby(["arm", "pair"])["lr"].apply(lambda rates: tuple(sorted(rates)))
    assert len(grid) == 12 and grid.nunique() == 1 and {0.03, 0.1, 0.3} <= {*grid.iloc[0]}
    limits = LargestLearningRate().values(found.curves)
    narrow = (limits["high"] <= limits["low"] * RESOLUTION * (1 + 1e-9)) | ~np.isfinite(limits["high"])
    assert len(limits) == 12 and (narrow | (limits["low"] == 0)).all()
    (row,) = scorecard([found])
    assert row.decision.n == 6 and not math.isnan(row.effect)


def test_an_arm_that_cannot_be_trained_makes_the_verdict_inconclusive(tmp_path: Path):
    study = study_of(tmp_path, arms={"batch": ["norm=batch"], "none": ["norm=group", "norm.groups=7"]})
    found, _ = conducted(study, tmp_path)
    (row,) = scorecard([found])
    assert row.decision.verdict == "inconclusive" and "tuning runs of none have no result" in row.decision.reason
    assert found.failures >= 6 and math.isnan(row.effect)


def test_an_interrupt_stops_the_study(tmp_path: Path):
    def stop(study: Study, what: str, plan: session.Plan) -> session.Summary:
        return session.Summary(plan.folder, {}, 0, interrupted=True)

    with pytest.raises(KeyboardInterrupt):
        run_study(study_of(tmp_path), "cpu", Place(tmp_path / "results", tmp_path), stop)


def test_probes_are_in_reporting_runs_only(tmp_path: Path):
    measure = {"probe": {"probe": "memory", "name": "saved_bytes", "at": "first", "layer": "network"}}
    found, _ = conducted(claim_of(tmp_path, measure=measure, contrast="ratio", smallest_effect=1.1), tmp_path)
    (row,) = scorecard([found])
    assert row.decision.verdict == "supported" and row.effect > 1.1
    folder = tmp_path / "results" / "study-mine-cpu"
    probed = set(store.load_probes(folder)["run_id"])
    runs = store.load_runs(folder)
    assert set(runs.loc[runs["run_id"].isin(probed), "seed"]) == set(range(6))


def test_a_study_that_is_alone_measures_the_arms_of_a_seed_in_turns(tmp_path: Path):
    """Also after an interruption: what has been measured in turns has ended together."""
    measure = {"probe": {"probe": "step_time", "name": "work_in_turns", "at": "mean"}}
    claims = {"accuracy": {**TREE["claims"]["accuracy"], "measure": measure, "contrast": "ratio", "smallest_effect": 2}}
    study = study_of(tmp_path, alone=True, claims=claims, scales={"cpu": {"lr": [0.1], "seeds": 6}})
    given: list[session.Plan] = []
    ended: list[int] = []

    def stop(progress: session.Progress) -> None:
        ended.append(progress.done)
        if progress.done == 4:
            raise KeyboardInterrupt

    def train(study: Study, what: str, plan: session.Plan) -> session.Summary:
        given.append(plan)
        return execute(study, plan, 2, stop if len(given) == 1 else lambda progress: None)

    place = Place(tmp_path / "results", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_study(study, "cpu", place, train)
    found = run_study(study, "cpu", place, train)
    first, second = given
    specs = [[first.specs[name] for name in group] for group in first.interleaved]
    assert [[(spec.norm.name, spec.seed) for spec in group] for group in specs] == [
        [("batch", seed), ("none", seed)] for seed in range(6)
    ]
    assert len(second.pending) == 8 and not found.failures
    (row,) = scorecard([found])
    assert row.decision.n == 6 and 0.3 < row.effect < 3
    assert set(store.load_runs(first.folder)["lanes"]) == {1}


def test_a_study_of_data_that_changed_trains_again(tmp_path: Path):
    rng, place = np.random.default_rng(0), tmp_path / "data" / "mine.npz"
    place.parent.mkdir()
    study = study_of(
        tmp_path,
        fixed=["model=mlp", "model.width=8", "epochs=1", "dataset=npz", "dataset.path=mine.npz"],
        scales={"cpu": {"lr": [0.1, 0.3], "tuning_seeds": 1, "seeds": 2}},
    )
    given, runs = [], []
    for _ in range(2):
        np.savez(place, x=rng.normal(size=(400, 4)), y=np.arange(400) % 2)
        found, trainer = conducted(study, tmp_path)
        given.append([count for _, count in trainer.given])
        runs.append({*found.tables.runs["run_id"]})
        assert found.failures == 0 and {*found.tables.metrics["run_id"]} == runs[-1] != set()
    assert all(count[0] == 8 for count in given) and not runs[0] & runs[1]
    again, trainer = conducted(study, tmp_path)
    assert sum(count for _, count in trainer.given) == 0
    assert {*again.tables.runs["run_id"]} == runs[1]
