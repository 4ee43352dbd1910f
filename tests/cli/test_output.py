"""Where output goes: files, links and devices that --out names, pipes whose reader leaves, disks that are full."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnbench import store
from tests import warm
from tests.cli.test_sweep import SMALL, rows
from tests.conftest import Program, RoomFor, make_spec
from tests.products import long

BNBENCH = (sys.executable, "-m", "bnbench")
REPORT = ("report", "s", "--out")


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    """A sweep to report on, though nothing of it is trained."""
    folder = tmp_path / "results" / "s"
    store.enter_runs(folder, [make_spec()], {}, {})
    return folder


def test_a_report_is_written_through_a_link_and_keeps_the_rights_of_a_file(program: Program, planned: Path):
    Path("mine.md").write_text("old and longer than any report can be " * 100)
    Path("mine.md").chmod(0o600)
    Path("link.md").symlink_to("mine.md")
    Path("new.md").symlink_to("made.md")
    for name in ("link.md", "new.md", "plain.md"):
        result = program(*REPORT, name)
        assert result.code == 0 and f"wrote {name}" in result.err, result.err
    assert Path("link.md").is_symlink() and Path("new.md").is_symlink()
    assert Path("mine.md").read_text() == Path("made.md").read_text() == Path("plain.md").read_text()
    assert Path("mine.md").stat().st_mode & 0o777 == 0o600


def test_who_reads_a_report_while_it_is_written_anew_reads_the_whole_old_one(program: Program, planned: Path):
    Path("mine.md").write_text("old")
    Path("link.md").symlink_to("mine.md")
    with Path("link.md").open() as reader:
        assert program(*REPORT, "link.md").code == 0
        assert reader.read() == "old"
    assert Path("link.md").is_symlink() and Path("mine.md").read_text().startswith("#")
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["link.md", "mine.md", "results"]


def test_a_file_of_two_names_keeps_both(program: Program, planned: Path):
    Path("mine.md").write_text("old")
    Path("other.md").hardlink_to("mine.md")
    assert program(*REPORT, "mine.md").code == 0
    assert Path("other.md").read_text() == Path("mine.md").read_text() != "old"


@pytest.mark.skipif(os.geteuid() == 0, reason="to root all folders are open")
def test_a_file_in_a_folder_that_is_closed_is_written_into(program: Program, planned: Path):
    Path("closed").mkdir()
    Path("closed/mine.md").write_text("old")
    Path("closed").chmod(0o500)
    try:
        assert program(*REPORT, "closed/mine.md").code == 0
        assert Path("closed/mine.md").read_text().startswith("#")
    finally:
        Path("closed").chmod(0o700)


@pytest.mark.skipif(sys.platform != "linux", reason="names standard output by /proc")
def test_a_report_for_standard_output_goes_into_the_file_that_takes_it(planned: Path, tmp_path: Path):
    with (tmp_path / "taken.md").open("w+") as taken:
        words = [*BNBENCH, *REPORT, "/proc/self/fd/1", "--format", "markdown"]
        warm.run(words, cwd=tmp_path, stdout=taken, stderr=subprocess.PIPE, check=True)
        assert taken.read().startswith("## ")


def test_a_report_goes_into_a_pipe(program: Program, planned: Path):
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        assert program(*REPORT, "pipe").code == 0
        assert reader.communicate()[0] == program("report", "s").out
    assert Path("pipe").is_fifo()


@pytest.mark.skipif(sys.platform != "linux", reason="names standard output by /proc")
def test_a_report_goes_to_standard_output_and_nothing_else_does(planned: Path, tmp_path: Path):
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")  # as /dev/stdout, which no test must put at risk
    words = [*BNBENCH, *REPORT, "stdout", "--format", "markdown"]
    result = warm.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("## ") and "wrote" not in result.stdout


@pytest.mark.parametrize(
    ("out", "says"),
    [
        (".", "is a folder; name a file, as in report.html"),
        ("results", "is a folder; name a file, as in results/report.html"),
        ("x" * 300 + ".html", "cannot be written: File name too long"),
        ("nowhere/x.html", "there is no folder"),
        ("results/s/runs.csv", "is a file of a sweep's results"),
        ("closed.html", "is not open to this user"),
        ("closed/x.html", "is not open to this user"),
    ],
)
@pytest.mark.parametrize("command", [("compare", "rms", "--scale", "smoke"), ("study", "run", "memory")], ids=" ".join)
def test_what_cannot_be_written_is_refused_before_anything_is_trained(
    program: Program, planned: Path, tmp_path: Path, command: tuple[str, ...], out: str, says: str
):
    if out.startswith("closed") and os.geteuid() == 0:
        pytest.skip("to root all files are open")
    (tmp_path / "closed.html").touch(0o400)
    (tmp_path / "closed").mkdir(0o500)
    result = program(*command, "--out", out)
    assert result.code == 2 and f"--out {out}: {says}" in result.err
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("results/s/runs.csv", "is a file of a sweep's results"),
        ("results/s/specs/new.md", "is a file of a sweep's results"),
        ("link.md", "is a file of a sweep's results"),
        ("absent/deeper/report.md", "there is no folder"),
        ("loop.md", "cannot be written: Too many levels of symbolic links"),
        ("results", "is a folder; name a file, as in results/report.html"),
    ],
)
def test_where_a_report_cannot_go(program: Program, planned: Path, tmp_path: Path, out: str, says: str):
    (tmp_path / "link.md").symlink_to("results/s/sweep.yaml")
    (tmp_path / "loop.md").symlink_to("loop.md")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = program(*REPORT, out)
    assert result.code == 2 and f"--out {out}: {says}" in result.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not Path("absent").exists() and Path("loop.md").is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any file")
def test_a_file_that_may_not_be_written_is_left_alone(program: Program, planned: Path):
    Path("mine.md").write_text("mine")
    Path("mine.md").chmod(0o400)
    result = program(*REPORT, "mine.md")
    assert result.code == 2 and "--out mine.md: cannot be written: Permission denied" in result.err
    assert Path("mine.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (warm.run, ("run", "--name", "s", *SMALL)),
        (warm.run, ("sweep", "--name", "s", "--jobs", "1", *SMALL, "seed=0,1")),
        (subprocess.run, ("--help",)),
    ],
    ids=["run", "sweep", "help"],
)
def test_a_reader_that_leaves_stops_nothing(tmp_path: Path, start: Callable[..., Any], words: tuple[str, ...]):
    news, told = os.pipe()
    os.close(news)
    result = start([*BNBENCH, *words], cwd=tmp_path, stdout=told, stderr=subprocess.PIPE, text=True, check=False)
    os.close(told)
    assert (result.returncode, result.stderr) == (0, "")
    if "--name" in words:
        assert {run["status"] for run in rows(str(tmp_path / "results/s/runs.csv"))} == {"completed"}


def test_standard_output_on_a_full_disk_is_told(planned: Path, tmp_path: Path, room_for: RoomFor):
    with (tmp_path / "out.txt").open("w") as out, room_for(50):
        words = [*BNBENCH, "report", "s"]
        result = subprocess.run(words, cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "error: standard output: File too large\n")


GOES_ON = "File too large; what was trained is kept as far as it was written; make room, and "


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sweep", "--name", "s", "seed=range(20)"), f"/results/s/runs.csv: {GOES_ON}the same command goes on"),
        (("sweep", "seed=range(20)"), f"{GOES_ON}the same command with --name mlp-digits-"),
        (("run", "--name", "s"), f"{GOES_ON}give the command again"),
        (("study", "run", "memory", "--scale", "smoke"), f"{GOES_ON}the same command goes on"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_full_disk_is_no_bug(program: Program, room_for: RoomFor, words: tuple[str, ...], says: str):
    small = () if words[0] == "study" else SMALL
    with room_for(1500 if words[0] == "sweep" else 800):
        result = program(*words, *small)
    assert result.code == 1 and says in result.err, result.err
    assert "This is a bug" not in result.err and "Traceback" not in result.err
    if "--name" in words:
        assert program(*words, *small).code == 0


FILLED = ("sweep", "--name", "s", "model=mlp", "model.width=4", "model.depth=1", "epochs=60", "evaluate.unit=steps")


@pytest.mark.parametrize(
    ("limited", "lanes"),
    [("inline", "auto"), *(pytest.param(*one, marks=long) for one in (("inline", "off"), ("local", "off"))),
     ("local", "auto")],
)  # fmt: skip
def test_a_disk_that_fills_while_runs_train_costs_none_of_them(
    program: Program, room_for: RoomFor, limited: str, lanes: str
):
    """They are no failures, and go on from their checkpoints."""
    words = (*FILLED, "evaluate.every=1", "grad_clip=1", "seed=0,1", "--lanes", lanes, "--checkpoint-every", "0.1s")
    if limited == "local":
        Path("full.py").write_text(FILLING)
        words = (*words, "--plugin", "full.py", "norm=filling", "--jobs", "1")
        result = program(*words)
        Path("room").touch()
    else:
        with room_for(60_000):
            result = program(*words, "--launcher", "inline")
    assert result.code == 1 and "File too large; what was trained is kept" in result.err, result
    assert "failed" not in {run["status"] for run in rows("results/s/runs.csv")}
    assert list(Path("results/s/checkpoints").iterdir())
    assert program(*words, "--launcher", limited).code == 0
    assert {run["status"] for run in rows("results/s/runs.csv")} == {"completed"}
    assert any("went on from step" in log.read_text() for log in Path("results/s/logs").iterdir())


FILLING = """
import resource
from pathlib import Path
from torch import nn

if not Path("room").exists():
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

class Filling(nn.Identity):
    def __init__(self, num_features):
        super().__init__()

NORMS = {"filling": Filling}
"""
"""A plugin whose processes find the disk full."""


@pytest.mark.parametrize("how", ["sys.stdout.close()", "os.close(1)"])
def test_a_plugin_that_closes_standard_output(tmp_path: Path, how: str):
    (tmp_path / "closing.py").write_text(
        f"import os, sys\nfrom torch import nn\n{how}\nNORMS = {{'mine': nn.Identity}}\n"
    )
    words = [*BNBENCH, "run", "--name", "s", *SMALL, "--plugin", "closing.py"]
    result = warm.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_interrupted_before_any_run_ended_it_says_so(tmp_path: Path):
    words = [*BNBENCH, "sweep", "--name", "s", "model=mlp", "epochs=5000", "--launcher", "inline"]
    with warm.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        segments = tmp_path / "results/s/segments"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any(segments.glob("*.metrics.csv")):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "trained 0 in" in out and "nothing to train" not in out
