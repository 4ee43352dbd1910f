"""The names of sweeps: one is chosen where none is given, and two grids are not mixed by accident."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest

import bnbench
from bnbench import store
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.errors import InvalidRequest
from bnbench.session import planning
from bnbench.session.naming import free_name
from tests import warm
from tests.cli.test_progress import TAKE_TERMINAL
from tests.cli.test_sweep import SMALL, rows
from tests.conftest import Program, make_spec

DAY = date(2026, 11, 26)
GRID = ("norm=none,batch", "seed=0,1")
SWEEP = ("sweep", "--name", "s", "--launcher", "inline", *SMALL)


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        ([["model=mlp"]], "mlp-digits-2026-11-26"),
        ([["model=mlp", "norm=none"], ["model=mlp", "norm=group"]], "mlp-digits-2026-11-26"),
        ([["model=torchvision", "model.name=resnet34", "dataset=cifar10"]], "resnet34-cifar10-2026-11-26"),
        ([["model=mlp"], ["model=cnn"], ["model=resnet20"]], "3-models-digits-2026-11-26"),
        ([["dataset=digits"], ["dataset=synthetic"]], "cnn-2-datasets-2026-11-26"),
        ([["model=torchvision", "model.name='../x y'"]], "x-y-digits-2026-11-26"),
    ],
)
def test_a_name_says_model_dataset_and_date(tmp_path: Path, cells: list[list[str]], name: str):
    # a request is named before it is refused, as for a model that there is not
    specs = [spec for cell in cells for spec in compose_request(cell, components()).specs]
    assert free_name(specs, tmp_path, DAY) == name


def test_a_name_that_is_taken_is_numbered(tmp_path: Path):
    taken = []
    for put in (Path.mkdir, Path.touch, lambda path: path.symlink_to("absent")):
        taken.append(free_name([make_spec()], tmp_path, DAY))
        put(tmp_path / taken[-1])
    assert taken == ["cnn-digits-2026-11-26", "cnn-digits-2026-11-26-2", "cnn-digits-2026-11-26-3"]


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    """What a sweep of an MLP on digits is named, on a day that does not end while a test runs."""

    class Calendar(date):
        @classmethod
        def today(cls) -> date:
            return DAY

    monkeypatch.setattr(planning, "date", Calendar)
    return f"mlp-digits-{DAY}"


def test_a_sweep_without_a_name_gets_one_and_says_which(program: Program, name: str, tmp_path: Path):
    words = ("sweep", "--launcher", "inline", *SMALL, "norm=none")
    looked = program(*words, "--dry-run")
    assert looked.code == 0 and f"name: {name} " in looked.out and not list(tmp_path.iterdir())
    for number in ("", "-2", "-3"):
        done = program(*words)
        assert done.code == 0 and f"name: {name}{number} (--name {name}{number} goes on with this sweep)" in done.out
        assert len(rows(f"results/{name}{number}/runs.csv")) == 1
    goes_on = program(*words, "--name", name)
    assert goes_on.code == 0 and "nothing to train" in goes_on.out and "name: " not in goes_on.out


def test_a_sweep_without_a_name_that_is_interrupted_says_how_it_goes_on(
    program: Program, name: str, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["bnbench.session.execution"], "dispatch", interrupted)
    done = program("sweep", "--launcher", "inline", *SMALL)
    assert done.code == 130 and f"say --name {name}" in done.out


def test_a_sweep_without_a_name_from_python(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    summary = bnbench.sweep(*SMALL, "norm=none", jobs=1)
    assert summary.folder == tmp_path / "results" / name


def test_another_grid_needs_consent(program: Program, tmp_path: Path):
    assert program(*SWEEP, *GRID).code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    larger = ("norm=none,batch,layer", "seed=0,1")
    for words, new in ((larger, 2), (("norm=layer",), 1), ((*GRID, "lr=0.01"), 4)):
        refused = program(*SWEEP, *words)
        asked = f"error: sweep s holds another grid: 4 runs there, {new} new; add these with --extend, or choose"
        assert refused.code == 2 and refused.err.startswith(asked) and refused.err.count("\n") == 1
        assert refused.out == "planning s ...\n"
        looked = program(*SWEEP, *words, "--dry-run")
        assert looked.code == 0 and "s extends a sweep" in looked.out and "say --extend" in looked.out
        with pytest.raises(InvalidRequest, match=r"4 runs there, . new; add these with extend=True"):
            bnbench.sweep(*SMALL, *words, name="s", jobs=1)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert program(*SWEEP, "--extend", *larger).code == 0 and len(rows("results/s/runs.csv")) == 6
    bnbench.sweep(*SMALL, "norm=rms", name="s", extend=True, jobs=1)
    assert len(rows("results/s/runs.csv")) == 7


@pytest.mark.parametrize(
    "words",
    [GRID, tuple(reversed(GRID)), ("norm=batch,none", "seed=range(2)"), ("norm=batch", "seed=0,1"), ("norm=none",)],
    ids=" ".join,
)
def test_the_same_grid_and_a_part_of_it_need_none(program: Program, words: tuple[str, ...]):
    specs = [make_spec(*SMALL, f"norm={norm}", f"seed={seed}") for norm in ("none", "batch") for seed in (0, 1)]
    store.enter_runs(Path("results/s"), specs, {}, {})
    done = program(*SWEEP, *words)
    assert done.code == 0, done.err
    assert "extends" not in done.out and len(rows("results/s/runs.csv")) == 4


OPTION = """
from torch import nn
class Mine(nn.Identity):
    def __init__(self, num_features, *, strength: float = 1.0):
        super().__init__()
NORMS = {"mine": Mine}
"""


def test_an_option_that_a_plugin_has_got_since_is_another_grid_once_it_is_swept(program: Program):
    Path("mine.py").write_text(OPTION.replace(", *, strength: float = 1.0", ""))
    words = (*SWEEP, "--plugin", "mine.py", "norm=mine")
    assert program(*words).code == 0
    Path("mine.py").write_text(OPTION)
    assert program(*words).code == 0
    refused = program(*words, "norm.strength=1.0,2.0")
    assert refused.code == 2 and "2 runs there, 1 new" in refused.err


@pytest.mark.parametrize(
    ("answer", "code"), [(b"y\n", 0), (b"n\n", 2), (b"\n", 2), (b"\x04", 2), (b"\x03", 130)], ids=repr
)
def test_a_person_at_a_terminal_is_asked(program: Program, tmp_path: Path, answer: bytes, code: int):
    store.enter_runs(tmp_path / "results/s", [make_spec(*SMALL, "norm=none")], {}, {})
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "bnbench", *SWEEP, "norm=batch"]
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
    with warm.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=environment, start_new_session=True,
        preexec_fn=TAKE_TERMINAL,
    ) as process:  # fmt: skip
        os.close(theirs)
        said = _read_until(ours, b"[y/n]")
        assert b"sweep s holds another grid: 1 run there, 1 new. Add these?" in said
        os.write(ours, answer)
        while answer == b"\x03" and not _ends(process):
            os.write(ours, answer)  # Python sleeps through one that comes just before it waits for a line
        said += _read_until(ours, None)
        assert process.wait(120) == code, said
    os.close(ours)
    assert len(rows("results/s/runs.csv")) == (2 if code == 0 else 1)
    assert b"Traceback" not in said


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """Within five seconds."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    return process.returncode is not None


def _read_until(terminal: int, end: bytes | None) -> bytes:
    said = b""
    while end is None or end not in said:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            part = b""
        if not part:
            break
        said += part
    return said
