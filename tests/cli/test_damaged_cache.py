"""Whatever has become of what is kept, commands end well, with the right numbers, one line and a good cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import bnbench
from bnbench.native import c_compiler, compilation
from bnbench.user_cache import is_sealed, kept_text
from tests.cli.test_sweep import SMALL, rows
from tests.conftest import Program
from tests.native.test_compilation import forget
from tests.native.test_compilation import program as executable
from tests.products import long, whole
from tests.test_user_cache import ANOTHER, DAMAGES, Damage, _make_a_folder, _open, _remove, _turn_a_bit, as_root

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")

HERE = (_turn_a_bit, _make_a_folder)
LATER = (_remove, _open)
"""With these a damage of each kind; test_user_cache.py and test_compilation.py have all of them."""
RUNS = (*SMALL, "norm=batch", "seed=0,1")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves a cache that is good."""
    return tmp_path_factory.mktemp("good")


@dataclass
class Told:
    """What a sweep came to."""

    engines: set[str]
    losses: list[str]
    lines: list[str]


def _special(folder: str, names: list[str]) -> list[str]:
    """What is no file: an answer that is damaged stays as it is until somebody asks for it again."""
    return [name for name in names if not (Path(folder) / name).is_dir() and not (Path(folder) / name).is_file()]


class Sweeps:
    """Sweeps by compiled code, each with a copy of the last one's cache: no library is loaded twice by one name."""

    def __init__(self, program: Program, here: Path, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._program, self._here, self._monkeypatch, self._count = program, here, monkeypatch, 0
        self.root = good

    @property
    def kept(self) -> Path:
        return self.root / "cache" / "bnbench"

    def __call__(self, *words: str, damage: Damage = lambda root: None) -> Told:
        self._count += 1
        last, self.root = self.root, self._here / str(self._count)
        shutil.copytree(last, self.root, ignore=_special)
        (self.root / "tmp").mkdir(0o700, exist_ok=True)
        damage(self.root)
        self._monkeypatch.setenv("XDG_CACHE_HOME", str(self.root / "cache"))
        self._monkeypatch.setattr(tempfile, "tempdir", str(self.root / "tmp"))
        forget()
        done = self._program("sweep", "--name", self.root.name, "--launcher", "inline", *RUNS, *words)
        assert done.code == 0 and "Traceback" not in done.err + done.out, done.err
        table = [] if "--dry-run" in words else rows(f"results/{self.root.name}/runs.csv")
        return Told({row["engine"] for row in table}, [row["test_loss"] for row in table], done.err.splitlines())


@pytest.fixture
def sweep(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Path) -> Iterator[Sweeps]:
    """Sweeps from a cache that is good."""
    monkeypatch.setattr(compilation, "FLAGS", ("-O0", "-shared", "-fPIC"))  # quick to compile
    sweeps = Sweeps(program, tmp_path, good, monkeypatch)
    if not any(good.iterdir()):
        sweeps()
        shutil.copytree(sweeps.root, good, dirs_exist_ok=True)
    yield sweeps
    monkeypatch.undo()
    forget()


def files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert found
    return found


@pytest.mark.parametrize(
    "damage", [damage if damage in HERE else pytest.param(*getattr(damage, "values", [damage]), marks=[
        *getattr(damage, "marks", []), long if damage in LATER else whole]) for damage in DAMAGES]
)  # fmt: skip
def test_damaged_files(sweep: Sweeps, damage: Damage):
    def damage_all(root: Path) -> None:
        for path in files(root / "cache"):
            damage(path)

    expected = sweep()
    assert expected.engines == {"native"} and expected.lines == []
    found = sweep(damage=damage_all)
    native = sweep.kept / "native"
    assert found.lines == [f"note: compiled code in {native} is not as it was written; it is compiled anew"]
    assert all(is_sealed(folder) for folder in native.iterdir()) and len(list(native.iterdir())) == 1
    assert found.losses == expected.losses and found.engines == {"native"}
    assert {kept_text(path) for path in files(sweep.kept / "proofs")} == {"proved"}
    assert sweep() == expected
    assert sweep("--dry-run", damage=damage_all).lines == [], "it compiles nothing"


@pytest.mark.parametrize("change", [lambda path: path.chmod(0o777), pytest.param(
    lambda path: os.chown(path, ANOTHER, ANOTHER), marks=[as_root, long])])  # fmt: skip
@pytest.mark.parametrize(
    "part", [*(pytest.param(part, marks=long) for part in ("cache", "cache/bnbench")), "cache/bnbench/native"]
)
def test_folders_that_others_may_write_to(sweep: Sweeps, part: str, change: Damage):
    expected = sweep()
    found = sweep(damage=lambda root: change(root / part))
    assert (found.engines, found.losses) == (expected.engines, expected.losses) and len(found.lines) == 1
    assert found.lines[0].startswith(f"note: what is kept in {sweep.kept} is not used: ")
    assert files(sweep.root / "tmp" / f"bnbench-{os.geteuid()}" / "native")


def test_a_file_where_the_cache_should_be(sweep: Sweeps):
    def put_a_file(root: Path) -> None:
        shutil.rmtree(root / "cache")
        (root / "cache").touch()

    expected, found = sweep(), sweep(damage=put_a_file)
    assert (found.engines, found.losses) == (expected.engines, expected.losses) and len(found.lines) == 1


def test_python_is_warned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    command = executable(tmp_path / "cc", "exit 0")
    monkeypatch.setenv("CC", command)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    try:
        with pytest.warns(UserWarning, match=f"compiler {command} makes nothing that can be loaded; torch trains"):
            bnbench.sweep(*RUNS, name="s", jobs=1, results=tmp_path / "results")
    finally:
        monkeypatch.undo()
        forget()
    assert {row["engine"] for row in rows(str(tmp_path / "results/s/runs.csv"))} == {"stacked"}
