"""A user's code that ends processes, or changes them, at each place where it is executed: it does so to itself only."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bnbench import isolation
from bnbench.errors import PluginError
from bnbench.launch import workers
from bnbench.plugins import known_components
from tests import warm
from tests.cli.misbehaving import ENDING, HANGING, HARMLESS, NORMS, RAISING, WRITING
from tests.conftest import Program
from tests.products import long

PLUGIN = Path(__file__).with_name("misbehaving.py")
SMALL = ("model=mlp", "model.width=8", "model.depth=1", "epochs=1", "batch_size=256")


@dataclass
class Outcome:
    """What a call of the program came to: its exit code, what it printed, and its runs by norm."""

    code: int
    out: str
    err: str
    runs: dict[str, dict[str, str]]


def call(folder: Path, place: str, *words: str, start: Callable[..., Any] = warm.run) -> Outcome:
    """A call of the program in a folder, which must leave no process and no file behind but its results."""
    before, temporary = warm.living(), folder / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "MISBEHAVES": place, "TMPDIR": str(temporary)}
    done = start(
        [sys.executable, "-m", "bnbench", *words], cwd=folder, env=environment, capture_output=True, timeout=500,
        stdin=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    check_all_ended(before)
    assert [path for path in temporary.iterdir() if not path.name.startswith("torchinductor")] == []  # torch's cache
    table = folder / "results/s/runs.csv"
    rows = list(csv.DictReader(table.read_text().splitlines())) if table.exists() else []
    assert not (folder / "results/s/segments").exists()
    return Outcome(done.returncode, done.stdout, done.stderr, {row["norm"]: row for row in rows})


def check_all_ended(before: set[int]) -> None:
    """Wait until no process is left that was not there before."""
    deadline = time.monotonic() + 10
    while left := warm.living() - before:
        assert time.monotonic() < deadline, [Path(f"/proc/{process}/cmdline").read_text() for process in left]
        time.sleep(0.05)


BEARABLE = [norm for norm in NORMS if norm not in HANGING]
SOME = [
    "leaves_3", "exits_text", "interrupts", "is_no_exception", "segfaults", "takes_its_group_along", "leaves_a_child",
    "closes_all", "cannot_say", "ends_an_iteration", "writes_much", "forks", "handles_signals", "patches_torch",
    "patches_write", "sets_the_dtype", "closes_output",
]  # fmt: skip
"""A deed of each kind."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The run of the built-in arm without a plugin."""
    found = call(tmp_path_factory.mktemp("alone"), "", "sweep", "--name", "s", *SMALL, "norm=batch,none")
    assert found.code == 0, found.err
    return found.runs["batch"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("place", "norms"),
    [
        pytest.param("init", ["leaves_0", "exits_0", "segfaults", "interrupts"], marks=long),
        ("planning", ["leaves_0", "segfaults", "interrupts", "raises", "reads_a_key", "forks", "patches_torch"]),
        ("training", SOME),
        pytest.param("planning", BEARABLE, marks=long),
        pytest.param("training", BEARABLE, marks=long),
    ],
    ids=["init", "planning", "training", "planning_all", "training_all"],
)
def test_each_arm_bears_what_it_does_alone(tmp_path: Path, alone: dict[str, str], place: str, norms: list[str]):
    found = call(
        tmp_path, place, "sweep", "--name", "s", "--plugin", str(PLUGIN), *SMALL, f"norm=batch,none,{','.join(norms)}",
        start=subprocess.run if place == "init" else warm.run,
    )  # fmt: skip
    assert found.code == 1 and found.runs.keys() == {"batch", "none", *norms}, found.err[-2000:]
    assert "Traceback" not in found.err and "bug" not in found.err
    for norm in ENDING.keys() & norms:
        assert found.runs[norm]["status"] == ("failed" if place == "training" else "impossible"), norm
        assert found.runs[norm]["error"] and f"norm={norm} " in found.out, norm
    for norm in RAISING.keys() & norms:
        assert found.runs[norm]["status"] in ("failed", "out_of_memory"), norm
        assert found.runs[norm]["error"] and f"norm={norm} " in found.out, norm
        said = f"note: norm={norm} model=mlp dataset=digits batch_size=256: its runs are likely to fail: "
        assert (said in found.out) == (place == "planning"), norm
    for norm in norms:
        if norm in HARMLESS and not norm.startswith("patches"):
            assert found.runs[norm]["status"] == "completed", norm
    timed = {"seconds", "started_at", "finished_at"}
    assert {key: value for key, value in found.runs["batch"].items() if key not in timed} == {
        key: value for key, value in alone.items() if key not in timed
    }


@pytest.mark.parametrize(("norm", "reason"), [
    ("leaves_0", "exit code 0"), ("segfaults", "SIGSEGV"), ("interrupts", "KeyboardInterrupt"),
])  # fmt: skip
@pytest.mark.parametrize("command", [("sweep", "--name", "s"), ("run", "--name", "s")], ids=["sweep", "run"])
def test_nothing_is_left_to_train(tmp_path: Path, command: tuple[str, ...], norm: str, reason: str):
    found = call(tmp_path, "planning", *command, "--plugin", str(PLUGIN), *SMALL, f"norm={norm}")
    assert found.code == 2 and f"norm={norm} " in found.err and reason in found.err, found.err
    assert "misbehaving.py:" in found.err and not (tmp_path / "results").exists()


def at_import(folder: Path, deed: str) -> Path:
    """A plugin that does something as it is imported."""
    path = folder / f"{deed}.py"
    path.write_text(f"import os\nos.environ['MISBEHAVES'] = 'import {deed}'\n{PLUGIN.read_text()}")
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="has no fork server")
@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(deed, marks=() if deed in {*SOME, "becomes_another", "writes_rubbish", "sleeps"} else long)
        for deed in (*ENDING, *WRITING, *RAISING, *HANGING)
    ],
)
def test_an_import_ends_its_own_process_only(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str
):
    if deed in HANGING:
        monkeypatch.setattr(isolation, "EARLY", 1.0)
        monkeypatch.setattr(isolation, "SILENT_SECONDS", 3.0)
    if deed in WRITING:
        monkeypatch.setattr(workers, "SHUTDOWN_TIMEOUT", 1.0)
    plugin = at_import(tmp_path, deed)
    result = program("list", "norms", "--plugin", plugin.name)
    assert result.code == 2 and result.err.count("error: --plugin ") == 1 and result.out == "", result.err
    if deed in HANGING:
        assert result.err.startswith(f"note: nothing heard from --plugin {plugin} for "), result.err
        assert " s while it is imported; Ctrl-C stops all\n" in result.err
    assert f"error: --plugin {plugin}" in result.err and list(tmp_path.iterdir()) == [plugin]
    assert "it has not ended after 3 s" in result.err if deed in HANGING else "has not ended" not in result.err
    if not deed.startswith(("writes", "closes")):  # of which the program hears before, or long after
        assert f"\n  {plugin}:" in result.err, result.err


@pytest.mark.parametrize("deed", [pytest.param(deed, marks=() if deed in SOME else long) for deed in HARMLESS])
def test_an_import_changes_its_own_process_only(tmp_path: Path, deed: str):
    try:
        found = known_components(at_import(tmp_path, deed))
    except PluginError:
        assert deed.startswith("patches"), deed  # its answer may need what is patched
    else:
        assert found.added["norm"] == NORMS.keys() and not hasattr(found, "registries")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "words",
    [
        ("run", "norm=raises"), ("sweep", "--dry-run", "norm=raises"), ("sweep", "norm=batch"), ("list", "settings"),
        ("study", "show", "small_batch"), ("study", "run", "small_batch", "--scale", "smoke"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_command_outlives_an_import(tmp_path: Path, words: tuple[str, ...]):
    found = call(tmp_path, "import leaves_3", *words, "--plugin", str(PLUGIN))
    reason = f"error: --plugin {PLUGIN}: importing it failed: the worker process ended with exit code 3\n  {PLUGIN}:"
    assert found.code == 2 and reason in found.err and "Traceback" not in found.err, found.err
    assert not (tmp_path / "results").exists()


IMPATIENT = (
    "from bnbench import isolation; isolation.EARLY = isolation.SILENT_SECONDS = 1.0; "
    "from bnbench.cli import main; main()"
)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("place", "says"), [
    ("planning", "note: nothing heard from norm=sleeps model=mlp dataset=digits for "),
    pytest.param(
        "dividing", "nothing from norm=sleeps model=mlp dataset=digits seed=0 and 1 other run for ", marks=long
    ),
])  # fmt: skip
def test_a_silent_arm_is_named_and_can_be_interrupted(tmp_path: Path, place: str, says: str):
    before, output = warm.living(), tmp_path / "output"
    words = ["sweep", "--name", "s", "--plugin", str(PLUGIN), *SMALL, "norm=batch,raises,sleeps", "seed=0,1"]
    with output.open("w") as stream:
        process = warm.Popen(
            [sys.executable, "-uc", IMPATIENT, *words], cwd=tmp_path, stdout=stream, stderr=stream,
            env={**os.environ, "MISBEHAVES": place},
        )  # fmt: skip
    deadline = time.monotonic() + 120
    while says not in output.read_text():
        assert time.monotonic() < deadline and process.poll() is None, output.read_text()
        time.sleep(0.05)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130 and time.monotonic() - asked < 10
    check_all_ended(before)
    assert (tmp_path / "results").exists() == (place == "dividing")
    assert "Traceback" not in output.read_text()
