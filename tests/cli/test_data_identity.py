"""Runs on data that changed, that were moved, and that never end, through the program itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_sweep import SMALL, rows
from tests.conftest import Program

SWEEP = ("sweep", "--name", "s", "--launcher", "inline", *SMALL)
RUNS = "results/s/runs.csv"


def write_npz(path: Path, shuffled: bool = False) -> None:
    """Rows of one number each: the labels can be read off them, or have nothing to do with them."""
    shown = np.arange(400) % 2
    path.parent.mkdir(parents=True, exist_ok=True)
    y = np.random.default_rng(0).permutation(shown) if shuffled else shown
    np.savez(path, x=np.repeat(shown[:, None] * 200, 4, axis=1), y=y)


def write_csv(path: Path, shuffled: bool = False) -> None:
    shown = np.arange(400) % 2
    path.parent.mkdir(parents=True, exist_ok=True)
    y = np.random.default_rng(0).permutation(shown) if shuffled else shown
    path.write_text("a,b,label\n" + "".join(f"{200 * a},1,{b}\n" for a, b in zip(shown, y, strict=True)))


def write_images(folder: Path) -> None:
    for number in range(60):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 100 * (number % 2) + number, np.uint8)).save(path)


def delete_images(folder: Path) -> None:
    for path in sorted(folder.rglob("*.png"))[::2]:
        path.unlink()


NPZ = ("dataset=npz", "dataset.path=mine.npz", "batch_size=16", "data/mine.npz")
CSV = ("dataset=csv", "dataset.path=mine.csv", "batch_size=16", "data/mine.csv")
IMAGES = ("dataset=imagefolder", "dataset.path=mine", "batch_size=16", "data/mine")


@pytest.mark.parametrize(
    ("data", "write", "change"),
    [
        (NPZ, write_npz, lambda path: write_npz(path, shuffled=True)),
        (CSV, write_csv, lambda path: write_csv(path, shuffled=True)),
        (IMAGES, write_images, delete_images),
    ],
)
def test_changed_data_are_told_and_never_pooled(
    data: tuple[str, ...], write: Callable[[Path], None], change: Callable[[Path], None], program: Program
):
    *settings, place = data
    write(Path(place))
    assert program(*SWEEP, *settings, "seed=0,1").code == 0
    assert "2 finished already, 0 to train" in program(*SWEEP, *settings, "seed=0,1").out
    change(Path(place))
    before, since = rows(RUNS)[0]["data"], min(row["started_at"] for row in rows(RUNS))
    extended = program(*SWEEP, "--extend", *settings, "seed=range(4)")
    said = f"data changed: 2 finished runs were trained on other data, {before} (since {since}), and stay apart"
    assert f"note: {settings[1]}: {said}" in extended.out.splitlines()
    assert "s: 4 runs, 4 to train" in extended.out and "trained 4 in" in extended.out
    assert "changed" not in program(*SWEEP, *settings, "seed=range(4)").out
    counts = [row["data"] for row in rows(RUNS)]
    assert sorted(map(counts.count, {*counts})) == [2, 4] and all(len(text) == 12 for text in counts)
    report = program("report", "s", "--view", "convergence", "--target", "1%").out
    shown = [line.split() for line in report.splitlines() if line.strip().startswith("d") and "/" in line]
    wanted = [[text, f"{counts.count(text)}/{counts.count(text)}"] for text in {*counts}]
    assert sorted(line[:2] for line in shown) == sorted(wanted)
    began = {text: min(row["started_at"] for row in rows(RUNS) if row["data"] == text) for text in {*counts}}
    old, new = sorted({*counts}, key=began.__getitem__)
    told = f"{settings[1]} has changed, and its runs are told apart by what it held: "
    told += f"{old} (since {began[old]}) and {new} (since {began[new]}, trained on last)."
    assert told in " ".join(report.split())


def test_the_same_data_elsewhere_are_the_same(program: Program):
    write_npz(Path("data/one.npz"))
    shutil.copy("data/one.npz", "data/two.npz")
    assert program(*SWEEP, "dataset=npz", "dataset.path=one.npz", "seed=0,1").code == 0
    again = program(*SWEEP, "--extend", "dataset=npz", "dataset.path=two.npz", "seed=0,1,2")
    assert "3 runs, 2 finished already, 1 to train" in again.out and "changed" not in again.out
    assert [row["dataset.path"] for row in rows(RUNS)] == ["one.npz", "one.npz", "two.npz"]
    assert "3/3" in program("report", "s", "--view", "convergence", "--target", "1%").out
    both = program(*SWEEP, "--extend", "dataset=npz", "dataset.path=one.npz,two.npz", "seed=0,1,2,3")
    assert "4 runs, 3 finished already, 1 to train" in both.out
    assert "note: dataset.path=two.npz holds the same data as one.npz, so their runs are the same" in both.out


def test_other_data_elsewhere_go_by_their_paths(program: Program):
    write_npz(Path("data/one.npz"))
    write_npz(Path("data/two.npz"), shuffled=True)
    assert program(*SWEEP, "dataset=npz", "dataset.path=one.npz,two.npz", "seed=0,1").code == 0
    report = program("report", "s", "--view", "convergence", "--target", "1%").out
    assert [line.split()[:3] for line in report.splitlines() if "2/2" in line] == [
        ["npz", "path=one.npz", "2/2"],
        ["npz", "path=two.npz", "2/2"],
    ]


def test_a_run_is_repeated_on_the_same_data_only(program: Program):
    write_npz(Path("data/one.npz"))
    assert program(*SWEEP, "dataset=npz", "dataset.path=one.npz").code == 0
    (spec,) = Path("results/s/specs").iterdir()
    repeat = ("run", "--name", "t", "--from", str(spec))
    assert program(*repeat).code == 0
    Path("data/one.npz").rename("data/two.npz")
    gone = program(*repeat)
    assert gone.code == 2 and "If the data were moved, put dataset.path=... beside --from" in gone.err
    assert program(*repeat, "dataset.path=two.npz").code == 0
    (row,) = rows("results/t/runs.csv")
    assert row["run_id"] == spec.stem and "path: two.npz" in Path("results/t/specs", spec.name).read_text()
    write_npz(Path("data/one.npz"), shuffled=True)
    changed = program(*repeat)
    assert changed.code == 2 and f"and not {row['data']}, as they had, so it would be another run" in changed.err
    assert program(*repeat, "dataset.path=one.npz").code == 2
    assert "takes one path" in program(*repeat, "dataset.path=one.npz,two.npz").err


def test_results_without_a_fingerprint_are_read_and_say_so(program: Program):
    write_npz(Path("data/mine.npz"))
    assert program(*SWEEP, *NPZ[:2], "seed=0,1").code == 0
    table = Path(RUNS)
    for row in rows(RUNS):  # as an earlier version wrote them
        table.write_text(table.read_text().replace(row["data"], "").replace(row["run_id"], f"0{row['run_id'][1:]}"))
        metrics = table.with_name("metrics.csv")
        metrics.write_text(metrics.read_text().replace(row["run_id"], f"0{row['run_id'][1:]}"))
        spec = table.with_name("specs") / f"{row['run_id']}.yaml"
        spec.rename(spec.with_stem(f"0{row['run_id'][1:]}"))
    report = program("report", "s", "--view", "convergence", "--target", "1%")
    note = "2 runs without a fingerprint of the data, by an earlier version"
    assert report.code == 0 and "2/2" in report.out and note in report.out
    again = program(*SWEEP, *NPZ[:2], "seed=0,1")
    assert "2 finished runs were trained without a fingerprint of the data, and stay apart" in again.out
    assert "stay apart" not in program(*SWEEP, *NPZ[:2], "seed=0,1").out
    report = program("report", "s", "--view", "convergence", "--target", "1%").out
    assert report.count(" 2/2 ") == 2 and note in report


def test_a_change_is_told_until_it_is_planned(program: Program):
    write_npz(Path("data/mine.npz"))
    assert program(*SWEEP, *NPZ[:2]).code == 0
    write_npz(Path("data/mine.npz"), shuffled=True)
    said = "note: dataset.path=mine.npz: data changed: "
    assert [said in program(*SWEEP, *NPZ[:2], "--dry-run").out for _ in range(2)] == [True, True]
    assert [said in program(*SWEEP, *NPZ[:2], "lr=0.1,0.2", "--extend").out for _ in range(3)] == [True, False, False]
    write_npz(Path("data/mine.npz"))  # as it was, on which the sweep has runs
    assert "changed" not in program(*SWEEP, *NPZ[:2]).out


@pytest.mark.parametrize(
    ("settings", "file"),
    [
        (("dataset=npz", "dataset.path=mine.npz"), "mine.npz"),
        (("dataset=imagefolder", "dataset.path=mine"), "mine/a/x.png"),
        (("dataset=mnist",), "MNIST/raw/t10k-labels-idx1-ubyte"),
    ],
)
@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_data_that_never_end(settings: tuple[str, ...], file: str, put: Callable[[Path], None], program: Program):
    write_images(Path("data/mine"))
    path = Path("data", file)
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path)
    refused = program(*SWEEP, *settings)
    assert refused.code == 2 and f"{path.absolute()}: must be a regular file, and is a " in refused.err
    assert not Path("results").exists()
