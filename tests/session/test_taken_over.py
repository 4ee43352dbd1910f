"""A sweep whose program is stopped for too long is taken over by another machine; nothing is lost or doubled."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bnbench import store
from tests.products import long

ELSEWHERE = """
import fcntl, socket, sys
fcntl.flock = lambda *_: None
socket.gethostname = lambda: {host!r}
from bnbench.store import lease
lease.LEASE_SECONDS = 3.0
sys.argv = ["bnbench", *{words!r}]
from bnbench.cli import main
main()
"""
"""The program on a machine of another name, on a file system whose locks do not reach it."""
WORDS = ("model=mlp", "model.width=64", "norm=batch,none", "seed=0,1", "epochs=3000", "lr=0.1", "--jobs", "2")
"""A sweep that takes seconds longer than its first rows, on a quick machine too."""


@contextmanager
def elsewhere(host: str, name: str) -> Iterator[subprocess.Popen[str]]:
    """The program, with all that it began, until the end of a test: one that is stopped ends by no signal but this."""
    words = ("sweep", "--name", name, *WORDS)
    with subprocess.Popen(
        [sys.executable, "-c", ELSEWHERE.format(host=host, words=words)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as program:  # fmt: skip
        try:
            yield program
        finally:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)


def rows(table: str) -> list[dict[str, str]]:
    with Path(f"results/{table}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@long
@pytest.mark.parametrize("who", ["program", "all"])
def test_a_stopped_program_loses_its_sweep_and_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: None, who: str
) -> None:
    """Its workers are stopped with it, or train on."""
    monkeypatch.chdir(tmp_path)
    with elsewhere("here", "whole") as whole:
        whole.communicate(timeout=300)
    stop = os.killpg if who == "all" else os.kill
    with elsewhere("here", "s") as late:
        deadline = time.monotonic() + 120
        while not any(path.stat().st_size > 300 for path in Path("results/s/segments").glob("*.metrics.csv")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        stop(late.pid, signal.SIGSTOP)
        time.sleep(3.5)
        with elsewhere("there", "s") as second:
            while store.lease.other_host(Path("results/s")) != "there":
                assert time.monotonic() < deadline
                time.sleep(0.02)
            stop(late.pid, signal.SIGCONT)
            out, err = late.communicate(timeout=120)
            assert late.returncode == 1 and "results/s was taken over by another bnbench" in err, (out, err)
            assert "Traceback" not in out + err
            out, err = second.communicate(timeout=300)
            assert second.returncode == 0 and "was held by a bnbench on here, which seems to be dead" in err, (out, err)
    told = ("run_id", "status", "steps_done", "test_loss")
    ours, theirs = ([[row[name] for name in told] for row in rows(f"{sweep}/runs")] for sweep in ("s", "whole"))
    assert ours == theirs and rows("s/metrics") == rows("whole/metrics")
