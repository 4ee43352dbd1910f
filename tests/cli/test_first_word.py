"""What can be said without torch is said without it: the first word comes at once."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.user_cache import kept_folder
from tests import warm
from tests.products import long

PROGRAM = """
import json, sys
sys.argv = ["bnbench", *json.loads(sys.argv[1])]
from bnbench.cli import main
try:
    main()
finally:
    open("loaded.json", "w").write(json.dumps(sorted(sys.modules)))
"""
PROGRAMS = """
import json, os, sys
import bnbench.cli.app
for library in ("hydra", "jinja2", "pandas", "rich.console", "scipy.stats", "typer", "yaml"):
    __import__(library)
slow = set(json.loads(sys.argv[1]))
for place, words in enumerate(json.loads(sys.argv[2])):
    if os.fork():
        os.wait()
        continue
    said = os.open(f"said-{place}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.argv = ["bnbench", *words]
    code = "no end"
    try:
        bnbench.cli.main()
    except SystemExit as end:
        code = end.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    with open(f"end-{place}", "w") as stream:
        json.dump([code, sorted(slow & set(sys.modules))], stream)
    os._exit(0)
"""
"""Each command in a copy of a process that has imported libraries, but none of the slow modules."""
SLOW = {"torch", "torchvision", "torch._dynamo"}
SWEEP = ("sweep", "--name", "s", "norm=none,batch", "model=mlp", "dataset=digits", "epochs=1", "seed=0,1")


Start = Callable[..., subprocess.CompletedProcess[str]]


def call(folder: Path, *command: str, start: Start = subprocess.run) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    words = [sys.executable, *command]
    return start(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)


INTERRUPTED = """
import runpy, signal, sys

class Finder:
    @staticmethod
    def find_spec(name, path, target=None):
        if name == sys.argv[-1]:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder)
sys.modules.pop("dataclasses", None)
runpy.run_module("bnbench", run_name="__main__", alter_sys=True)
"""
"""The program, which Ctrl-C reaches when it imports the module that the last word names."""


@pytest.mark.parametrize(
    "module",
    ["dataclasses", *(pytest.param(name, marks=long) for name in ("importlib.metadata", "typer", "rich.text")),
     "bnbench.cli.app"],
)  # fmt: skip
def test_ctrl_c_is_no_error_while_the_program_is_imported(tmp_path: Path, module: str):
    result = call(tmp_path, "-c", INTERRUPTED, "list", module)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def loaded(folder: Path, *words: str, code: int = 0) -> set[str]:
    """The slow ones of the modules that the program has loaded at its end."""
    done = call(folder, "-c", PROGRAM, json.dumps(words))
    assert done.returncode == code, done.stdout + done.stderr
    assert (done.stdout + done.stderr).strip()
    return SLOW & set(json.loads((folder / "loaded.json").read_text()))


@pytest.fixture(scope="module")
def results(compiled: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep, and what was found out for it.

    Of the slow modules, training has loaded torch alone: no stack here is translated.
    """
    folder = tmp_path_factory.mktemp("first_word")
    native = kept_folder("native")
    if native is not None and native.is_dir():  # else there is no compiler
        shutil.copytree(native, folder / "cache/bnbench/native")
    assert loaded(folder, *SWEEP, "--launcher", "inline") == {"torch"}
    return folder


COMMANDS = [
    (0, "--help"),
    (0, "sweep --help"),
    (0, "completion bash"),
    (0, "list settings"),
    (0, "list norms"),
    (0, "list models"),
    (0, "list datasets"),
    (0, "list optims"),
    (0, "list schedules"),
    (0, "list probes"),
    (0, "list"),
    (0, "list studies"),
    (0, "list tasks"),
    (0, "study list"),
    (0, "ls"),
    (0, "show RUN"),
    (0, "ls s norm=none seed=range(2)"),
    (0, "diff RUN RUN"),
    (0, "merge s both"),
    (0, "tag RUN best"),
    (0, "rm --empty-trash --yes"),
    (2, "rename s s"),
    (2, "rm absent"),
    (2, "restore absent"),
    (2, "export s --to tables --out x"),
    (0, "report s"),
    (0, " ".join((*SWEEP, "--dry-run"))),
    (2, "report t"),
    (2, "list norm"),
    (2, "sweep --name bad nrom=batch"),
    (2, "sweep --name bad norm=bacth"),
    (2, "sweep --name bad lr=high"),
    (2, "sweep --name bad norm=group norm.groups=x"),
    (2, "sweep --name bad norm=group norm.group=4"),
    (2, "sweep --name bad --exclude nrom=batch"),
    (2, "sweep --name bad --plugin nowhere.py norm=mine"),
    (2, "list norms --plugin nowhere.py"),
    (2, "run --from nowhere.yaml"),
    (2, "run norm=bacth"),
    (2, "compare rms --on digits-mlq"),
    (2, "study show small_bacth"),
    (2, "study run small_batch nrom=batch"),
]
"""With their exit codes; RUN is a run of the sweep."""


End = tuple[int, list[str], str]
"""The exit code of a command, the slow modules that it has loaded, and what it said."""


@pytest.fixture(scope="module")
def ends(results: Path) -> dict[str, End]:
    """How each command ended."""
    run = next((results / "results" / "s" / "specs").glob("*.yaml")).stem
    lines = [[run if word == "RUN" else word for word in words.split()] for _, words in COMMANDS]
    done = call(results, "-c", PROGRAMS, json.dumps([*SLOW]), json.dumps(lines))
    assert done.returncode == 0, done.stderr
    return {
        words: (*json.loads((results / f"end-{place}").read_text()), (results / f"said-{place}").read_text())
        for place, (_, words) in enumerate(COMMANDS)
    }


@pytest.mark.parametrize(("code", "words"), COMMANDS)
def test_no_torch(ends: dict[str, End], code: int, words: str):
    *end, said = ends[words]
    assert end == [code, []], said
    assert said.strip()


@pytest.mark.parametrize(
    "words",
    [
        SWEEP,
        (*SWEEP[:2], "t", *SWEEP[3:], "--dry-run"),
        pytest.param(("study", "show", "small_batch", "--scale", "smoke"), marks=long),
    ],
)
def test_no_torch_for_what_was_asked_before(results: Path, words: tuple[str, ...]):
    """A finished sweep, a plan and a study: what torch has found once is remembered."""
    first = call(results, "-m", "bnbench", *words, start=warm.run)
    assert first.returncode == 0, first.stderr
    assert not loaded(results, *words)


def test_an_estimate_without_compiled_code_is_remembered_until_there_is_some(tmp_path: Path):
    words = (*SWEEP, "--dry-run")
    first = call(tmp_path, "-m", "bnbench", *words, start=warm.run)
    assert first.returncode == 0 and "compiled code" in first.stdout, first.stderr
    assert not loaded(tmp_path, *words)
    (tmp_path / "cache/bnbench/native/compiled").mkdir(parents=True)
    assert "torch" in loaded(tmp_path, *words)


def test_what_is_remembered_is_the_same(results: Path):
    words = (*SWEEP[:2], "u", "norm=ghost,group,noisy_batch,instance", *SWEEP[4:], "batch_size=2,8", "--dry-run")
    said = [call(results, "-m", "bnbench", *words, start=start) for start in (warm.run, subprocess.run)]
    assert [done.returncode for done in said] == [0, 0]
    plans = [done.stdout.rpartition("estimated time")[0].splitlines() for done in said]
    first, again = ("\n".join(line for line in plan if "elapsed" not in line) for plan in plans)  # of a slow machine
    assert first == again and "norm=ghost norm.chunk=32 is norm=batch at batch_size=2, 8" in first
