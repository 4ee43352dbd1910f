"""The page on comparisons recomputes verdicts from tables alone; they are those of the dossier."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bnbench.stats import Claim, decide_together
from bnbench.study.questions import load_questions, question_names
from tests.conftest import Program
from tests.products import long

PAGE = (Path(__file__).parents[2] / "docs/comparisons.md").read_text().partition("## Recompute a verdict")[2]
SMALLEST = {
    reading.short: reading.smallest_effect for one in load_questions(question_names()) for reading in one.readings
}
Number = tuple[float, ...]


def _example(name: str) -> dict[str, Any]:
    """The names that the example of the page defines, executed as a script or as a module."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    names: dict[str, Any] = {"__name__": name}
    exec(compile(example, "comparisons.md", "exec"), names)
    return names


def _dossier(file: str) -> pd.DataFrame:
    """Of each reading the numbers that its verdict rests on, and the verdict."""
    lines = pd.read_csv(file)
    lines = lines[lines["view"] == "How it was decided"]
    lines = lines.assign(head=lines["table"].str.partition(":")[0].str.partition(",")[0])
    cells = lines.set_index(["head", "column"])
    return pd.DataFrame(
        {
            "effect": cells["value"].xs("effect", level="column"),
            "low": cells["low"].xs("effect", level="column"),
            "high": cells["high"].xs("effect", level="column"),
            "p": cells["value"].xs("p", level="column"),
            "adjusted": cells["value"].xs("adjusted", level="column"),
            "verdict": cells["text"].xs("verdict", level="column"),
        }
    )


def _runs(question: str) -> pd.DataFrame:
    (file,) = Path("results").glob(f"study-{question}-smoke-*/runs.csv")
    return pd.read_csv(file, dtype={"run_id": str}).query("seed < 1000")


def _gains(runs: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    by_arm = runs.pivot(index="seed", columns="norm", values="test_accuracy")
    return (by_arm["batch"] - by_arm["layer"]).to_numpy()


@long
def test_verdicts_from_tables_are_those_of_the_dossier(program: Program) -> None:
    """The example as it is printed, and its parts on the other differences of accuracies."""
    (command,) = re.findall(r"```sh\nbnbench (.*)\n```", PAGE)
    asked = program(*shlex.split(command))
    assert asked.code == 0, asked.err
    told, printed = _dossier("batch.csv"), io.StringIO()
    with contextlib.redirect_stdout(printed):
        names = _example("__main__")
    found = names["table"]
    assert printed.getvalue().splitlines()[-1].split()[-1] == found["verdict"].iloc[-1]
    ratio = np.exp(-found.loc["steps to 90%", ["effect", "high", "low"]].astype(float))
    _alike(
        told.loc["steps to 90%"],
        {**found.loc["steps to 90%"], **dict(zip(("effect", "low", "high"), ratio, strict=True))},
    )
    _alike(told.loc["accuracy"], found.loc["accuracy"])
    assert {*told.loc[["steps to 90%", "accuracy"], "verdict"]} == {"better"}

    few, batches, shuffled = _runs("regularization"), _runs("small_batch"), _runs("non_stationary_batches")
    by_size = {size: _gains(batches[batches["batch_size"] == size]) for size in (2, 64)}
    plain, mixed = shuffled[shuffled["domains"].isna()], shuffled[shuffled["domains"].notna()]
    cells = {
        (kind, way): _gains(runs[runs["batches"] == way])
        for kind, runs in (("plain", plain), ("mixed", mixed))
        for way in runs["batches"].unique()
    }
    nothing = (0.0, 0.0, 0.0, 1.0, 1.0)  # no run comes to the training loss of the gap
    assert told.loc["gap", "p"] == 1
    questions = {
        "regularization": {"few images": _gains(few), "gap": None},
        "small_batch": {"batch 64 to 2": by_size[2] - by_size[64]},
        "non_stationary_batches": {
            "single-class batches": cells["plain", "single_class"] - cells["plain", "shuffled"],
            "alternating domains": cells["mixed", "alternating"] - cells["mixed", "shuffled"],
        },
    }
    for question, readings in questions.items():
        rows = [
            nothing if gains is None else names["mean"](gains, SMALLEST[reading], question)
            for reading, gains in readings.items()
        ]
        table = pd.DataFrame(rows, index=list(readings), columns=["effect", "low", "high", "p", "equivalence"])
        table["adjusted"], table["equivalence"] = names["holm"](table["p"]), names["holm"](table["equivalence"])
        for reading in [one for one, gains in readings.items() if gains is not None]:
            row = table.loc[reading]
            verdict = names["verdict"](row["effect"], row["adjusted"], row["equivalence"], SMALLEST[reading])
            _alike(told.loc[reading], {**row, "verdict": verdict})


def _alike(told: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    assert found["verdict"] == told["verdict"]
    for column in ("effect", "low", "high", "p", "adjusted"):
        assert found[column] == pytest.approx(told[column], rel=1e-5, abs=1e-9), column


@pytest.mark.parametrize("effect", [-1.5, -0.2, 0.0, 0.4, 2.0])
def test_the_numbers_of_the_page_are_those_of_any_differences(effect: float) -> None:
    """With ties, skewness and unknown bounds among them, and with both p."""
    names, generator = _example("a module"), np.random.default_rng(7)
    for shape in (np.round, np.exp, np.negative):
        gains = shape(generator.normal(0, 1, names["N"])) + effect + 0.01 * np.arange(names["N"])
        _decided(names["mean"](gains, 0.3, "accuracy"), Claim.of(gains, 0.3), b"accuracy")
        most = np.where(generator.random(names["N"]) < 0.3, np.inf, gains)
        least = np.where(generator.random(names["N"]) < 0.3, -np.inf, gains)
        for low, high in ((gains, most), (least, gains), (gains, gains)):
            _decided(names["median"](low, high, 0.3), Claim(low, high, 0.3, "median"), b"")


def _decided(found: Number, claim: Claim, name: bytes) -> None:
    (decision,) = decide_together([claim], np.random.default_rng([0, *name]))
    assert decision.interval is not None
    interval = (decision.interval.low, decision.interval.high)
    expected = (decision.effect, *interval, decision.raw_p, decision.raw_equivalence_p)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-9)
    verdict: Callable[..., str] = _example("a module")["verdict"]
    told = {"supported": "better", "contradicted": "worse"}.get(decision.verdict, decision.verdict)
    assert verdict(found[0], found[3], found[4], claim.smallest_effect) == told
