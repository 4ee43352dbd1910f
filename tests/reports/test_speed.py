"""Ten thousand runs with fifty evaluations each are reported within seconds."""

import itertools
import time

import numpy as np
import pandas as pd
import pytest

from bnbench.reports import report

NORMS = ["none", "batch", "group", "layer", "instance"]


def big_sweep() -> tuple[pd.DataFrame, pd.DataFrame]:
    random = np.random.default_rng(0)
    rates = np.geomspace(1e-3, 3, 10).tolist()
    cells = itertools.product(NORMS, ["cnn", "mlp"], ["digits", "mnist"], [4, 8, 16, 32, 64], rates, range(10))
    runs = pd.DataFrame(cells, columns=["norm", "model", "dataset", "batch_size", "lr", "seed"])
    runs.insert(0, "run_id", [f"{number:012x}" for number in range(len(runs))])
    options = {f"model.option{at}": np.where(runs["model"] == "cnn", float(at), np.nan) for at in range(30)}
    status = np.where(random.random(len(runs)) < 0.05, "diverged", "completed")
    accuracy = random.random((len(runs), 2))
    runs = pd.concat([runs, pd.DataFrame(options)], axis=1).assign(status=status, steps_done=5000, classes=10)
    runs = runs.assign(val_accuracy=accuracy[:, 0], test_accuracy=accuracy[:, 1])
    step = np.tile(np.arange(1, 51), len(runs))
    metrics = pd.DataFrame({"run_id": np.repeat(runs["run_id"].to_numpy(), 50), "step": step, "epoch": step / 1.0})
    return runs, metrics.assign(examples=64 * step, val_accuracy=random.random(len(step)))


@pytest.mark.slow
@pytest.mark.parametrize("lr", ["best", "all"])
def test_half_a_million_evaluations(lr: str) -> None:
    runs, metrics = big_sweep()
    assert (len(runs), len(metrics)) == (10_000, 500_000)
    start = time.perf_counter()
    report(runs, metrics, baseline="norm=none", lr=lr)
    assert time.perf_counter() - start < 15
