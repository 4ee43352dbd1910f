"""Scorecards as files: nothing that was decided is replaced by less."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bnbench.errors import InvalidRequest
from bnbench.notices import heard
from bnbench.study import Row, as_table, check_files, names_of_all, scorecard, scorecard_files, write
from tests.store.test_store_faults import Crash, crash_at
from tests.study.test_scorecards import NOISE, findings, study

GROUPS = {("batch", "all"): 0.95 + NOISE, ("none", "all"): 0.90 + NOISE[::-1]}
COMMAND = "bnbench study run mine.yaml"


@pytest.fixture
def decided(tmp_path: Path) -> list[Row]:
    """A claim that ten seeds support."""
    rows = scorecard([findings(study(tmp_path), GROUPS)])
    assert rows[0].decision.verdict == "supported" and rows[0].decision.n == 10
    return rows


def named(row: Row, study: str) -> Row:
    return replace(row, study=study)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("study-")}


def written(rows: list[Row], folder: Path, *changes: str) -> tuple[Path, list[str]]:
    """Where the table is, and what was noted."""
    told: list[str] = []
    with heard(told.append):
        table, _ = write(rows, "cpu", folder, COMMAND, changes)
    return table, told


@pytest.mark.parametrize(
    ("studies", "changes", "name"),
    [
        (lambda: names_of_all(), (), "study-scorecard-cpu"),
        (lambda: names_of_all()[::-1], (), "study-scorecard-cpu"),
        (lambda: names_of_all()[1:], (), None),
        (lambda: ["memory"], (), "study-scorecard-cpu-memory"),
        (lambda: ["memory", "convergence"], (), "study-scorecard-cpu-convergence+memory"),
        (lambda: ["convergence", "memory"], (), "study-scorecard-cpu-convergence+memory"),
        (lambda: ["convergence"], ("epochs=3",), None),
        (lambda: [f"study-{number}" for number in range(99)], (), None),
        (lambda: [f"study-{number}" for number in range(98)], (), None),
    ],
)
def test_each_set_of_studies_has_files_of_its_own(tmp_path: Path, decided: list[Row], studies, changes, name) -> None:
    others, _ = written([named(decided[0], one) for one in names_of_all()], tmp_path)
    before = content(tmp_path)
    table, told = written([named(decided[0], one) for one in studies()], tmp_path, *changes)
    assert told == [] and len(table.name) < 255
    assert table.stem == name if name else table != others
    assert name == "study-scorecard-cpu" or before.items() <= content(tmp_path).items()
    assert pd.read_csv(table)["study"].tolist() == studies()


def test_names_of_long_sets_differ(tmp_path: Path) -> None:
    sets = [[f"study-{number}" for number in range(last)] for last in (97, 98, 99)]
    assert len({scorecard_files(studies, "cpu", tmp_path) for studies in sets}) == 3


def test_the_same_again_keeps_one_pair(tmp_path: Path, decided: list[Row]) -> None:
    table, _ = written(decided, tmp_path)
    before = table.read_bytes()
    _, told = written(decided, tmp_path)
    assert told == [] and set(content(tmp_path)) == {table.name, table.with_suffix(".md").name}
    assert table.read_bytes() == before


def undecided(row: Row, n: int = 10) -> Row:
    return replace(row, decision=replace(row.decision, verdict="inconclusive", n=n, reason="too few"))


LESS: dict[str, tuple[Any, str]] = {
    "undecided": (lambda row: [undecided(row)], "decides mine, accuracy (supported, 10 seeds), which is inconclusive"),
    "seeds": (lambda row: [replace(row, decision=replace(row.decision, n=6))], "which is supported with 6 seeds now"),
    "claim": (lambda row: [replace(row, claim=replace(row.claim, name="other"))], "which is not asked now"),
}


@pytest.mark.parametrize("less", LESS)
def test_less_is_written_beside_what_was_decided(tmp_path: Path, decided: list[Row], less: str) -> None:
    change, says = LESS[less]
    table, _ = written(decided, tmp_path)
    first = content(tmp_path)
    rows = change(decided[0])
    _, told = written(rows, tmp_path)
    (note,) = told
    assert str(table) in note and says in note and note.endswith(f"kept as {table.with_name(table.stem)}-earlier-1.csv")
    assert (tmp_path / f"{table.stem}-earlier-1.csv").read_bytes() == first[table.name]
    assert (tmp_path / f"{table.stem}-earlier-1.md").read_bytes() == first[f"{table.stem}.md"]
    assert pd.read_csv(table)["n"].tolist() == as_table(rows)["n"].tolist()
    _, told = written(rows, tmp_path)
    assert told == []
    written(decided, tmp_path)
    written(rows, tmp_path)
    assert (tmp_path / f"{table.stem}-earlier-1.csv").read_bytes() == first[table.name]
    earlier = {path.name for path in tmp_path.glob("*-earlier-*")}
    assert {f"{table.stem}-earlier-{number}{end}" for number in (1, 2) for end in (".csv", ".md")} <= earlier


@pytest.mark.parametrize("more", ["decided", "seeds", "other verdict"])
def test_more_takes_the_place_of_less(tmp_path: Path, decided: list[Row], more: str) -> None:
    (row,) = decided
    contradicted = replace(row, decision=replace(row.decision, verdict="contradicted"))
    earlier, later = {
        "decided": (undecided(row, 20), row),
        "seeds": (replace(row, decision=replace(row.decision, n=6)), row),
        "other verdict": (row, contradicted),
    }[more]
    written([earlier], tmp_path)
    table, told = written([later], tmp_path)
    assert told == [] and len(content(tmp_path)) == 2
    assert pd.read_csv(table)["verdict"].tolist() == [later.decision.verdict]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table: b"", "is damaged (No columns"),
        (lambda table: bytes(range(256)), "is damaged ("),
        (lambda table: table[:-20], "is damaged (its end is missing)"),
        (lambda table: table.replace(b"supported", b"proved", 1), "is damaged (a verdict"),
        (lambda table: table.replace(b",10,", b",ten,", 1), "is damaged (a verdict or a number of seeds"),
        (lambda table: table.replace(b"equivalence_p,", b"", 1), "has other columns, as another version writes"),
        (lambda table: b"study,claim,verdict\nmine,accuracy,supported\n", "has other columns"),
    ],
    ids=["empty", "bytes", "cut", "verdict", "seeds", "column", "older"],
)
def test_what_cannot_be_read_is_kept(tmp_path: Path, decided: list[Row], change: Any, says: str) -> None:
    table, _ = written(decided, tmp_path)
    table.write_bytes(change(table.read_bytes()))
    before = table.read_bytes()
    _, told = written(decided, tmp_path)
    assert len(told) == 1 and says in told[0]
    assert (tmp_path / f"{table.stem}-earlier-1.csv").read_bytes() == before
    assert pd.read_csv(table)["verdict"].tolist() == ["supported"]


def test_a_text_without_its_table_is_kept(tmp_path: Path, decided: list[Row]) -> None:
    table, _ = written(decided, tmp_path)
    text = table.with_suffix(".md").read_bytes()
    table.unlink()
    _, told = written([undecided(decided[0])], tmp_path)
    assert len(told) == 1 and "has no table beside it" in told[0]
    assert (tmp_path / f"{table.stem}-earlier-1.md").read_bytes() == text


def test_a_folder_in_place_of_a_file_is_refused_before_anything_is_trained(tmp_path: Path, decided: list[Row]) -> None:
    paths = scorecard_files(["mine"], "cpu", tmp_path)
    check_files(paths)
    for path in paths:
        path.mkdir()
    with pytest.raises(InvalidRequest) as caught:
        check_files(paths)
    assert caught.value.problems == tuple(f"{path}: must be a file, and is a folder; move it away" for path in paths)


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path, decided: list[Row]) -> None:
    """As a committed scorecard that a link in the results folder leads to."""
    reference = tmp_path / "reference"
    reference.mkdir()
    kept, _ = written(decided, reference)
    before = kept.read_bytes()
    for rows in (decided, [undecided(decided[0])]):
        link = tmp_path / kept.name
        link.unlink(missing_ok=True)
        link.symlink_to(kept)
        table, _ = written(rows, tmp_path)
        assert table == link and not table.is_symlink() and kept.read_bytes() == before


@pytest.mark.parametrize("after", [False, True])
def test_writing_that_stops_anywhere_loses_nothing(tmp_path: Path, decided: list[Row], after: bool) -> None:
    for number in count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        table, _ = written(decided, folder)
        first = content(folder)
        try:
            with crash_at(number, after):
                write([undecided(decided[0])], "cpu", folder, COMMAND)
        except Crash:
            pass
        else:
            break
        assert set(first.values()) <= set(content(folder).values())
        written([undecided(decided[0])], folder)
        assert set(first.values()) <= set(content(folder).values())
        assert pd.read_csv(table)["verdict"].tolist() == ["inconclusive"]
    assert number > 6
