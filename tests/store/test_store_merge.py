"""Whatever attempts at runs stand in tables and segments, in whatever order: one row each, and the right one."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bnbench.store import FAILURES, RESULTS
from bnbench.store.state import Row, merge

TABLE = Path("metrics.csv")
RUNS = st.sampled_from(["a", "b", "c"])
TABLE_STATUS = st.sampled_from(["planned", *sorted(RESULTS), *sorted(FAILURES)])
SEGMENT_STATUS = st.sampled_from(["running", "failed", "out_of_memory", *sorted(RESULTS)])
TABLES = st.dictionaries(RUNS, TABLE_STATUS).map(
    lambda runs: [make_row(run, status, "00", "table") for run, status in runs.items()]
)
ATTEMPTS = st.lists(st.tuples(RUNS, SEGMENT_STATUS, st.sampled_from("xyz")), max_size=12)


def make_row(run: str, status: str, time: str, host: str) -> Row:
    return {"run_id": run, "status": status, "finished_at": "" if status == "running" else time, "host": host}


def segments_of(attempts: list[tuple[str, str, str]]) -> list[tuple[Path, Row]]:
    return [
        (Path(file), make_row(run, status, f"{time:02d}", f"{file}{time}"))
        for time, (run, status, file) in enumerate(attempts, 1)
    ]


@settings(deadline=None)
@given(table=TABLES, attempts=ATTEMPTS)
def test_a_result_counts_most_then_a_failure_then_what_is_later(
    table: list[Row], attempts: list[tuple[str, str, str]]
) -> None:
    segments = segments_of(attempts)
    state = merge(table, segments, TABLE)
    assert list(state.rows) == list(dict.fromkeys([row["run_id"] for row in table] + list(state.rows)))
    assert (
        state.rows.keys() == state.source.keys() == {row["run_id"] for row in table} | {run for run, _, _ in attempts}
    )
    for run, row in state.rows.items():
        before = [(TABLE, other) for other in table if other["run_id"] == run]
        now = [(path, other) for path, other in segments if other["run_id"] == run]
        results = [pair for pair in now if pair[1]["status"] in RESULTS]
        failures = [pair for pair in now if pair[1]["status"] in FAILURES]
        old_result = [pair for pair in before if pair[1]["status"] in RESULTS]
        wins = (results or old_result or failures or now or before)[-1]
        if wins[1]["status"] == "running":
            assert row["status"] == "running"
        else:
            assert (state.source[run], row) == wins


@settings(deadline=None)
@given(table=TABLES, attempts=ATTEMPTS)
def test_merging_segments_that_the_table_has_already_changes_nothing(
    table: list[Row], attempts: list[tuple[str, str, str]]
) -> None:
    segments = segments_of(attempts)
    once = merge(table, segments, TABLE)
    joined = [row | {"status": row["status"].replace("running", "interrupted")} for row in once.rows.values()]
    assert merge(joined, segments, TABLE) == once


@settings(deadline=None)
@given(table=TABLES, attempts=ATTEMPTS, data=st.data())
def test_the_order_of_segments_does_not_matter(
    table: list[Row], attempts: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    segments = segments_of(attempts)
    order = data.draw(st.permutations("xyz"))
    shuffled = sorted(segments, key=lambda item: order.index(item[0].name))
    state, other = merge(table, segments, TABLE), merge(table, shuffled, TABLE)
    for run, row in state.rows.items():
        assert row["status"] == other.rows[run]["status"]
        assert row["status"] == "running" or row == other.rows[run]
