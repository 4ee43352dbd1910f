"""The order of metrics.csv follows from the sweep alone, and no row stands in it twice."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bnbench.errors import Damaged
from bnbench.spec import run_id
from bnbench.store import Segment, enter_runs, join, load_metrics
from bnbench.store.columns import METRICS
from tests.cli.finished import finish
from tests.store.sweeps import evaluations, final, make_spec

SPECS = [make_spec(seed) for seed in range(3)]


def test_metrics_stand_in_the_order_of_the_runs_whoever_wrote_them_when(tmp_path: Path) -> None:
    tables = []
    for name, order in (("one", SPECS), ("two", SPECS[::-1])):
        enter_runs(tmp_path / name, SPECS, {}, {})
        for spec in order:
            with Segment(tmp_path / name, f"worker{spec.seed % 2 if name == 'one' else 0}") as segment:
                segment.evaluation(evaluations(spec)[:: 1 if name == "one" else -1])
                segment.finish([final(spec)])
        loaded = load_metrics(tmp_path / name)
        join(tmp_path / name)
        pd.testing.assert_frame_equal(load_metrics(tmp_path / name), loaded)
        tables.append((tmp_path / name / "metrics.csv").read_bytes())
    assert tables[0] == tables[1]
    assert load_metrics(tmp_path / "one")["run_id"].drop_duplicates().tolist() == [run_id(spec) for spec in SPECS]
    assert load_metrics(tmp_path / "one")["step"].tolist() == [1, 2, 3] * 3


def unchanged(lines: list[str]) -> list[str]:
    return lines


def with_quotes(lines: list[str]) -> list[str]:
    """Around the last cell of each line."""
    return [lines[0], *(re.sub(r"[^,]*$", r'"\g<0>"', line, count=1) for line in lines[1:])]


def in_reverse(lines: list[str]) -> list[str]:
    return [lines[0], *lines[:0:-1]]


def written_twice(lines: list[str]) -> list[str]:
    return [*lines, *lines[1:]]


def with_other_columns(lines: list[str]) -> list[str]:
    """As an older version wrote them: the columns in another order."""
    return [",".join([cells[1], cells[0], *cells[2:]]) for cells in (line.split(",") for line in lines)]


@pytest.mark.parametrize(
    "edit", [unchanged, with_quotes, in_reverse, written_twice, with_other_columns], ids=lambda edit: edit.__name__
)
def test_a_table_says_the_same_however_its_lines_stand(tmp_path: Path, edit: Callable[[list[str]], list[str]]) -> None:
    """Whether it is read at once or line by line."""
    finish(tmp_path, SPECS)
    expected, path = load_metrics(tmp_path), tmp_path / "metrics.csv"
    assert expected["step"].tolist() == [1, 2, 3] * 3
    assert expected["val_loss"].tolist() == [row["val_loss"] for spec in SPECS for row in evaluations(spec)]
    path.write_text("\n".join(edit(path.read_text().splitlines())) + "\n")
    pd.testing.assert_frame_equal(load_metrics(tmp_path), expected)


@pytest.mark.parametrize(
    ("cut", "says"),
    [
        (lambda text: text[:-1], "its end is missing"),
        (lambda text: text.replace(",", "", 1 + len(METRICS)), "its first line has no column"),
        (lambda text: text.rstrip("\n").rpartition(",")[0] + "\n", "instead of"),
        (lambda text: f"{text.rstrip()},1\n", "instead of"),
        (lambda text: text + text.splitlines()[0] + "\n", "is its first line again"),
        (lambda text: text.replace("\n", "\n\n", 2), "has 1 cell instead of"),
        (lambda text: re.sub(r"^(\w+),1,", r"\1,1.5,", text, count=1, flags=re.M), "step='1.5'"),
        (lambda text: re.sub(r"^(\w+),1,", r"\1,-1,", text, count=1, flags=re.M), "step='-1'"),
    ],
)
def test_a_table_that_is_not_as_it_was_written_is_refused(tmp_path: Path, cut: Callable[[str], str], says: str) -> None:
    finish(tmp_path, SPECS)
    path = tmp_path / "metrics.csv"
    path.write_text(cut(path.read_text()))
    with pytest.raises(Damaged, match=re.escape(says)):
        load_metrics(tmp_path)


def test_an_evaluation_that_was_written_twice_counts_once(tmp_path: Path) -> None:
    enter_runs(tmp_path, SPECS[:1], {}, {})
    with Segment(tmp_path, "one") as segment:
        segment.evaluation([row for row in evaluations(SPECS[0]) for _ in range(2)])
        segment.finish([final(SPECS[0])])
    for _ in range(2):
        assert load_metrics(tmp_path)["step"].tolist() == [1, 2, 3]
        join(tmp_path)
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0] == ",".join(METRICS)
