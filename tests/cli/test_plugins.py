"""What a user's own code may do: leave, fail, break the contract, change the folder, import what is beside it."""

import csv
import os
import shutil
from pathlib import Path

import pytest

from bnbench import session, store
from bnbench.errors import PluginError
from tests.conftest import Program
from tests.products import long

SMALL = ("model=mlp", "model.width=16", "epochs=1")
PLUGIN = """
import os, sys
from torch import nn

class Base(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.calls = 0

class Leaves(Base):
    def forward(self, x):
        sys.exit(0)

class LeavesLate(Base):
    def forward(self, x):
        self.calls += 1
        if self.calls > 4:
            sys.exit(0)
        return x

class Kills(Base):
    def forward(self, x):
        self.calls += 1
        if self.calls > 4:
            os._exit(0)
        return x

class Raises(Base):
    def forward(self, x):
        raise ValueError("boom")

class Pair(Base):
    def forward(self, x):
        return x, x

class Moves(Base):
    def forward(self, x):
        os.chdir("/")
        return x

def broken(root):
    raise ValueError("no examples today")

NORMS = {"leaves": Leaves, "leaves_late": LeavesLate, "kills": Kills, "raises": Raises, "pair": Pair, "moves": Moves}
DATASETS = {"broken": broken}
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


def statuses(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with path.open() as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["norm"], set()).add(row["status"])
    return found


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("norm=leaves", ["norm=leaves", "SystemExit: 0"]),
        ("norm=pair", ["norm=pair must return a tensor of its input's shape and dtype; got a tuple"]),
        ("dataset=broken", ["dataset=broken raised ValueError: no examples today", "mine.py", "raise ValueError"]),
    ],
)
def test_is_refused_before_training(program: Program, tmp_path: Path, plugin: Path, override: str, says: list[str]):
    result = program("run", "--plugin", "mine.py", override)
    assert result.code == 2
    assert all(part in result.err for part in says), result.err
    assert "Traceback" not in result.err and list(tmp_path.iterdir()) == [plugin]


@pytest.mark.parametrize("error", ["sys.exit(0)", "class Mine(BaseException): ...\nraise Mine('leave')"])
def test_an_import_that_leaves_is_an_error(program: Program, tmp_path: Path, error: str):
    (tmp_path / "leave.py").write_text(f"import sys\n{error}\n")
    result = program("run", "--plugin", "leave.py")
    assert result.code == 2 and "leave.py raised" in result.err and "Traceback" not in result.err


@pytest.mark.parametrize("words", [("run",), ("sweep", "--name", "s", "--launcher", "inline")])
def test_leaving_in_training_is_a_failed_run(program: Program, plugin: Path, words: tuple[str, ...]):
    result = program(*words, "--plugin", "mine.py", *SMALL, "norm=leaves_late")
    assert result.code == 1 and "SystemExit: 0" in result.out


def test_a_look_at_a_sweep_survives_a_norm_that_leaves(program: Program, plugin: Path):
    result = program("sweep", "--name", "s", "--plugin", "mine.py", *SMALL, "norm=leaves_late,none", "--dry-run")
    assert result.code == 0 and "estimated time" in result.out


def test_each_norm_of_a_sweep_fails_alone(program: Program, tmp_path: Path, plugin: Path):
    norms = "norm=none,leaves,leaves_late,kills,raises,pair"
    result = program("sweep", "--name", "s", "--plugin", "mine.py", "--jobs", "2", *SMALL, norms, "seed=0,1")
    assert result.code == 1, result.err
    assert statuses(tmp_path / "results/s/runs.csv") == {
        "none": {"completed"},
        "leaves": {"impossible"},
        "leaves_late": {"failed"},
        "kills": {"failed"},
        "raises": {"failed"},
        "pair": {"impossible"},
    }
    assert "the worker process ended with exit code 0" in result.out and "This is a bug" not in result.err


HELPED = """
from torch import nn

class Helped(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x):
        from aid import twice
        return twice(x)

NORMS = {"helped": Helped}
"""


@pytest.mark.parametrize(
    "launcher",
    [pytest.param(("--launcher", "inline"), id="inline", marks=long), pytest.param(("--jobs", "2"), id="workers")],
)
def test_what_is_beside_a_plugin_is_imported_in_every_process(program: Program, tmp_path: Path, launcher):
    """Also from another folder, and what was trained with another helper is not finished."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/mine.py").write_text(HELPED)
    (tmp_path / "code/aid.py").write_text("def twice(x): return 2 * x")
    words = ("sweep", "--name", "s", "--plugin", "code/mine.py", *launcher, *SMALL, "norm=helped,none", "seed=0,1")
    assert " 4 to train" in program(*words, "--dry-run").out
    assert program(*words).code == 0
    assert "0 to train" in program(*words, "--dry-run").out
    (tmp_path / "code/aid.py").write_text("def twice(x): return x + x")
    assert "2 to train" in program(*words, "--dry-run").out
    assert program(*words).code == 0
    assert statuses(tmp_path / "results/s/runs.csv") == {"helped": {"completed"}, "none": {"completed"}}


SCALED = """
import aid
from torch import nn

class Scaled(nn.Module):
    def __init__(self, num_features: int, *, fails: bool = False) -> None:
        super().__init__()
        self.fails, self.calls = fails, 0

    def forward(self, x):
        from folder.deep import SHIFT
        self.calls += 1
        if self.fails and self.calls > 4:
            raise ValueError("boom")
        return x * aid.NUMBER + SHIFT

NORMS = {"scaled": Scaled}
"""
BESIDE = {"mine.py": SCALED, "aid.py": "NUMBER = 0.5", "folder/deep.py": "SHIFT = 0.25"}
AFTERWARDS = {
    "edited": {
        "mine.py": SCALED.replace("x * aid", "-x * aid"),
        "aid.py": "NUMBER = 0.75",
        "folder/deep.py": "SHIFT = 0",
    },
    "garbage": dict.fromkeys(BESIDE, "x = ("),
    "deleted": {},
}


def put(folder: Path, files: dict[str, str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("afterwards", "jobs"),
    [
        pytest.param(afterwards, jobs, marks=() if (afterwards, jobs) in (("edited", 1), ("deleted", 2)) else long)
        for afterwards in AFTERWARDS
        for jobs in (1, 2)
    ],
)
def test_a_sweep_trains_the_code_with_which_it_began(tmp_path: Path, afterwards: str, jobs: int):
    """Whatever becomes of the files, in this process and in others; the next command reads them again."""
    code = tmp_path / "code"

    def plan(name: str) -> session.Plan:
        words = (*SMALL, "norm=scaled", "norm.fails=false,true", "lr=0.01,0.1")
        return session.plan_sweep(session.Grid(words), name, session.Paths(tmp_path, tmp_path, code / "mine.py"))

    tables = {}
    for name in ("before", "after"):
        put(code, BESIDE)
        planned = plan(name)
        put(code, BESIDE if name == "before" else AFTERWARDS[afterwards])
        session.execute(planned, session.options_without_launcher(planned, jobs))
        tables[name] = store.load_runs(planned.folder), store.load_metrics(planned.folder)
    assert set(tables["after"][0]["plugin"]) == {planned.components.source_hash}
    compared = ["run_id", "status", "error", "val_accuracy", "test_accuracy"]
    assert tables["after"][0][compared].equals(tables["before"][0][compared])
    assert tables["after"][1].equals(tables["before"][1])
    errors = tables["after"][0].query("status == 'failed'")["error"]
    line = SCALED.splitlines().index('            raise ValueError("boom")') + 1
    assert len(errors) == 2 and all(f'mine.py:{line}: raise ValueError("boom")' in error for error in errors)
    if afterwards == "edited":
        assert len(plan("after").pending) == 4
    else:
        with pytest.raises(PluginError):
            plan("after")


def test_a_module_beside_a_plugin_may_have_any_name(program: Program, tmp_path: Path):
    """Also one of bytes that are no text."""
    put(
        tmp_path / "code",
        {"mine.py": HELPED.replace("from aid", "from kit.aid"), "kit/aid.py": "def twice(x): return 2 * x"},
    )
    (tmp_path / "code/kit" / os.fsdecode(b"caf\xe9.py")).write_text("UNUSED = 1")
    result = program("run", "--plugin", "code/mine.py", *SMALL, "norm=helped")
    assert result.code == 0, result.err


@pytest.mark.parametrize(("name", "line"), [("leaves_late", "sys.exit(0)"), ("raises", 'raise ValueError("boom")')])
def test_a_run_that_fails_names_the_line(program: Program, plugin: Path, name: str, line: str):
    result = program("run", "--plugin", "mine.py", *SMALL, f"norm={name}")
    last = max(number for number, text in enumerate(PLUGIN.splitlines(), 1) if text.strip() == line)
    assert result.code == 1
    assert f"mine.py:{last}: {line}" in result.out.replace("\n", ""), result.out


def test_a_plugin_may_change_the_folder(program: Program, tmp_path: Path, plugin: Path):
    (tmp_path / "elsewhere").mkdir()
    plugin.write_text(f"import os\nos.chdir('elsewhere')\n{PLUGIN}")
    words = ("--plugin", "mine.py", "--results", "here", *SMALL, "norm=moves,none", "seed=0,1")
    result = program("sweep", "--name", "s", "--launcher", "inline", *words)
    assert result.code == 0, result.err
    assert statuses(tmp_path / "here/s/runs.csv") == {"moves": {"completed"}, "none": {"completed"}}
    assert not list((tmp_path / "elsewhere").iterdir())


COUNTS = """
from torch import nn

class Counts(nn.Module):
    calls = 0

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x):
        Counts.calls += 1
        return x

NORMS = {"counts": Counts}
"""


def test_why_runs_are_trained_alone_is_in_their_logs(program: Program, tmp_path: Path):
    (tmp_path / "counts.py").write_text(COUNTS)
    result = program("sweep", "--name", "s", "--plugin", "counts.py", *SMALL, "norm=counts", "seed=0,1")
    assert result.code == 0, result.err
    with (tmp_path / "results/s/runs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["engine"] for row in rows] == ["reference", "reference"]
    because = "class Counts.calls changes from step to step, or may, and belongs to more than one run"
    for row in rows:
        text = (tmp_path / f"results/s/logs/{row['run_id']}.log").read_text()
        assert text == f"trained alone, which is slower: {because}\n"
