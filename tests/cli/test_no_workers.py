"""Where the system lets no worker process be started, one message says so, why, and what needs none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm

PROGRAM = """
import multiprocessing, tempfile
{refusal}
from bnbench.cli import main
main()
"""
PLUGIN = """
from torch import nn

class Mine(nn.Identity):
    def __init__(self, num_features: int) -> None:
        super().__init__()

NORMS = {"mine": Mine}
"""
REFUSALS = {
    "no interpreter": (
        "multiprocessing.set_executable('/nowhere/python')",
        "/nowhere/python: No such file or directory",
    ),
    "not executable": ("multiprocessing.set_executable('/dev/null')", "/dev/null: Permission denied"),
    "ends at once": ("multiprocessing.set_executable('/bin/false')", "/bin/false ended with exit code 1"),
    "no room for a socket": (
        "tempfile._candidate_tempdir_list = lambda: ['/nowhere']",
        "No usable temporary directory found in ['/nowhere']",
    ),
    "no process for a worker": (
        "import multiprocessing.util as util; spawn = util.spawnv_passfds\n"
        "full = 'import os\\ndef fork(): raise BlockingIOError(11, str())\\nos.fork = fork\\n'\n"
        "util.spawnv_passfds = lambda path, args, fds: spawn(path, [*args[:-1], full + args[-1]], fds)",
        "the process that starts them has ended",
    ),
    "a server that dies": (
        "from multiprocessing import forkserver; forkserver.main = None\n"
        "import multiprocessing.util as util; spawn = util.spawnv_passfds\n"
        "util.spawnv_passfds = lambda path, args, fds: spawn(path, [*args[:-1], 'pass'], fds)",
        "the process that starts them has ended",
    ),
}
GRID = ("sweep", "--name", "s", "model=mlp", "model.depth=1", "model.width=8", "steps=2", "seed=1,2")
COMMANDS = [
    (*GRID, "--jobs", "2"),
    (*GRID, "--plugin", "plugin.py", "norm=mine"),
    ("run", "--plugin", "plugin.py", "model=mlp", "norm=mine"),
    ("study", "run", "memory", "--scale", "smoke"),
    ("list", "norms", "--plugin", "plugin.py"),
]


def call(here: Path, refusal: str, *words: str) -> subprocess.CompletedProcess[str]:
    (here / "plugin.py").write_text(PLUGIN)
    program = PROGRAM.format(refusal=REFUSALS[refusal][0])
    return warm.run(
        [sys.executable, "-c", program, *words], cwd=here, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="workers are started by a fork server on Linux alone")
@pytest.mark.parametrize(
    ("refusal", "words"),
    [*((refusal, COMMANDS[0]) for refusal in REFUSALS), *(("no interpreter", words) for words in COMMANDS[1:])],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_one_message_says_why_no_worker_starts(tmp_path: Path, refusal: str, words: tuple[str, ...]):
    done = call(tmp_path, refusal, *words)
    (message,) = done.stderr.splitlines()
    assert message.startswith(f"error: worker processes cannot be started: {REFUSALS[refusal][1]}; ")
    assert "bnbench sweep --launcher inline and bnbench study run --jobs 1 need none" in message
    assert done.returncode == 1
    if refusal not in ("a server that dies", "no process for a worker"):
        assert not (tmp_path / "results").exists(), "it is told before anything is planned"


@pytest.mark.parametrize("words", [(*GRID, "--launcher", "inline"), ("run", "model=mlp", "steps=2")], ids=" ".join)
def test_what_the_message_names_needs_no_worker(tmp_path: Path, words: tuple[str, ...]):
    done = call(tmp_path, "no interpreter", *words)
    assert done.returncode == 0, done.stderr
