"""bnbench doctor: all is well here, and each thing that is made wrong is named with what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bnbench.doctor import ABSENT, OK, WRONG, findings, self_test
from bnbench.doctor.versions import versions
from bnbench.launch import LAUNCHERS
from bnbench.native import c_compiler
from tests import warm
from tests.conftest import Program, SmallDisk
from tests.native.test_compilation import program as executable

needs_compiler = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")


def found(text: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Findings as JSON, by part and name."""
    return {(one["part"], one["name"]): one for one in json.loads(text)}


def wrong(text: str) -> dict[str, str]:
    """What is wrong, by name, with what is said of it; each has a remedy."""
    those = [one for one in json.loads(text) if one["state"] == WRONG]
    assert all(one["remedy"] for one in those)
    return {one["name"]: one["said"] for one in those}


@needs_compiler
def test_all_is_well_here(program: Program, tmp_path: Path) -> None:
    result = program("doctor", "--json")
    assert (result.code, result.err) == (0, ""), result.out
    every = found(result.out)
    assert {name for part, name in every if part == "launchers"} == {*LAUNCHERS}
    assert [every["versions", name]["state"] for name in ("python", "bnbench", "torch", "hydra-core")] == [OK] * 4
    losses = {name: every["engines", name]["said"].partition(" in ")[0] for name in ("reference", "stacked", "native")}
    assert losses["reference"].startswith("test loss 2.") and len({loss[:17] for loss in losses.values()}) == 1
    assert every["data", "mnist"]["state"] == "absent" and not list(tmp_path.iterdir()), "nothing is written"
    table = program("doctor")
    assert table.code == 0, table.out
    assert table.out.rstrip().endswith("all is well") and "C compiler" in table.out


@pytest.mark.parametrize(
    ("variables", "words", "name", "said"),
    [
        ({}, ("--results", "/proc/results"), "results", "/proc/results cannot be written to: "),
        ({"XDG_CACHE_HOME": "/proc/cache"}, (), "cache", "/proc/cache/bnbench cannot be written to: "),
        ({"RAY_ADDRESS": "127.0.0.1:1"}, (), "ray", "RAY_ADDRESS=127.0.0.1:1: no Ray cluster answers there"),
    ],
    ids=["results", "cache", "ray"],
)
def test_what_is_wrong_is_named(
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    words: tuple[str, ...],
    name: str,
    said: str,
) -> None:
    if name == "ray":
        pytest.importorskip("ray", reason="it is not installed: pip install 'bnbench[ray]'")
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    result = program("doctor", "--json", *words)
    assert result.code == 1 and list(wrong(result.out)) == [name]
    assert wrong(result.out)[name].startswith(said)
    table = program("doctor", *words)
    assert table.code == 1 and f"wrong: 1 thing: {name}" in table.out


def test_packages_that_are_too_old_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Packages that are found first hide those of the environment."""
    for name, old in (("hydra_core", "1.1.0"), ("optuna", "3.6.2"), ("rich", "13.7.0rc1"), ("scipy", "1.15.0")):
        folder = tmp_path / f"{name}-{old}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {old}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {one.name: (one.state, one.said, one.remedy) for one in versions()}
    assert found["hydra-core"] == (WRONG, "1.1.0; bnbench needs <1.5,>=1.3.2", "pip install 'hydra-core<1.5,>=1.3.2'")
    assert found["optuna"] == (WRONG, "3.6.2; bnbench needs >=4", "pip install 'bnbench[search]'")
    assert found["rich"][0] == WRONG, "a candidate of a version comes before it"
    assert found["scipy"] == (OK, "1.15.0", "")


def test_data_that_can_only_be_read_are_no_problem() -> None:
    """They are: a folder of data may belong to an administrator."""
    for data, state in ((Path("/proc/data"), ABSENT), (Path("data"), OK)):
        found = {one.name: one for one in findings(Path("results"), data) if one.part == "data"}
        assert found["folder"].state == state and bool(found["folder"].remedy) == (state == ABSENT), found["folder"]


def test_a_full_disk_is_named(program: Program, small_disk: SmallDisk) -> None:
    full_disk = small_disk("16k")
    result = program("doctor", "--json", "--results", str(full_disk / "results"))
    assert result.code == 1
    assert wrong(result.out) == {"results": f"{full_disk}/results cannot be written to: No space left on device"}
    assert not list(full_disk.iterdir())


@needs_compiler
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('test "$1" = --version || { echo "x.h:1: error: no such file" >&2; exit 1; }', "fails: x.h:1: error"),
        ("exit 3", "does not say its version"),
        (None, "there is no such program"),
    ],
    ids=["fails", "does nothing", "is not there"],
)
def test_a_broken_compiler_is_named(compiled: None, tmp_path: Path, script: str | None, said: str) -> None:
    command = executable(tmp_path / "compiler", script) if script else str(tmp_path / "absent")
    words = [sys.executable, "-m", "bnbench", "doctor", "--json"]
    done = warm.run(
        words, cwd=tmp_path, env={**os.environ, "CC": command}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert list(wrong(done.stdout)) == ["C compiler"] and said in wrong(done.stdout)["C compiler"]
    native = found(done.stdout)["engines", "native"]["state"]
    assert native == ("absent" if script else OK), "another compiler is used for one that is not there"


def test_engines_that_differ_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "TOLERANCE", -1.0)
    said = {finding.name: finding.said for finding in self_test.engines() if finding.state == WRONG}
    assert {"reference", "stacked"} <= said.keys() and "the reference has 2." in said["stacked"]


def test_torch_is_loaded_only_when_its_turn_has_come(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from bnbench.doctor import findings
for finding in findings(Path("results"), Path("data")):
    if finding.part == "folders":
        break
print("torch" in sys.modules, finding.name)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False results\n"


def test_what_fails_unexpectedly_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BNBENCH_DATA_MEMORY", "lots")
    (finding,) = (one for one in findings(tmp_path, tmp_path) if one.part == "memory")
    assert finding.state == WRONG and "BNBENCH_DATA_MEMORY=lots" in finding.said
