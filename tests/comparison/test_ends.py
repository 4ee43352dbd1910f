"""A comparison that is stopped leaves no process behind, at whatever depth."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

WORDS = [sys.executable, "-m", "bnbench", "compare", "rms", "--against", "layer", "--scale", "smoke", "--jobs", "2"]


def _marked(folder: Path) -> list[int]:
    """The processes that were begun with a folder in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            found += [int(process.parent.name)] if f"MARK={folder}".encode() in process.read_bytes() else []
    return found


def _wait_until(holds: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_comparison_that_is_stopped(tmp_path: Path, end: signal.Signals):
    process = subprocess.Popen(
        WORDS, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "MARK": str(tmp_path)},
    )  # fmt: skip
    _wait_until(lambda: len(list(tmp_path.glob("results/*/segments/*.runs.csv"))) > 1, seconds=120)
    assert len(_marked(tmp_path)) > 3, "questions are asked by processes"
    process.send_signal(end)
    out, err = process.communicate(timeout=60)
    if end == signal.SIGINT:
        assert process.returncode == 130 and err == ""
        assert out.splitlines()[-1] == "interrupted; the same command goes on where it stopped"
    _wait_until(lambda: not _marked(tmp_path), seconds=30)
