"""A test that hangs says where, and is ended; the others are run all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.products import long

TESTS = """
import threading

def test_that_hangs():
    threading.Event().wait()

def test_behind_it():
    pass
"""
SETTINGS = Path(__file__).parents[1] / "pyproject.toml"


@long
def test_a_test_that_hangs_is_ended_and_the_others_go_on(tmp_path: Path):
    (tmp_path / "test_both.py").write_text(TESTS)
    words = ["-c", SETTINGS, "--rootdir", tmp_path, "-p", "no:cacheprovider", "-n", "1", "-o", "faulthandler_timeout=2"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "test_both.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "crashed while running 'test_both.py::test_that_hangs'" in done.stdout
    assert "Timeout (0:00:02)!" in done.stderr and " in test_that_hangs\n" in done.stderr


def test_every_test_has_a_limit_of_its_own(pytestconfig: pytest.Config):
    assert float(pytestconfig.getini("faulthandler_timeout")) > 0
