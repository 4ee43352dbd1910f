"""Removed sweeps and runs are in the trash, all of them, whenever the program dies, and come back as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from bnbench.errors import BnbenchError, InvalidRequest
from bnbench.spec import run_id
from bnbench.store import (
    TRASH,
    change_tag,
    checked_rows,
    empty_trash,
    find_trashed,
    is_sweep,
    load_metrics,
    load_probes,
    load_runs,
    load_sweeps,
    locked,
    read_history,
    read_tags,
    remove_runs,
    remove_sweep,
    rename_sweep,
    restore,
    sweep_folders,
    trashed,
    weights_path,
)
from bnbench.store.weights import write_weights
from tests.cli.finished import finish
from tests.conftest import RoomFor
from tests.store.dying import deaths
from tests.store.sweeps import expected_metrics, make_spec

SPECS = [make_spec(seed) for seed in range(4)]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    finish(tmp_path / "results/small", SPECS)
    return tmp_path / "results/small"


def contents(folder: Path) -> tuple[pd.DataFrame, ...]:
    """All that is known of the runs of a sweep, by run."""
    return tuple(
        load(folder).sort_values(list(columns), ignore_index=True)
        for load, columns in (
            (load_runs, ("run_id",)),
            (load_metrics, ("run_id", "step")),
            (load_probes, ("run_id", "step", "layer")),
        )
    )


def check_same(one: tuple[pd.DataFrame, ...], other: tuple[pd.DataFrame, ...]) -> None:
    for left, right in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(left, right)


def test_a_sweep_goes_and_comes_back_as_it_was(sweep: Path):
    before = contents(sweep)
    place = remove_sweep(sweep)
    assert not sweep.exists() and sweep_folders(sweep.parent) == [] and trashed(sweep.parent) == [place]
    assert place.parent == sweep.parent / ".trash" and place.name.startswith("small-2")
    assert restore(find_trashed(sweep.parent, "small")) == sweep
    check_same(contents(sweep), before)
    assert trashed(sweep.parent) == []


def test_runs_go_and_come_back_as_they_were(sweep: Path):
    before, identities = contents(sweep), list(checked_rows(sweep))
    (sweep / "logs").mkdir(exist_ok=True)
    (sweep / "logs" / f"{identities[2]}.log").write_text("Boom\n")
    write_weights(sweep, identities[2], b"\xff\n")
    change_tag(sweep, identities[1:3], "odd")
    place = remove_runs(sweep, identities[1:3])
    assert list(checked_rows(sweep)) == [identities[0], identities[3]]
    assert list(checked_rows(place)) == identities[1:3] and is_sweep(place)
    assert sorted(path.stem for path in (sweep / "specs").iterdir()) == sorted([identities[0], identities[3]])
    assert set(load_metrics(sweep)["run_id"]) == {identities[0], identities[3]}
    assert not weights_path(sweep, identities[2]).exists()
    assert read_history(sweep)[-1]["removed"] == identities[1:3]
    load_sweeps([sweep])
    assert restore(place) == sweep and trashed(sweep.parent) == []
    check_same(contents(sweep), before)
    assert (sweep / "logs" / f"{identities[2]}.log").read_text() == "Boom\n"
    assert weights_path(sweep, identities[2]).read_bytes() == b"\xff\n"
    assert read_tags(sweep) == {identity: ["odd"] for identity in identities[1:3]}
    assert len(list((sweep / "specs").iterdir())) == 4


def test_runs_come_back_without_their_sweep(sweep: Path):
    identities = list(checked_rows(sweep))
    place = remove_runs(sweep, identities[:1])
    shutil.rmtree(sweep)
    assert list(checked_rows(restore(place))) == identities[:1]


def test_a_run_that_is_gone_is_still_missed_elsewhere(sweep: Path):
    """Removing one run excuses the loss of no other."""
    identities = list(checked_rows(sweep))
    remove_runs(sweep, identities[:1])
    lines = (sweep / "runs.csv").read_text().splitlines(keepends=True)
    (sweep / "runs.csv").write_text("".join(lines[:-1]))
    with pytest.raises(BnbenchError, match=r"it has 2 runs, but sweep.yaml says 3 and metrics.csv has r"):
        checked_rows(sweep)


@pytest.mark.parametrize("what", ["runs", "sweep"])
def test_nothing_is_lost_when_the_program_dies(sweep: Path, tmp_path: Path, what: str):
    original = tmp_path / "original"
    shutil.copytree(sweep.parent, original)
    identities = list(checked_rows(sweep))
    gone = identities[1:3] if what == "runs" else identities
    metrics = expected_metrics(SPECS)

    def begin() -> None:
        shutil.rmtree(sweep.parent)
        shutil.copytree(original, sweep.parent)

    def act() -> None:
        if what == "runs":
            remove_runs(sweep, gone)
        else:
            remove_sweep(sweep)

    died = []
    for step in deaths(act, begin):
        died.append(step)
        places = [*sweep_folders(sweep.parent), *trashed(sweep.parent)]
        for place in places:
            load_sweeps([place])
        frames = [load_metrics(place) for place in places]
        together = pd.concat(frames).drop_duplicates().sort_values(["run_id", "step"], ignore_index=True)
        pd.testing.assert_frame_equal(together, metrics)
        if sweep.exists():
            if set(checked_rows(sweep)) & set(gone):
                act()
            assert sweep.exists() == (what == "runs")
    assert len(died) >= (8 if what == "runs" else 1)


@pytest.mark.parametrize("room", [0, 100, 1000])
def test_a_full_disk_leaves_nothing_half_copied(sweep: Path, room_for: RoomFor, room: int):
    before = contents(sweep)
    with room_for(room), pytest.raises(OSError, match="File too large"):
        remove_runs(sweep, [run_id(SPECS[0])])
    check_same(contents(sweep), before)
    assert all(is_sweep(place) for place in (sweep.parent / TRASH).iterdir())


def test_what_a_program_that_died_has_left_goes_with_the_trash(sweep: Path):
    half = sweep.parent / TRASH / ".small-20260101-000000-runs.tmp"
    half.mkdir(parents=True)
    (half / "runs.csv").write_text("run_id")
    assert trashed(sweep.parent) == []
    empty_trash(sweep.parent, trashed(sweep.parent))
    assert not half.exists()


def test_what_came_into_the_trash_after_the_question_stays_and_what_has_gone_is_no_error(sweep: Path):
    finish(sweep.parent / "more", SPECS)
    first = remove_sweep(sweep)
    asked = trashed(sweep.parent)
    second = remove_sweep(sweep.parent / "more")
    for _ in range(2):
        empty_trash(sweep.parent, asked)
    assert asked == [first] and [*(sweep.parent / TRASH).iterdir()] == [second]


def test_files_and_links_in_the_trash_are_left_alone(sweep: Path):
    place = remove_sweep(sweep)
    (place.parent / "notes-20260101-000000").write_text("mine")
    (place.parent / "link-20260101-000000").symlink_to(sweep.parent)
    (place.parent / ".mine.tmp").write_text("mine")
    assert trashed(sweep.parent) == [place]
    empty_trash(sweep.parent, [place])
    names = sorted(path.name for path in place.parent.iterdir())
    assert names == [".mine.tmp", "link-20260101-000000", "notes-20260101-000000"]


def test_while_a_program_adds_to_a_sweep_it_stays(sweep: Path):
    identities = list(checked_rows(sweep))
    with locked(sweep):
        for act in (
            lambda: remove_sweep(sweep),
            lambda: remove_runs(sweep, identities),
            lambda: rename_sweep(sweep, "b"),
        ):
            with pytest.raises(BnbenchError, match="in use by another bnbench"):
                act()
    assert list(checked_rows(sweep)) == identities and trashed(sweep.parent) == []


def test_a_name_that_is_taken_is_not_restored_over(sweep: Path):
    place = remove_sweep(sweep)
    finish(sweep, SPECS[:1])
    with pytest.raises(InvalidRequest, match="is there already; give it another name first: bnbench rename small NEW"):
        restore(place)
    assert len(checked_rows(sweep)) == 1 and len(checked_rows(place)) == 4


def test_a_link_to_a_sweep_is_not_moved(sweep: Path):
    link = sweep.parent / "link"
    link.symlink_to("small")
    with pytest.raises(InvalidRequest, match="is a link to small"):
        remove_sweep(link)
    assert link.is_symlink() and sweep.is_dir()


def test_names_in_the_trash(sweep: Path):
    with pytest.raises(InvalidRequest, match=r"'small' is not in the trash .*; it is empty"):
        find_trashed(sweep.parent, "small")
    identities = list(checked_rows(sweep))
    one, other = remove_runs(sweep, identities[:1]), remove_runs(sweep, identities[1:2])
    assert one != other
    with pytest.raises(InvalidRequest, match="'small': could be small-"):
        find_trashed(sweep.parent, "small")
    assert find_trashed(sweep.parent, other.name) == other
    empty_trash(sweep.parent, trashed(sweep.parent))
    assert trashed(sweep.parent) == [] and len(checked_rows(sweep)) == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("more", "is there already"),
        ("", "must be a plain folder name"),
        ("../up", "plain folder name"),
        (".b", "plain"),
    ],
)
def test_a_name_that_cannot_be(sweep: Path, name: str, says: str):
    (sweep.parent / "more").mkdir()
    with pytest.raises(InvalidRequest, match=says):
        rename_sweep(sweep, name)
    assert sweep.is_dir()


def test_another_name(sweep: Path):
    before, history = contents(sweep), read_history(sweep)
    target = rename_sweep(sweep, "first-try")
    assert not sweep.exists() and read_history(target) == history
    check_same(contents(target), before)
    finish(target, [make_spec(9)])
    assert len(checked_rows(target)) == 5
