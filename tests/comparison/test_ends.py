"""A comparison that is stopped leaves no process behind, at whatever depth."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import warm
from tests.products import long

WORDS = [sys.executable, "-m", "bnbench", "compare", "rms", "--against", "layer", "--scale", "smoke", "--jobs", "2"]


def _wait_until(holds: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


@pytest.mark.usefixtures("compiled")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=long)])
def test_nothing_is_left_of_a_comparison_that_is_stopped(tmp_path: Path, end: signal.Signals):
    before = warm.living()
    process = warm.Popen(WORDS, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_until(lambda: len(list(tmp_path.glob("results/*/segments/*.runs.csv"))) > 1, seconds=240)
    assert len(warm.living() - before) > 3, "questions are asked by processes"
    process.send_signal(end)
    out, err = process.communicate(timeout=60)
    if end == signal.SIGINT:
        assert process.returncode == 130 and err == ""
        assert out.splitlines()[-1] == "interrupted; the same command goes on where it stopped"
    _wait_until(lambda: not warm.living() - before, seconds=30)
