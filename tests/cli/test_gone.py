"""A sweep whose folder is renamed or removed while it is written to: one message, nothing elsewhere, no worker left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests import warm
from tests.conftest import Program

LONG = ("model=mlp", "model.width=16", "epochs=1000000", "evaluate.every=20")
SWEEP = ("sweep", "--name", "s", *LONG, "norm=none,batch", "seed=0,1")
COMMANDS = {
    "workers": (*SWEEP, "--jobs", "2"),
    "many tasks": (*SWEEP, "--jobs", "2", "--lanes", "off"),
    "inline": (*SWEEP, "--launcher", "inline"),
    "run": ("run", "--name", "s", *LONG),
}
PATIENCE = 60.0
IN_THE_BACKGROUND = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
"""As a shell begins what a script puts behind: Ctrl-C does not reach it."""


def wait_for(folder: Path) -> None:
    """Until something has been measured."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if any(path.stat().st_size > 300 for path in folder.glob("segments/*.metrics.csv")):
            return
        time.sleep(0.1)
    raise AssertionError("nothing was trained")


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("workers", "renamed"),
        ("workers", "replaced"),
        ("many tasks", "removed"),
        ("inline", "removed"),
        ("inline", "replaced"),
        ("run", "renamed"),
    ],
)
def test_a_folder_that_goes_while_it_is_written_to(program: Program, tmp_path: Path, command: str, what: str):
    folder, elsewhere, before = tmp_path / "results/s", tmp_path / "results/t", warm.living()
    words = [sys.executable, "-m", "bnbench", *COMMANDS[command]]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    process = warm.Popen(
        words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=IN_THE_BACKGROUND,
    )  # fmt: skip
    wait_for(folder)
    if what == "removed":
        shutil.rmtree(folder)
    else:
        folder.rename(elsewhere)
    if what == "replaced":
        folder.mkdir()
    try:
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 1 and err.count("\n") == 1, err
    assert err.startswith(f"error: {folder} was renamed, moved or removed while it was written to")
    assert folder.exists() == (what == "replaced") and not (folder.exists() and list(folder.iterdir()))
    deadline = time.monotonic() + 10
    while warm.living() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not warm.living() - before
    if what == "renamed":
        elsewhere.rename(folder)
        known = program("ls")
        assert known.code == 0 and re.search(r"[1-4] interrupted", known.out)
