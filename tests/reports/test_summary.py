"""The sentences of a summary are true, also with one run, with none that finished, and where all diverged."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bnbench.reports import render, report

from ..analysis.frames import metrics_of, runs_of

NORMS = [
    {"norm": norm, "lr": lr, "batch_size": batch, "seed": seed, "val_accuracy": value, "test_accuracy": value - 0.01}
    for norm, top in (("batch", 0.95), ("none", 0.9))
    for batch in (4, 64)
    for lr, less in ((0.1, 0.0), (1.0, 0.3 if norm == "none" else 0.01))
    for seed in (0, 1)
    for value in [round(top - less + 0.01 * seed - (0.2 if norm == "batch" and batch == 4 else 0), 3)]
]
DIVERGED = {"status": "diverged", "val_accuracy": None, "test_accuracy": None}
CASES: dict[str, tuple[Sequence[Mapping[str, Any]], dict[str, Sequence[float]], tuple[str, ...]]] = {
    "norms": (
        [*NORMS, {"norm": "none", "lr": 10.0, "seed": 0, **DIVERGED}],
        {"r4": [0.5, 0.95], "r5": [0.5, 0.95], "r12": [0.2, 0.8], "r13": [0.2, 0.8]},
        (
            "The highest mean validation accuracy is that of batch_size=64 norm=batch: 95.5 ± 0.7% (2 seeds), 5.0"
            " points above batch_size=64 norm=none.",
            "The fastest to 94% validation accuracy: batch_size=64 norm=batch (200 steps in the median).",
            "The widest usable range of learning rates: batch_size=4 norm=batch and batch_size=64 norm=batch"
            " (at least 1.0 decades).",
            "Of test accuracy, norm=batch loses most from batch size 64 to 4: 20.0 ± 0.0 points, and norm=none least:"
            " 0.0 ± 0.0 points.",
            "Of 17 runs, 16 completed and 1 diverged; diverged: 1 with norm=none.",
        ),
    ),
    "batch sizes": (
        [{"norm": norm, "batch_size": batch, "val_accuracy": 0.9}
         for batch in (4, 16, 64) for norm in ("batch", "none")],
        {"r0": [0.9], "r1": [0.9], "r2": [0.5, 0.9], "r3": [0.9], "r4": [0.5, 0.9]},
        (
            "The highest mean validation accuracy is that of batch_size=4 norm=batch: 90.0% (1 seed), less than 0.1"
            " points above batch_size=4 norm=none.",
            "The fastest to 89% validation accuracy, with their median steps: at batch_size=4 all 2 rows (100); at"
            " batch_size=16 norm=none (100); at batch_size=64 norm=batch (200).",
            "No row loses 0.1 points of test accuracy or more from batch size 64 to 4.",
            "All 6 runs completed.",
        ),
    ),
    "models": (
        [{"model": model, "model.depth": depth, "val_accuracy": 0.9}
         for model, depth in (("mlp", 2), ("mlp", 3), ("cnn", 2))],
        {"r0": [0.5, 0.9], "r1": [0.9], "r2": [0.9]},
        (
            "The highest mean validation accuracy is that of model=cnn: 90.0% (1 seed), less than 0.1"
            " points above model=mlp depth=2.",
            "The fastest to 89% validation accuracy, with their median steps: at model=cnn (100); model=mlp depth=3"
            " (100).",
            "All 3 runs completed.",
        ),
    ),
    "one run": (
        [{}],
        {"r0": [0.5, 0.9]},
        (
            "The highest mean validation accuracy is that of the only row: 90.0% (1 seed).",
            "The fastest to 89% validation accuracy: the only row (200 steps in the median).",
            "The only run completed.",
        ),
    ),
    "no target reached": (
        [{"norm": "batch"}, {"norm": "none", "val_accuracy": 0.9}],
        {"r0": [0.5, 0.6], "r1": [0.5]},
        (
            "The highest mean validation accuracy is that of norm=batch: 90.0% (1 seed), less than 0.1 points above"
            " norm=none.",
            "No row reached 89% validation accuracy with most of its seeds.",
            "All 2 runs completed.",
        ),
    ),
    "nothing finished": (
        [{"status": "planned"}, {"status": "running", "seed": 1}, {"status": "interrupted", "seed": 2}],
        {},
        ("Of 3 runs, 1 is not trained yet, 1 is being trained and 1 was interrupted.",),
    ),
    "all diverged": (
        [{"norm": norm, "lr": lr, "batch_size": batch, **DIVERGED}
         for norm in ("batch", "none") for lr in (0.1, 1.0) for batch in (4, 64)],
        {"r0": [0.1]},
        (
            "No row has a usable range of learning rates that its seeds agree on.",
            "No row loses 0.1 points of test accuracy or more from batch size 64 to 4.",
            "All 8 runs diverged.",
        ),
    ),
    "data of one name": (
        [{"norm": norm, "dataset": "npz", "dataset.path": path, "val_accuracy": 0.9}
         for norm in ("batch", "none") for path in ("a.npz", "b.npz")],
        {"r0": [0.9], "r1": [0.5, 0.9], "r2": [0.5, 0.9], "r3": [0.9]},
        (
            "The highest mean validation accuracy is that of dataset=npz path=a.npz norm=batch: 90.0% (1 seed), less"
            " than 0.1 points above dataset=npz path=a.npz norm=none.",
            "The fastest to 89% validation accuracy, with their median steps: dataset=npz path=a.npz norm=batch (100);"
            " dataset=npz path=b.npz norm=none (100).",
            "All 4 runs completed.",
        ),
    ),
    "no runs": ([], {}, ()),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_sentences(case: str) -> None:
    lines, curves, sentences = CASES[case]
    shown = report(runs_of(*lines), metrics_of(curves))
    assert shown.summary == sentences


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("format", ["terminal", "markdown", "latex"])
def test_a_format_shows_the_summary_first(case: str, format: str) -> None:
    lines, curves, sentences = CASES[case]
    text = " ".join(render(report(runs_of(*lines), metrics_of(curves)), format).replace("\\", "").split())
    for sentence in sentences:
        assert " ".join(sentence.split()[:4]) in text


def test_the_baseline_is_what_the_best_row_is_compared_with() -> None:
    lines = [{"norm": norm, "val_accuracy": value} for norm, value in (("batch", 0.9), ("group", 0.88), ("none", 0.8))]
    metrics = metrics_of({"r0": [0.9], "r1": [0.88], "r2": [0.8]})
    first = report(runs_of(*lines), metrics, baseline="norm=none").summary[0]
    assert first.endswith("that of norm=batch: 90.0% (1 seed), 10.0 points above norm=none.")
    first = report(runs_of(*lines), metrics, baseline="norm=batch").summary[0]
    assert first.endswith("that of norm=batch: 90.0% (1 seed), 2.0 points above norm=group.")
