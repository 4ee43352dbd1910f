"""Completion: what a shell asks, and what it is answered."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnbench.cli.completion import settings
from bnbench.config import GROUPS, Composer
from bnbench.norms import NORMS
from bnbench.schema import Known

PROGRAM = "import sys; sys.argv[0] = 'bnbench'; from bnbench.cli import main; main()"
"""By the name under which a shell knows it."""


def bash(folder: Path, *words: str) -> list[str]:
    """What bash offers for the last of some words, which it breaks at each =, with the function that it is given."""
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("there is no bash")
    program = folder / "bnbench"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{PROGRAM}" "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(_BNBENCH_COMPLETE=source_bash bnbench)"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _bnbench_completion bnbench
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    command, path = [shell, "-c", script, "bash", *words], f"{folder}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("sw",), ["sweep"]),
        (("sweep", "no"), [f"norm{option}=" for option in ("", ".eps", ".momentum", ".affine")]),
        (("sweep", "norm", "=", "ba"), ["batch", "batch_instance"]),
        (("sweep", "norm", "=", "batch,gr"), ["batch,group"]),
        (("sweep", "norm", "="), ["batch", "group", "none"]),
        (("sweep", "norm", "=", "batch", "mod"), ["model=", "model.depth="]),
        (("sweep", "norm", "=", "batch", "lr_sc"), ["lr_scaling=none", "lr_scaling=linear", "lr_scaling=sqrt"]),
        (("run", "norm.affine", "=", "b"), ["both"]),
        (("run", "model.name", "=", "resnet1"), ["resnet101", "resnet152", "resnet18"]),
        (("study", "show", "small"), ["small_batch"]),
        (("study", "run", "small_batch", "dataset", "=", "kmn"), ["kmnist"]),
        (("sweep", "nonsense", "=", "x"), []),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_bash(tmp_path, words, offered):
    found = bash(tmp_path, "bnbench", *words)
    assert set(offered) <= set(found) if offered else not found
    assert all(one.startswith(words[-1].strip("=")) for one in found)


def test_another_shell_has_whole_words():
    asked = {"_BNBENCH_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    environment = {**os.environ, **asked, "_TYPER_COMPLETE_ARGS": "bnbench sweep norm=ba"}
    command = [sys.executable, "-X", "importtime", "-c", PROGRAM]
    start = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["norm=batch", "norm=batch_instance"]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported and imported.isdisjoint({"torch", "pandas", "hydra"})
    assert time.monotonic() - start < 5  # of which nearly all is Python's start


def test_every_key_is_offered():
    composer = Composer(Known())
    options = {
        f"{group}.{o}"
        for group in GROUPS
        for name in composer.names(group) or ()
        for o in composer.options(group, name)
    }
    keys = {offer.removesuffix("=") for offer in settings("")}
    nested = {"split", "evaluate"}
    assert keys == {*GROUPS, *options} | {key for key in composer.defaults if key not in nested} | {
        f"{head}.{option}" for head in nested for option in composer.defaults[head]
    }
    assert settings("norm=") == [f"norm={name}" for name in sorted(NORMS)]
