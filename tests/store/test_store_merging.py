"""Sweeps merged into one: each run once, nothing lost, nothing contradictory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from bnbench.errors import BnbenchError, Damaged, InvalidRequest
from bnbench.spec import run_id
from bnbench.store import (
    CONFLICTS,
    Merging,
    change_tag,
    checked_rows,
    enter_runs,
    load_metrics,
    load_probes,
    load_sweeps,
    locked,
    merge_sweeps,
    read_history,
    read_tags,
    sweep_folders,
    weights_path,
)
from bnbench.store.weights import write_weights
from tests.cli.finished import finish
from tests.products import long
from tests.store.dying import deaths
from tests.store.sweeps import expected_metrics, expected_probes, make_spec, train

ONE, OTHER = [make_spec(seed) for seed in (0, 1, 3, 4)], [make_spec(seed, "batch") for seed in (4, 5)] + [make_spec(3)]
BOTH = run_id(make_spec(3))
EVERY = list(dict.fromkeys([*ONE, *OTHER]))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    finish(tmp_path / "one", ONE)
    finish(tmp_path / "other", OTHER)
    return tmp_path


def merged(results: Path, *names: str, into: str = "all", keep: bool = False):
    merging = Merging(keep_conflicts=keep)
    return merge_sweeps([results / name for name in names], results / into, {"merged": list(names)}, merging)


def check_whole(folder: Path) -> None:
    runs, metrics = load_sweeps([folder])
    assert runs["run_id"].tolist() == [run_id(spec) for spec in EVERY]
    metrics = metrics.sort_values(["run_id", "step"], ignore_index=True)
    pd.testing.assert_frame_equal(metrics, expected_metrics(EVERY))
    probes = load_probes(folder).sort_values(["run_id", "step"], kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(probes, expected_probes(EVERY))
    assert {path.stem for path in (folder / "specs").iterdir()} == set(runs["run_id"])


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_two_sweeps_into_a_new_one(results: Path):
    before = [content(results / name) for name in ("one", "other")]
    did = merged(results, "one", "other")
    assert len(did.added) == 6 and did.same == [run_id(make_spec(3))]
    check_whole(results / "all")
    assert [content(results / name) for name in ("one", "other")] == before
    assert [entry.get("runs") for entry in read_history(results / "all")] == [4, 3, 6]


def test_weights_come_along(results: Path):
    kept = {make_spec(0): "one", make_spec(3): "other"}  # both sweeps have the second run
    for spec, name in kept.items():
        write_weights(results / name, run_id(spec), f"\udcff{name}".encode(errors="surrogateescape"))
    merged(results, "one", "other")
    for spec, name in kept.items():
        content = weights_path(results / "all", run_id(spec)).read_bytes()
        assert content == weights_path(results / name, run_id(spec)).read_bytes()


def test_again_changes_nothing(results: Path):
    merged(results, "one", "other")
    before = content(results / "all")
    did = merged(results, "one", "other")
    after = content(results / "all")
    assert not did.added and {name for name in after if after[name] != before.get(name)} == {"sweep.yaml"}


def test_into_one_of_them(results: Path):
    merged(results, "other", into="one")
    check_whole(results / "one")


def test_a_result_comes_in_place_of_what_is_none(results: Path):
    waiting = results / "waiting"
    enter_runs(waiting, [make_spec(3), make_spec(0)], {}, {"runs": 2})
    train(waiting, make_spec(3), "worker", "failed")
    train(waiting, make_spec(0), "worker2", "running")
    did = merged(results, "one", into="waiting")
    assert sorted(did.better) == sorted([run_id(make_spec(3)), run_id(make_spec(0))])
    assert {row["status"] for row in checked_rows(waiting).values()} == {"completed", "diverged"}
    back = merged(results, "waiting", into="one")
    assert not back.added and len(back.same) == 4
    enter_runs(results / "planned", ONE, {}, {"runs": 4})
    assert len(merged(results, "planned", into="one").passed) == 4


def change(path: Path, old: str, new: str) -> None:
    """Write another value into the lines of the run that both sweeps have."""
    text = path.read_text()
    assert old in text
    path.write_text("".join(
        line.replace(old, new, 1) if line.startswith(BOTH) else line for line in text.splitlines(keepends=True)
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("runs.csv", repr(1 / 6), "0.5", "test_accuracy is 0.16666666666666666 in one and 0.5 in other"),
        ("runs.csv", ",completed,", ",diverged,", "status is completed in one and diverged in other"),
        ("metrics.csv", ",0.034482758620689655", ",0.9", "its evaluations are not the same in one and other"),
        ("runs.csv", ",none,mlp,3,", ",none,mlp,4,", "model.depth is 3 in one and 4 in other"),
    ],
)
def test_contradicting_results_are_refused(results: Path, file: str, old: str, new: str, says: str):
    change(results / "other" / file, old, new)
    before = content(results)
    for into in ("all", "one"):
        with pytest.raises(InvalidRequest, match=f"run {run_id(make_spec(3))}: {says}") as refused:
            merged(results, *(("one", "other") if into == "all" else ("other",)), into=into)
        way_on = "not as it was written" if "depth" in says else "bnbench rm SWEEP/RUN"
        assert way_on in str(refused.value)
    assert content(results) == before and not (results / "all").exists()


OTHER_RESULTS = {"runs": ("runs.csv", repr(1 / 6), "0.5"), "metrics": ("metrics.csv", ",0.034482758620689655", ",0.9")}


@pytest.mark.parametrize("differing", OTHER_RESULTS)
def test_other_results_are_kept_where_no_reader_takes_them_for_the_run_s(results: Path, differing: str):
    change(results / "other" / OTHER_RESULTS[differing][0], *OTHER_RESULTS[differing][1:])
    write_weights(results / "other", BOTH, b"of another result")
    change_tag(results / "other", [BOTH], "odd")
    before = {name: content(results / name) for name in ("one", "other")}
    did = merged(results, "one", "other", keep=True)
    assert did.conflicts == {results / "other": [BOTH]} and len(did.added) == 6 and not did.same
    aside = results / "all" / CONFLICTS / "other"
    assert read_tags(results / "all") == {} and read_tags(aside) == {BOTH: ["odd"]}
    assert not weights_path(results / "all", BOTH).exists()
    assert weights_path(aside, BOTH).read_bytes() == weights_path(results / "other", BOTH).read_bytes()
    check_whole(results / "all")
    assert sweep_folders(results) == [results / name for name in ("all", "one", "other")]
    assert list(checked_rows(aside)) == [BOTH]
    assert checked_rows(aside)[BOTH] == checked_rows(results / "other")[BOTH]
    lines = {
        name: (results / name / "metrics.csv").read_text().splitlines() for name in ("other", f"all/{CONFLICTS}/other")
    }
    assert lines[f"all/{CONFLICTS}/other"][1:] == [line for line in lines["other"] if line.startswith(BOTH)]
    assert read_history(results / "all")[-1][CONFLICTS] == {str(results / "other"): [BOTH]}
    assert read_history(aside)[0]["other_results_than"] == "all"
    assert {name: content(results / name) for name in before} == before


def test_other_results_are_kept_once_and_each_of_several(results: Path):
    change(results / "other" / "runs.csv", repr(1 / 6), "0.5")
    shutil.copytree(results / "other", results / "elsewhere" / "other")
    for _ in range(2):
        merged(results, "one", "other", keep=True)
    aside = results / "all" / CONFLICTS
    assert [path.name for path in aside.iterdir()] == ["other"]
    change(results / "elsewhere" / "other" / "runs.csv", "0.5", "0.25")
    for _ in range(2):
        merged(results, "one", "other", "elsewhere/other", keep=True)
    values = {path.name: checked_rows(path)[BOTH]["test_accuracy"] for path in aside.iterdir()}
    assert values == {"other": "0.5", "other-2": "0.25"}
    assert checked_rows(results / "all")[BOTH]["test_accuracy"] == repr(1 / 6)


def test_other_settings_of_a_run_are_damage_and_never_kept(results: Path):
    change(results / "other" / "runs.csv", ",none,mlp,3,", ",none,mlp,4,")
    with pytest.raises(InvalidRequest, match=r"model\.depth is 3 in one and 4 in other\n.*not as it was written$"):
        merged(results, "one", "other", keep=True)
    assert not (results / "all").exists()


def test_when_and_where_a_run_was_trained_contradicts_nothing(results: Path):
    shutil.rmtree(results / "other")
    finish(results / "other", OTHER, host="another", seconds=17.0, engine="native", device="cuda")
    merged(results, "one", "other")
    assert len(checked_rows(results / "all")) == 6


def test_tags_come_along(results: Path):
    change_tag(results / "one", [run_id(ONE[0])], "best")
    change_tag(results / "other", [run_id(OTHER[2])], "odd")
    merged(results, "one", "other")
    assert read_tags(results / "all") == {run_id(ONE[0]): ["best"], run_id(OTHER[2]): ["odd"]}


@pytest.mark.parametrize("name", ["tags.csv", "metrics.csv", "runs.csv", "sweep.yaml"])
def test_nothing_is_written_where_a_sweep_is_damaged(results: Path, name: str):
    (results / "other" / name).write_text("nothing of the kind\n")
    with pytest.raises(Damaged):
        merged(results, "one", "other")
    assert not (results / "all").exists()


@pytest.mark.parametrize("name", ["one", "other", "all"])
def test_nothing_is_merged_while_a_program_adds(results: Path, name: str):
    with locked(results / name), pytest.raises(BnbenchError, match="in use by another bnbench"):
        merged(results, "one", "other")
    assert not (results / "all" / "runs.csv").exists()


@long
@pytest.mark.parametrize("conflict", [False, True])
def test_a_merge_that_died_goes_on(results: Path, conflict: bool):
    if conflict:
        change(results / "other" / "runs.csv", repr(1 / 6), "0.5")

    def begin() -> None:
        shutil.rmtree(results / "all", ignore_errors=True)

    died = []
    for step in deaths(lambda: merged(results, "one", "other", keep=conflict), begin):
        died.append(step)
        if (results / "all" / "runs.csv").exists():
            checked_rows(results / "all")
            load_metrics(results / "all")
        merged(results, "one", "other", keep=conflict)
        check_whole(results / "all")
        aside = results / "all" / CONFLICTS
        assert [path.name for path in aside.glob("*")] == ["other"] * conflict
    assert len(died) >= 8


def test_a_run_that_two_sweeps_improve_counts_once(results: Path):
    spec = make_spec(9)
    for name, status in (("target", None), ("failed", "failed"), ("completed", "completed")):
        enter_runs(results / name, [spec], {}, {})
        if status:
            train(results / name, spec, "one", status)
    found = merged(results, "failed", "completed", into="target")
    assert (found.added, found.better) == ([], [run_id(spec)])
    assert checked_rows(results / "target")[run_id(spec)]["status"] == "completed"
