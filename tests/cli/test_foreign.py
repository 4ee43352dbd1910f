"""Files of somebody else under the names that a sweep's have, and runs that several sweeps have."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bnbench import store
from bnbench.spec import run_id
from tests.conftest import Program, make_spec
from tests.store.sweeps import train

SMALL = ("model=mlp", "model.width=8", "epochs=1")
FOREIGN: dict[str, tuple[dict[str, str], str]] = {
    "another table": ({"runs.csv": "name,date,score\na,1,2\n"}, "runs.csv is somebody else's"),
    "some of our columns": ({"runs.csv": "run_id,status,artifact_uri,epochs\na,b,c,1\n"}, "run_id, status, "),
    "nothing in it": ({"runs.csv": ""}, "runs.csv is somebody else's"),
    "bytes": ({"runs.csv": "\x00\x01\x02"}, "runs.csv is somebody else's"),
    "metrics": ({"metrics.csv": "epoch,loss\n1,2\n"}, "run_id, step, epoch, examples, ... in metrics.csv)"),
    "probes": ({"probes.csv": "epoch,loss\n1,2\n"}, "run_id, step, probe, layer, ... in probes.csv)"),
    "settings": ({"sweep.yaml": "program: train.py\nmethod: grid\n"}, "sweep.yaml is somebody else's (looked for"),
    "text": ({"runs.csv": "some text\n", "sweep.yaml": "some text\n"}, "runs.csv, sweep.yaml are somebody else's"),
    "folders": ({"runs.csv": "a,b\n1,2\n", "specs/notes.yaml": "a: b\n"}, "runs.csv is somebody else's"),
}  # fmt: skip
"""By name, the files in the folder and what is said of them."""


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_folder_of_somebody_else_is_no_damaged_sweep(program: Program, kind: str):
    files, says = FOREIGN[kind]
    store.enter_runs(Path("results/mine"), [make_spec()], {}, {})
    other = Path("results/other")
    for name, text in files.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text)
    listed, shown = program("ls"), program("show", run_id(make_spec()))
    assert (listed.code, shown.code) == (0, 0) and "1 planned" in listed.out and shown.err == ""
    assert "left alone: results/other: no sweep of bnbench: " in listed.out and says in listed.out
    missed = program("show", "zzz")
    assert missed.code == 2 and "not looked into: results/other: no sweep of bnbench: " in missed.err
    for words in (
        ("report", "other"),
        ("report", "./results/other"),
        ("sweep", "--name", "other", *SMALL),
        ("run", "--name", "other", *SMALL),
    ):
        refused = program(*words)
        assert refused.code == 2 and refused.err.count("\n") == 1 and says in refused.err, words
        assert "other: no sweep of bnbench: " in refused.err and "it is left alone" in refused.err
        assert "damaged" not in refused.out + refused.err
    assert {str(path.relative_to(other)): path.read_text() for path in other.rglob("*.*")} == files
    shutil.rmtree("results/mine")
    alone = program("ls")
    assert alone.code == 0 and "no sweeps in results" in alone.out and "left alone: results/other" in alone.out


@pytest.mark.parametrize("kept", ["runs.csv", "metrics.csv", "probes.csv", "sweep.yaml", "specs", "segments"])
def test_what_is_left_of_a_sweep_is_no_foreign_folder(tmp_path: Path, kept: str):
    spec, folder = make_spec(), tmp_path / "s"
    store.enter_runs(folder, [spec], {}, {"runs": 1})
    train(folder, spec, "one")
    if kept != "segments":
        store.join(folder)
    (folder / "probes.csv").write_text("run_id,step,probe,layer,name,value\n")
    for path in [*folder.iterdir()]:
        if path.name != kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if kept in ("specs", "segments"):
        (folder / "runs.csv").write_text("some text\n")
    assert store.is_sweep(folder) and not store.foreign(folder)


@pytest.mark.parametrize("finished", ["first", "second", "both", "none"])
def test_a_run_of_several_sweeps_is_shown_with_all_their_names(program: Program, finished: str):
    spec = make_spec()
    for name in ("first", "second"):
        folder = Path("results", name)
        store.enter_runs(folder, [spec], {}, {})
        if finished in (name, "both"):
            train(folder, spec, "one")
            store.join(folder)
    status = {name: "completed" if finished in (name, "both") else "planned" for name in ("first", "second")}
    shown = program("show", run_id(spec)[:6])
    counts = "second" if finished == "second" else "first"
    names = f"first ({status['first']}) and second ({status['second']})"
    assert shown.code == 0
    assert shown.out.splitlines()[0] == f"{run_id(spec)} is in 2 sweeps: {names}; shown is that of {counts}"
    facts = dict(line.split(maxsplit=1) for line in shown.out.splitlines()[1:4])
    assert (facts["sweep"].strip(), facts["status"].strip()) == (counts, status[counts])
    shutil.rmtree("results/second")
    assert "sweeps" not in program("show", run_id(spec)).out
