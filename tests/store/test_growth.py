"""What a worker writes elsewhere comes to the sweep's folder whole, in order, and once, however often it is sent."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest

from bnbench import store
from bnbench.errors import Gone
from bnbench.spec import run_id
from bnbench.store import growth
from tests.conftest import make_spec
from tests.products import long

SPECS = [make_spec("norm=none", f"seed={seed}") for seed in range(2)]
METRIC = {"step": 1, "epoch": 0.5, "examples": 8, "lr": 0.1, "train_loss": 1.0, "train_accuracy": 0.5}
RESULT = {"status": "completed", "steps_done": 2, "seconds": 1.0, "finished_at": "2026-01-01T00:00:00.000+00:00"}


def work(folder: Path, watcher: store.Watcher) -> list[store.Growth]:
    """The growth of a folder in which a worker trains two runs, taken after each thing that it writes."""
    taken: list[store.Growth] = []
    folder.mkdir()
    with store.Segment(folder, "session-other-1") as segment:
        segment.start(SPECS, {"engine": "stacked", "started_at": "2026-01-01T00:00:00.000+00:00"})
        taken += watcher.take()
        for step in (1, 2):
            segment.evaluation([{"run_id": run_id(spec), **METRIC, "step": step} for spec in SPECS])
            taken += watcher.take()
        segment.log(run_id(SPECS[0]), "a note\n")
        segment.weights(run_id(SPECS[0]), bytes(range(256)) * 40)
        segment.finish([{"run_id": run_id(spec), **RESULT} for spec in SPECS])
        taken += watcher.take()
    return taken


def content(folder: Path) -> dict[str, bytes]:
    parts = ("segments", "specs", "logs", "weights")
    return {str(path.relative_to(folder)): path.read_bytes() for part in parts for path in (folder / part).iterdir()}


@pytest.mark.parametrize("batch", [growth.BATCH, 1000, pytest.param(1, marks=long)])
def test_all_that_was_written_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(growth, "BATCH", batch)
    away, here = tmp_path / "away", tmp_path / "here"
    here.mkdir()
    taken = work(away, store.Watcher(away))
    assert sum(len(piece.content) for one in taken for piece in one) == sum(map(len, content(away).values()))
    for one in taken:
        store.put_down(here, one)
    assert content(here) == content(away)
    assert {row["status"] for row in store.segment_rows(here).values()} == {"completed"}


def test_what_is_sent_again_changes_nothing(tmp_path: Path) -> None:
    away, here = tmp_path / "away", tmp_path / "here"
    here.mkdir()
    taken = work(away, store.Watcher(away))
    for one in [*taken, *taken]:
        store.put_down(here, one)
    assert content(here) == content(away)


def test_a_final_row_comes_behind_what_it_vouches_for(tmp_path: Path) -> None:
    """A program that dies between any two pieces has no completed run without its evaluations and weights."""
    away = tmp_path / "away"
    pieces = [piece for one in work(away, store.Watcher(away)) for piece in one]
    for end in range(len(pieces) + 1):
        here = tmp_path / str(end)
        here.mkdir()
        for piece in pieces[:end]:
            store.put_down(here, (piece,))
        if any(row["status"] == "completed" for row in store.segment_rows(here).values()):
            assert content(here) == content(away)


@pytest.mark.parametrize("batch", [growth.BATCH, 1000])
def test_what_is_not_heard_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """Whoever asks stops after any part of it, as one to whom nothing can be told just then."""
    monkeypatch.setattr(growth, "BATCH", batch)
    away, here = tmp_path / "away", tmp_path / "here"
    here.mkdir()
    work(away, store.Watcher(away))
    watcher, heard = store.Watcher(away), 0
    while True:
        with closing(watcher.take()) as taken:
            parts = [one for one, _ in zip(taken, range(heard), strict=False)]
        for one in parts:
            store.put_down(here, one)
        if len(parts) < heard:
            break
        heard += 1
    assert content(here) == content(away) and not list(watcher.take())


def checkpoint(runs: tuple[str, ...], step: int) -> store.Checkpoint:
    return store.Checkpoint("stack", runs, "stacked", "cpu", store.current_version(), step)


@pytest.mark.parametrize("batch", [growth.BATCH, 1000])
def test_checkpoints_come_behind_the_results_that_were_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """After any piece the checkpoint is whole, one that was written, and of runs of which none has ended before it."""
    monkeypatch.setattr(growth, "BATCH", batch)
    away, here = tmp_path / "away", tmp_path / "here"
    away.mkdir(), here.mkdir()
    first, second = map(run_id, SPECS)
    watcher, bodies = store.Watcher(away), {1: bytes(5000), 2: bytes(range(256)) * 9}
    seen: list[tuple[int, bool]] = []

    def bring() -> None:
        for piece in (piece for one in watcher.take() for piece in one):
            store.put_down(here, (piece,))
            has_ended = store.segment_rows(here).get(first, {}).get("status") == "completed"
            steps = [one.step for _, one in store.list_checkpoints(here) if one is not None]
            for step in steps:
                assert store.read_checkpoint(here, "stack")[1] == bodies[step]
            seen.append((max(steps, default=0), has_ended))

    with store.Segment(away, "session-other-1") as segment:
        segment.start(SPECS, {"engine": "stacked", "started_at": "2026-01-01T00:00:00.000+00:00"})
        segment.checkpoint(checkpoint((first, second), 1), bodies[1])
        bring()
        segment.finish([{"run_id": first, **RESULT}])
        segment.checkpoint(checkpoint((second,), 2), bodies[2])
        bring()
        segment.finish([{"run_id": second, **RESULT}])
        store.remove_checkpoint(away, "stack")
        bring()
    assert list(dict.fromkeys(seen)) == [(0, False), (1, False), (1, True), (2, True), (0, True)]
    assert store.segment_rows(here)[second]["status"] == "completed"


def test_a_checkpoint_that_is_replaced_while_it_is_read_comes_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "BATCH", 100)
    away, here = tmp_path / "away", tmp_path / "here"
    away.mkdir(), here.mkdir()
    watcher, bodies = store.Watcher(away), {1: bytes(5000), 2: bytes(range(256)) * 9}
    with store.Segment(away, "one") as segment:
        segment.checkpoint(checkpoint(("a",), 1), bodies[1])
        for number, one in enumerate(watcher.take()):
            if number == 5:
                segment.checkpoint(checkpoint(("a",), 2), bodies[2])
            store.put_down(here, one)
        assert store.read_checkpoint(here, "stack") == (checkpoint(("a",), 1), bodies[1])
        for one in watcher.take():
            store.put_down(here, one)
    assert store.read_checkpoint(here, "stack") == (checkpoint(("a",), 2), bodies[2])
    there = tmp_path / "there"
    there.mkdir()
    for piece in store.luggage(here, "stack"):
        store.put_down(there, (piece,))
    assert store.read_checkpoint(there, "stack") == (checkpoint(("a",), 2), bodies[2])
    assert store.luggage(there, "another") == ()


def test_a_torn_line_waits_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    table, watcher = tmp_path / "segments/a.metrics.csv", store.Watcher(tmp_path)
    whole = b"".join(b"%d,%d\n" % (number, number**5) for number in range(200))
    got, cuts = b"", sorted(random.Random(0).sample(range(len(whole)), 20))
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        with table.open("ab") as stream:
            stream.write(whole[start:end])
        for piece in (piece for one in watcher.take() for piece in one):
            assert piece.start == len(got) and piece.content.endswith(b"\n")
            got += piece.content
    assert got == whole


def test_nothing_is_put_down_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(Gone):
        store.put_down(tmp_path / "gone", ())
