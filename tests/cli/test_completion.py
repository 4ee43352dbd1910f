"""Completion: what a shell asks, and what it is answered."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnbench import store
from bnbench.cli.completion import settings
from bnbench.cli.listing import KINDS
from bnbench.config import GROUPS, Composer
from bnbench.launch import LAUNCHERS
from bnbench.norms import NORMS
from bnbench.reports import FORMATS, VIEWS
from bnbench.schema import Known
from bnbench.spec import run_id
from bnbench.study.catalog import SCALES
from tests.conftest import make_spec

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
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True)
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


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sweeps of which nothing is trained, one of them damaged, under results/ and elsewhere/."""
    folder = tmp_path_factory.mktemp("completed")
    first = [make_spec(f"norm={norm}", f"batch_size={size}") for norm in ("none", "batch") for size in (8, 32)]
    store.enter_runs(folder / "results/first", first, {}, {})
    store.enter_runs(folder / "results/second", [make_spec("model=mlp"), make_spec("model=cnn")], {}, {})
    store.enter_runs(folder / "elsewhere/third", [make_spec("lr=0.1"), make_spec("lr=0.2")], {}, {})
    shutil.copytree(folder / "results/first", folder / "results/fine-no-more")
    (folder / "results/fine-no-more/runs.csv").write_text("run_id")
    return folder


RUN = run_id(make_spec("model=mlp"))


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("report", ""), ["fine-no-more", "first", "second"]),
        (("report", "first", "se"), ["second"]),
        (("--results", "elsewhere", "report", ""), ["third"]),
        (("report", "--results", "elsewhere", ""), ["third"]),
        (("show", RUN[:6]), [RUN]),
        (("sweep", "--name", "f"), ["fine-no-more", "first"]),
        (("run", "--name", "s"), ["second"]),
        (("report", "first", "--baseline", ""), ["batch_size=", "norm="]),
        (("report", "first", "--baseline", "norm", "=", ""), ["batch", "none"]),
        (("report", "first", "--baseline", "norm", "=", "n"), ["none"]),
        (("report", "first", "--baseline=norm", "=", "n"), ["none"]),
        (("report", "first", "--baseline", "="), ["batch_size=", "norm="]),
        (("report", "second", "--baseline", "m"), ["model=cnn", "model=mlp"]),
        (("report", "fine-no-more", "--baseline", ""), []),
        (("report", "first", "--view", ""), list(VIEWS)),
        (("report", "first", "--format", ""), list(FORMATS)),
        (("report", "first", "--lr", ""), ["all", "best"]),
        (("study", "show", "--scale", ""), list(SCALES)),
        (("study", "run", "--scale", "g"), ["gpu"]),
        (("sweep", "--launcher", ""), list(LAUNCHERS)),
        (("sweep", "--lanes", ""), ["auto", "off"]),
        (("list", ""), [*KINDS, "probes", "settings", "studies"]),
        (("list", "no"), ["norms"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_bash_on_names_and_results(results: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert sorted(bash(results, "bnbench", *words)) == sorted(offered)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("sweep norm=ba", ["norm=batch", "norm=batch_instance"]),
        ("report first --baseline norm=n", ["norm=none"]),
        ("report 'first' --results elsewhere t", ["third"]),
        ("report first --baseline ", ["batch_size=", "norm="]),
    ],
)
def test_another_shell_has_whole_words(results: Path, words: str, offered: list[str]) -> None:
    asked = {"_BNBENCH_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    environment = {**os.environ, **asked, "_TYPER_COMPLETE_ARGS": f"bnbench {words}"}
    command = [sys.executable, "-X", "importtime", "-c", PROGRAM]
    start = time.monotonic()
    done = subprocess.run(
        command, cwd=results, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert sorted(done.stdout.split()) == offered
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
