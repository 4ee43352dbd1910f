"""Every command and program that the README and the pages for users show works as shown."""

import csv
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

import bnbench
from tests import warm
from tests.cli.finished import finish, make_spec
from tests.conftest import Program
from tests.products import long

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [README, *((ROOT / f"docs/{name}.md").read_text() for name in ("sweeps", "results", "plugins", "engines"))]
COMMANDS = dict.fromkeys(
    line
    for page in PAGES
    for block in re.findall(r"```sh\n(.*?)```", page, flags=re.S)
    for line in block.splitlines()
    if line.startswith("bnbench ")
)
LOOKING = ("ls", "show", "diff", "rm", "rename", "merge", "tag", "export")
"""Commands about runs that are there."""
PROGRAMS = re.findall(r"```python\n(.*?)```", README, flags=re.S)
PLUGINS = {
    name: text for page in PAGES for text, name in re.findall(r"```python\n(# (\w+\.py)\n.*?)```", page, flags=re.S)
}
"""The files that the pages show, by the name in their first line."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, compiled: None) -> Path:
    """A sweep to report on."""
    small = ("model=mlp", "norm=none,batch,group", "batch_size=32,64", "lr=0.01,0.1", "epochs=1")
    results = tmp_path_factory.mktemp("trained")
    bnbench.sweep(*small, name="small", launcher="inline", results=results)
    return results / "small"


@pytest.mark.parametrize(
    "command", [pytest.param(one, marks=long if one.startswith("bnbench compare") else ()) for one in COMMANDS]
)
def test_command(program: Program, trained: Path, tmp_path: Path, command: str):
    _, *words = shlex.split(command.split("#")[0])
    for name, text in PLUGINS.items():
        (tmp_path / name).write_text(text)
    if words[0] in ("sweep", "compare"):
        words = [*words, "--dry-run"]
    if words[0] == "report":
        shutil.copytree(trained, Path("results") / words[1])
    if words[0] in LOOKING:
        for name, seeds in (("small", range(4)), ("more", range(3, 6))):
            finish(Path("results") / name, [make_spec(seed, norm) for norm in ("none", "batch") for seed in seeds])
    result = program(*words)
    assert result.code == 0, result.err
    assert (result.out + result.err).strip()
    if words[0] == "compare":
        assert "10 questions, 85 claims" in result.out
    if words[0] == "run":
        assert {row["status"] for row in runs_of(tmp_path)} == {"completed"}


def runs_of(folder: Path) -> list[dict[str, str]]:
    """The rows of the only table of runs in a folder."""
    (table,) = folder.glob("results/*/runs.csv")
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_registry_of_a_plugin_is_shown():
    defined = {name for text in PLUGINS.values() for name in re.findall(r"^([A-Z]+) = \{", text, flags=re.M)}
    assert defined == {"NORMS", "MODELS", "DATASETS"}


def test_the_python_example_is_a_script(tmp_path: Path):
    (example,) = [text for text in PROGRAMS if "import bnbench" in text]
    (tmp_path / "example.py").write_text(example)
    done = warm.run(
        [sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert "Convergence" in done.stdout and "No run has finished" not in done.stdout
    assert (tmp_path / "results/first/runs.csv").read_text().count(",completed,") == 6
