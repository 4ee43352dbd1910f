"""Probes through the program: chosen by name, written beside the metrics, shown, and without effect on training."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import bnbench
from bnbench.native import c_compiler
from tests.conftest import Program

SMALL = ("model=mlp", "model.width=16", "epochs=2")
CHOSEN = "probes=[gradient_flow,statistics_gap]"


@pytest.mark.parametrize("lanes", ["off", "3"])
def test_a_sweep_has_the_same_results_with_probes(program: Program, lanes: str):
    """Stacks are made of runs with the same probes, and each run has its readings."""
    words = (*SMALL, "norm=batch", "seed=0,1,2", "--launcher", "inline", "--lanes", lanes)
    assert program("sweep", "--name", "plain", *words).code == 0
    assert program("sweep", "--name", "probed", *words, CHOSEN).code == 0
    (plain, metrics), (probed, probed_metrics) = bnbench.load("plain"), bnbench.load("probed")
    assert set(probed["engine"]) == {"reference" if lanes == "off" else "native" if c_compiler() else "stacked"}
    columns = ["seed", "status", "test_loss", "test_accuracy", "train_loss", "parameters"]
    pd.testing.assert_frame_equal(probed[columns], plain[columns])
    pd.testing.assert_frame_equal(probed_metrics.drop(columns="run_id"), metrics.drop(columns="run_id"))
    assert bnbench.load_probes("plain").empty and not Path("results/plain/probes.csv").exists()
    readings = bnbench.load_probes("probed")
    assert readings["run_id"].drop_duplicates().tolist() == probed["run_id"].tolist()
    for _, own in readings.groupby("run_id"):
        assert own["step"].drop_duplicates().tolist() == [0, *metrics["step"].unique()]
        assert set(own["probe"]) == {"gradient_flow", "statistics_gap"}


def test_show_tells_of_the_readings(program: Program):
    assert program("run", "--name", "one", *SMALL, CHOSEN, "probe_every=2").code == 0
    identity = next(Path("results/one/specs").glob("*.yaml")).stem
    shown = program("show", identity)
    assert shown.code == 0 and "bnbench.load_probes('one')" in shown.out
    assert re.search(r"gradient_flow +2 +18\n", shown.out), shown.out
    again = program("run", "--name", "two", "--from", f"results/one/specs/{identity}.yaml")
    assert again.code == 0
    pd.testing.assert_frame_equal(bnbench.load_probes("two"), bnbench.load_probes("one"))


def test_runs_with_and_without_probes_are_different_runs_of_one_sweep(program: Program):
    assert program("sweep", "--name", "both", *SMALL, "probes=[],[memory]", "--launcher", "inline").code == 0
    runs, _ = bnbench.load("both")
    assert runs["probes"].fillna("").tolist() == ["", "memory"]
    assert bnbench.load_probes("both")["run_id"].unique().tolist() == [runs["run_id"][1]]
