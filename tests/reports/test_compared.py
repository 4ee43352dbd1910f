"""Runs of two sweeps are compared only where they differ in nothing but what is compared."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bnbench.reports import VIEWS, Options, ReportView, plain_text

from ..analysis.frames import DEFAULTS, metrics_of, runs_of
from .reading import all_notes, lookup

OTHERS: dict[str, tuple[Any, Any]] = {
    "dataset": ("digits", "mnist"),
    "dataset.augment": (False, True),
    "data": ("0a1b", "2c3d"),
    "domains": ("", "plain contrast_0.4"),
    "batches": ("shuffled", "alternating"),
    "model": ("mlp", "cnn"),
    "model.depth": (2, 5),
    "epochs": (5, 20),
    "steps": (None, 400),
    "schedule": ("constant", "cosine"),
    "optim.momentum": (0.9, 0.0),
    "split.train": (None, 100),
}
"""By setting, its value in the first sweep and in the second one."""


def sweeps(name: str, values: tuple[Any, Any], **compared: tuple[Any, Any]) -> pd.DataFrame:
    """Two sweeps of two norms, of which ``compared`` settings differ, and one more if there is a name."""
    others: list[dict[str, Any]] = [
        {"sweep": sweep, **{key: pair[at] for key, pair in compared.items()}, **({name: values[at]} if name else {})}
        for at, sweep in enumerate(("first", "second"))
    ]
    arms = [{"norm": norm} for norm in ("none", "batch")] if "norm" not in compared else [{}]
    return runs_of(*({**other, **arm, "seed": seed} for other in others for arm in arms for seed in (0, 1)))


def shown(view: str, runs: pd.DataFrame, **options: Any) -> ReportView:
    metrics = metrics_of({run: [0.5, 0.9] for run in runs["run_id"]})
    return VIEWS[view](runs, metrics, Options(targets=(0.8,), **options))


def texts(view: ReportView, title: str) -> set[str]:
    return {
        plain_text(row[title])
        for row in lookup(view.tables[-1] if title == "usable range" else view.tables[0]).values()
    }


@pytest.mark.parametrize("name", OTHERS)
def test_a_drop_is_between_cells_that_differ_in_the_batch_size_alone(name: str) -> None:
    runs = sweeps(name, OTHERS[name], batch_size=(16, 64))
    view = shown("small-batch", runs, baseline={"norm": "none"})
    assert texts(view, "drop 64 to 16") == {"-"} and texts(view, "vs baseline") == {"baseline", "n/a"}
    assert "with all other settings equal" in all_notes(view)


def test_a_drop_across_sweeps_is_one() -> None:
    view = shown("small-batch", sweeps("", ("", ""), batch_size=(16, 64)), baseline={"norm": "none"})
    assert texts(view, "drop 64 to 16") == {"0.0 ± 0.0"} and texts(view, "vs baseline") == {"baseline", "0.0 ± 0.0"}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(("view", "title"), [("learning-rate", "usable range"), ("convergence", "lr")])
def test_a_learning_rate_is_chosen_among_runs_that_differ_in_it_alone(name: str, view: str, title: str) -> None:
    apart = shown(view, sweeps(name, OTHERS[name], lr=(0.01, 0.1)))
    tables = apart.tables if name == "dataset" and view == "convergence" else apart.tables[-1:]
    assert sum(len(table.rows) for table in tables) == 4
    assert sum(len(table.rows) for table in shown(view, sweeps("", ("", ""), lr=(0.01, 0.1))).tables[-1:]) == 2


@pytest.mark.parametrize("name", OTHERS)
def test_a_baseline_is_at_equal_other_settings(name: str) -> None:
    runs = sweeps(name, OTHERS[name], norm=("none", "batch"))
    both = pd.concat([runs, runs.assign(batch_size=16, run_id="s" + runs["run_id"])])
    for view, title, trained in (
        ("convergence", "speed-up", runs),
        ("convergence", "speed-up", both),
        ("small-batch", "vs baseline", both),
    ):
        found = shown(view, trained, baseline={"norm": "none"})
        assert {
            plain_text(row[title]) for table in found.tables[:2] for row in lookup(table).values() if title in row
        } == {
            "baseline",
            "n/a",
        }
        (said,) = [line for line in all_notes(found).splitlines() if line.startswith("n/a: norm=none has no runs with")]
        assert name in said


def test_a_baseline_in_another_sweep_is_one() -> None:
    found = shown("convergence", sweeps("", ("", ""), norm=("none", "batch")), baseline={"norm": "none"})
    assert texts(found, "speed-up") == {"baseline", "1.0x"}


@pytest.mark.parametrize(
    ("option", "other", "value", "second"),
    [
        ("model.depth", "model.width", (32, 32), "1.0x"),
        ("model.depth", "model.width", (32, 64), "n/a"),
        ("norm.groups", "norm.affine", ("both", "none"), "n/a"),
        ("split.train", "split.validation", (0.1, 0.3), "n/a"),
    ],
)
def test_an_option_as_baseline_leaves_the_others_equal(option: str, other: str, value: Any, second: str) -> None:
    runs = sweeps(other, value, **{option: (2, 4)}, norm=("group", "group"), model=("mlp", "mlp"))
    found = shown("convergence", runs, baseline={option: 2})
    assert [plain_text(row["speed-up"]) for row in lookup(found.tables[0]).values()] == ["baseline", second]


def test_another_component_has_other_options() -> None:
    runs = sweeps("norm.momentum", (None, 0.1), **{"norm.groups": (4, None)}, norm=("group", "batch"))
    for baseline in ({"norm": "group"}, {"norm": "batch"}, {"norm": "group", "norm.groups": 4}):
        assert texts(shown("convergence", runs, baseline=baseline), "speed-up") == {"baseline", "1.0x"}


ARMS = {"norm": ("none", "batch", "rms"), "norm.eps": (None, 1e-5, 1e-6), "norm.affine": (None, "both", "scale")}
UNLIKE = [
    ({"epochs": (5, 5, 1)}, {}, "epochs"),
    ({"epochs": (5, 5, 1), "batch_size": (16, 16, 64)}, {}, "batch_size and epochs"),
    ({"model": ("mlp", "mlp", "cnn"), "model.depth": (3, 3, 2)}, {}, "model and model.depth"),
    ({"epochs": (5, 5, 1)}, {"norm": ("none", "none"), "epochs": (2, 3)}, "epochs"),
]


@pytest.mark.parametrize(("settings", "baselines", "names"), UNLIKE)
def test_only_settings_that_differ_from_the_nearest_baseline_are_named(
    settings: dict[str, Any], baselines: dict[str, Any], names: str
) -> None:
    tables = [pd.DataFrame({**DEFAULTS, **arms}) for arms in ({**ARMS, **settings}, baselines) if arms]
    runs = pd.concat(tables, ignore_index=True).assign(run_id=lambda table: "r" + table.index.astype(str))
    notes = all_notes(shown("convergence", runs, baseline={"norm": "none"})).splitlines()
    said = [line for line in notes if line.startswith("n/a: norm=none has no runs with")]
    assert said == [f"n/a: norm=none has no runs with the row's {names}."]
