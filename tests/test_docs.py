"""What docs/probes.md says and shows is so."""

import re
import shlex
import sys
from pathlib import Path

import pytest

import bnbench
from bnbench.spec import PROBE_NAMES
from tests import warm
from tests.conftest import Program

TEXT = (Path(__file__).parents[1] / "docs/probes.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.S) for line in block.splitlines()]
PROGRAM = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, flags=re.S))
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", TEXT, flags=re.S | re.M))


def test_there_is_a_section_for_every_probe():
    assert tuple(SECTIONS) == PROBE_NAMES


@pytest.mark.parametrize("command", COMMANDS)
def test_command(program: Program, command: str):
    name, *words = shlex.split(command)
    assert name == "bnbench"
    result = program(*words)
    assert result.code == 0, result.err
    if words[0] != "list":
        assert not bnbench.load_probes("inside").empty


def test_the_python_examples_are_one_script(tmp_path: Path):
    (tmp_path / "example.py").write_text(PROGRAM)
    done = warm.run(
        [sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    tables = re.split(r"(?m)^norm", done.stdout)[1:]
    assert len(tables) == 2 and all("batch" in table and "none" in table for table in tables), done.stdout


def test_every_written_name_is_explained(program: Program):
    """By itself, or as its parts: ``contrast_0.4_running`` as ``contrast``, ``_0.4`` and ``_running``."""
    words = ("model=mlp", "epochs=1", f"probes=[{','.join(PROBE_NAMES)}]")
    assert program("run", "--name", "all", *words).code == 0
    probes = bnbench.load_probes("all")
    assert set(probes["probe"]) == set(PROBE_NAMES)
    for probe, name in probes[["probe", "name"]].drop_duplicates().itertuples(index=False):
        told = set(re.findall(r"`([^`]+)`", SECTIONS[probe]))
        first, *rest = name.split("_")
        assert name in told or {first, *(f"_{part}" for part in rest)} <= told, (probe, name)
