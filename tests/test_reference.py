"""The reference is what the program says of itself today."""

import re
import runpy
from pathlib import Path

from bnbench.spec import flatten
from bnbench.store.columns import IDENTITY, METRICS, OUTCOME, PROBES, TRIAL
from tests.conftest import make_spec

DOCS = Path(__file__).parents[1] / "docs"
REFERENCE = (DOCS / "reference.md").read_text(encoding="utf-8")


def test_the_reference_is_up_to_date() -> None:
    """``make schema`` renews it."""
    written = runpy.run_path(str(DOCS / "reference.py"))
    assert REFERENCE == written["markdown"]()
    assert set(written["COLUMNS"]) == {*IDENTITY, "plugin", "data", TRIAL, *OUTCOME, *METRICS, *PROBES}


def test_every_column_of_a_run_is_told() -> None:
    """As a setting or as a column; options of the choices are tested by the settings themselves."""
    _, settings, columns = re.split(r"^## (?:Settings|Columns)$", REFERENCE, flags=re.M)
    told = set(re.findall(r"^\| `([\w.]+)` \|", settings + columns.partition("### metrics.csv")[0], flags=re.M))
    assert {*IDENTITY, *flatten(make_spec()), TRIAL, *OUTCOME} <= told


def test_losses_of_an_evaluation_are_not_told_as_those_of_the_end() -> None:
    runs, metrics, _ = re.split(r"^### (?:metrics|probes)\.csv$", REFERENCE.partition("### runs.csv")[2], flags=re.M)
    for column in ("val_loss", "val_accuracy"):
        (of_run,), (of_evaluation,) = (
            re.findall(rf"^\| `{column}` \| (.*) \|$", part, flags=re.M) for part in (runs, metrics)
        )
        assert of_run.endswith("on the validation set, at the end")
        assert of_evaluation.endswith("on the validation set, at this evaluation")
