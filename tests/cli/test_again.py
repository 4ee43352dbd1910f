"""The same command again, whatever came of the first one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conftest import Program
from tests.products import long, whole

SMALL = ("model=mlp", "model.width=8", "model.depth=1", "batch_size=256")
PLUGIN = """
import os
from torch import nn

class Fussy(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        if self.calls > 3:
            raise RuntimeError("no more")
        return x

class Quits(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x):
        os._exit(0)

class Interrupts(Fussy):
    def forward(self, x):
        if os.path.exists("interrupt"):
            raise KeyboardInterrupt
        return x

NORMS = {"fussy": Fussy, "quits": Quits, "interrupts": Interrupts}
"""

CASES = {
    "success": (["norm=none,batch", "epochs=1"], 0, {"completed": 2}),
    "divergence": (["norm=none", "lr=1e10,0.1", "epochs=1"], 0, {"diverged": 1, "completed": 1}),
    "only divergence": (["norm=none", "lr=1e10", "epochs=1"], 0, {"diverged": 1}),
    "failure": (["norm=fussy,none", "epochs=2"], 1, {"failed": 1, "completed": 1}),
    "only failure": (["norm=fussy", "epochs=2", "seed=0,1"], 1, {"failed": 2}),
    "impossible": (["norm=group", "norm.groups=3,4", "epochs=1"], 1, {"impossible": 1, "completed": 1}),
    "an end in planning": (["norm=quits,none", "epochs=1"], 1, {"impossible": 1, "completed": 1}),
}


def statuses(folder: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in csv.DictReader((folder / "runs.csv").read_text().splitlines()):
        found[row["status"]] = found.get(row["status"], 0) + 1
    return found


@pytest.mark.parametrize(
    ("case", "jobs"),
    [
        *(pytest.param(case, ("--jobs", "2"), marks=long if "divergence" in case else ()) for case in CASES),
        *(pytest.param(case, ("--launcher", "inline"), marks=() if case == "success" else long) for case in CASES),
        *(
            pytest.param(case, jobs, marks=() if case == "failure" else whole)
            for case in CASES
            for jobs in ((), ("--jobs", "1"))
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_nothing_is_trained_twice(program: Program, tmp_path: Path, case: str, jobs: tuple[str, ...]):
    overrides, code, expected = CASES[case]
    (tmp_path / "plugin.py").write_text(PLUGIN)
    words = ("sweep", "--name", "s", "--plugin", "plugin.py", *jobs, *SMALL, *overrides)
    assert program(*words).code == code
    table = (tmp_path / "results/s/runs.csv").read_text()
    assert statuses(tmp_path / "results/s") == expected
    again = program(*words)
    assert (again.code, again.err) == (code, "") and "nothing to train" in again.out, again.out
    assert (tmp_path / "results/s/runs.csv").read_text() == table
    dry = program(*words, "--dry-run")
    assert (dry.code, dry.err) == (0, "") and "0 to train" in dry.out


def test_what_was_interrupted_goes_on_and_an_extension_trains_what_is_new(program: Program, tmp_path: Path):
    (tmp_path / "plugin.py").write_text(PLUGIN)
    words = ("sweep", "--name", "s", "--plugin", "plugin.py", *SMALL, "epochs=1", "norm=interrupts,none")
    (tmp_path / "interrupt").touch()
    assert program(*words).code == 1
    assert statuses(tmp_path / "results/s") == {"impossible": 1, "completed": 1}
    (tmp_path / "interrupt").unlink()
    assert "1 to train" in (first := program(*words)).out and first.code == 0, first.out
    for _ in range(2):
        extended = program(*words, "--extend", "seed=0,1")
        assert extended.code == 0, extended.err
    assert "nothing to train" in extended.out and statuses(tmp_path / "results/s") == {"completed": 4}
