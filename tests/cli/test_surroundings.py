"""Machines that lack what most have: a home, a console for all letters, names in UTF-8, layers that ever return."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bnbench import session, store
from bnbench.user_cache import keep, kept_folder, kept_text
from tests import warm
from tests.cli.test_hostile import controls
from tests.cli.test_sweep import SMALL, rows
from tests.conftest import Program, make_spec
from tests.products import long

COMMANDS = """
import sys
from bnbench.cli import main
for line in sys.stdin.buffer.read().decode(sys.getfilesystemencoding(), "surrogateescape").splitlines():
    sys.argv = ["bnbench", *line.split("\\t")]
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        print(f"\\nexit {end.code or 0}", flush=True)
"""
NO_HOME = ("unshare", "--user", "--map-user=12345")
"""A user without an entry in the list of users."""
ODD = os.fsdecode(b"\xff\xe4")
PLUGIN = '''
from torch import nn

class Mine(nn.Module):
    """中文."""
    def __init__(self, num_features: int, *, label: str = "中"):
        super().__init__()

    def forward(self, x):
        return x * 1.0

def broken(root, *, label: str = "中"):
    raise ValueError("中文")

NORMS, DATASETS = {"mine": Mine}, {"broken": broken}
'''


def call(here: Path, commands: list[list[str]], *before: str, **variables: str) -> tuple[list[int], bytes]:
    """The exit codes of commands in one process with other variables, and all that they wrote."""
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    environment |= {"PYTHONWARNINGS": "ignore", "PYTHONPATH": str(Path(__file__).parents[2]), **variables}
    words = [*before, sys.executable, "-c", COMMANDS]
    given = "\n".join("\t".join(command) for command in commands).encode(errors="surrogateescape")
    done = subprocess.run(
        words, cwd=here, env=environment, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    codes = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith(b"exit ")]
    assert b"Traceback" not in done.stdout and b"bug in bnbench" not in done.stdout, done.stdout.decode(
        errors="replace"
    )
    return codes, done.stdout


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for variable, value in (("XDG_CACHE_HOME", "relative"), ("HOME", "relative")):
        monkeypatch.setenv(variable, value)
    assert kept_folder("proofs") is None
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kept_folder("proofs") == tmp_path / ".cache/bnbench/proofs"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "cache/bnbench/proofs/one"
    assert kept_folder("proofs") == path.parent and kept_text(path) is None
    keep(path, "中")
    assert kept_text(path) == "中" and path.read_bytes().endswith("\n中".encode())
    path.write_bytes(b"\xff")
    assert kept_text(path) is None and kept_text(path / "inside") is None


@long
@pytest.mark.skipif(subprocess.run([*NO_HOME, "true"], check=False).returncode != 0, reason="no such user can be had")
def test_a_user_without_a_home_trains(tmp_path: Path):
    (tmp_path / "my.py").write_text(PLUGIN, encoding="utf-8")
    runs = ("model=mlp", "epochs=8", "batch_size=4", "seed=0,1")
    commands = [
        ["sweep", "--name", "s", "--plugin", "my.py", *runs, "norm=batch,mine"],
        ["run", "model=mlp", "epochs=1", "--results", "~/x"],
        ["ls", "--data", "~"],
        ["report", "s"],
    ]
    codes, out = call(tmp_path, commands, *NO_HOME)
    assert codes == [0, 2, 2, 0], out.decode()
    assert b"--results ~/x: there is no home folder for ~; write it out" in out
    for cache in ("relative", "/proc/none"):
        places = {"XDG_CACHE_HOME": cache, "TMPDIR": str(tmp_path)}
        assert call(tmp_path, [["run", *SMALL, "--name", "t"]], *NO_HOME, **places)[0] == [0]
    assert not (tmp_path / "relative").exists()


SMALLEST = ("model=mlp", "model.width=8", "epochs=1", "batch_size=256", "dataset=npz")
POOR = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Neither the console nor the names of files have more letters than ASCII."""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a name that is not UTF-8: in it a plugin, data, and the sweeps r and s, which were trained so."""
    folder = tmp_path_factory.mktemp("odd") / ODD
    folder.mkdir()
    (folder / "my.py").write_text(PLUGIN, encoding="utf-8")
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, (400, 8, 8)).astype(np.uint8)
    np.savez(folder / "x.npz", x=images, y=np.array(["中", "é"] * 200))
    results = ["--results", str(folder / "results")]
    small = [*SMALLEST, f"dataset.path='{folder / 'x.npz'}'"]
    norms = ["norm=mine,batch", "norm.label='中','b'", "--plugin", str(folder / "my.py")]
    commands = [
        ["run", *small, "--name", "r", *results],
        ["sweep", "--name", "s", *small, *norms, "--jobs", "1", *results],
        ["study", "show", "memory"],
        ["run", "dataset=broken", "--plugin", str(folder / "my.py")],
    ]
    plain = {**POOR, "BNBENCH_NATIVE": "off"}  # else a compiler begins, for a user who has nothing compiled yet
    codes, out = call(folder.parent, commands, **plain)
    assert codes == [0, 0, 0, 2] and not controls(out.decode("ascii")), out
    (spec,) = (folder / "results/r/specs").iterdir()
    assert call(folder.parent, [["run", "--from", str(spec), "--name", "again"]], **plain)[0] == [0]
    assert (folder.parent / "results/again/specs" / spec.name).read_bytes() == spec.read_bytes()
    return folder


def test_what_is_written_is_utf_8_whatever_a_console_has(odd: Path):
    for path in [*(odd / "results").rglob("*.csv"), *(odd / "results").rglob("*.yaml")]:
        path.read_text(encoding="utf-8")
    assert "norm=mine" in next((odd / "results/s").glob("sweep.yaml")).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"PYTHONIOENCODING": "ascii"}, marks=long, id="ascii"),
        pytest.param({"PYTHONIOENCODING": "cp1252:strict"}, marks=long, id="cp1252"),
        pytest.param(POOR, id="C"),
        pytest.param({"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}, marks=long, id="C.UTF-8"),
    ],
)
def test_letters_that_a_console_lacks_and_names_that_are_not_utf_8(
    tmp_path: Path, odd: Path, variables: dict[str, str]
):
    results, mine = ["--results", str(odd / "results")], ["--plugin", str(odd / "my.py")]
    codes, out = call(
        tmp_path,
        [
            *(["report", "s", "r", *results, *to] for to in ([], ["--format", "markdown"], ["--out", "a.md"])),
            ["show", "r", *results],
            ["ls", *results],
            ["list", "norms", *mine],
            ["list", "datasets", *mine],
            ["--help"],
            ["sweep", "--help"],
            ["run", "--plugin", str(odd / "中")],
            ["run", f"model={ODD}中"],
            ["run", "--name", f"{ODD}中"],
            ["report", f"{ODD}中", *results],
            ["study", "run", "--jobs", "1", f"{ODD}中.yaml"],
        ],
        **variables,
    )
    assert codes == [0, 0, 0, 2, 0, 0, 0, 0, 0, *[2] * 5], out.decode(errors="replace")
    encoding = variables.get("PYTHONIOENCODING", "utf-8" if variables.get("PYTHONUTF8") == "1" else "ascii")
    assert not controls(out.decode(encoding.partition(":")[0]))
    (tmp_path / "a.md").read_text(encoding="utf-8")


EVIL = "\x1b[2J\x9b31m\u202eabc[bold]:skull:\x1b]0;owned\x07"
"""What clears a screen, sets a title and a colour, turns letters round, and is markup for consoles."""


def test_no_cell_steers_a_terminal(program: Program, tmp_path: Path):
    assert program("sweep", "--name", "s", "--launcher", "inline", *SMALL, "norm=batch,none").code == 0
    path = Path("results/s/runs.csv")
    path.write_text(path.read_text().replace(",digits,", f",{EVIL},").replace(",relu,", f",{EVIL},"), encoding="utf-8")
    path.parent.rename(Path("results") / "s\x1b[31m\u202e:skull:")
    (identity, _) = (row["run_id"] for row in rows(next(Path("results").glob("*/runs.csv"))))
    (sweep,) = (f"./{folder}" for folder in Path("results").iterdir())
    (tmp_path / "my.py").write_text(PLUGIN.replace("中文.", "\\x1b[31m [bold]x :skull:."), encoding="utf-8")
    (tmp_path / "mi\x1bne.py").write_text("raise ValueError('\\x1b[31m')")
    shown = [
        ("ls",),
        ("show", identity),
        ("report", sweep),
        *(("report", sweep, "--format", format) for format in ("markdown", "latex", "csv")),
        ("list", "norms", "--plugin", "my.py"),
        ("list", "datasets", "--plugin", "my.py"),
    ]
    refused = [
        ("report", sweep, "--baseline", "model=\x1b[31m"),
        ("report", "absent"),
        ("run", "--plugin", "mi\x1bne.py"),
        ("run", "norm=\x1b[31m"),
        ("run", "--from", "\x1b[31m"),
        ("study", "show", "\x1b[31m"),
    ]
    for words in [*shown, *refused]:
        result = program(*words)
        assert not controls(result.out + result.err), words
        assert "💀" not in result.out + result.err
        assert result.code == (2 if words in refused else 0), result.err
    assert r"\x1b[2J\x9b31m\u202eabc[bold]:skull:" in program("show", identity).out


def test_names_are_whole_in_a_pipe(program: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = "n" * 100
    store.enter_runs(Path("results") / name, [make_spec()], {}, {})
    assert name in program("ls").out


@pytest.mark.parametrize(
    "how",
    [("run",), pytest.param(("sweep", "--jobs", "1"), marks=long), ("sweep", "--launcher", "inline")],
    ids=" ".join,
)
def test_a_layer_that_hangs_is_named(program: Program, monkeypatch: pytest.MonkeyPatch, how: tuple[str, ...]):
    monkeypatch.setattr(session.monitor, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(session.monitor, "SILENT_SECONDS", 1.0)
    plugin = PLUGIN.replace(
        "return x * 1.0", "self.calls += 1\n        time.sleep(2 * (self.calls == 4))\n        return x"
    )
    plugin = plugin.replace("super().__init__()", "super().__init__()\n        self.calls = 0")
    Path("my.py").write_text(f"import time\n{plugin}", encoding="utf-8")
    result = program(*how, "--name", "s", "--plugin", "my.py", *SMALL, "norm=mine")
    assert result.code == 0, result.err
    told = [line for line in result.out.splitlines() if line.startswith("nothing from ")]
    assert 1 <= len(told) <= 6 and all("norm=mine model=mlp dataset=digits seed=0 for " in line for line in told)
    monkeypatch.setattr(session.monitor, "SILENT_SECONDS", 600.0)
    assert "nothing from" not in program(*how, "--name", "t", *SMALL).out


def test_a_temporary_folder_with_a_long_path(tmp_path: Path):
    """Too long for the name of a socket: those of the processes are elsewhere."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    words = ["sweep", "--name", "s", "--jobs", "2", "model=mlp", "epochs=1", "seed=0,1"]
    done = warm.run(
        [sys.executable, "-m", "bnbench", *words], cwd=tmp_path, env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and "2 completed" in done.stdout, done.stderr
    assert not list(folder.glob("bnbench-tmp-*"))
