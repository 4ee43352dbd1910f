"""Compiled code is loaded only as the compiler left it, and a compiler that does not work costs one line."""

from __future__ import annotations

import _ctypes
import contextlib
import ctypes
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from bnbench.native import c_compiler, compilation, compiler, library, only_loaded
from bnbench.notices import heard
from bnbench.user_cache import is_sealed
from tests import warm
from tests.test_user_cache import ANOTHER, SOME_DAMAGES, Damage, another_user, as_root

SOURCE = """
#include <stdint.h>
const int64_t workspace = {answer}, width = sizeof(REAL);
void forward(void) {{}}
void backward(void) {{}}
"""


def forget() -> None:
    """Be as another process, which has loaded nothing."""
    compiler._loaded.clear()
    for cached in (c_compiler, compiler._version, compiler._quick_version):
        cached.cache_clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of compiled code, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir(0o700)
    forget()
    yield tmp_path / "cache/bnbench/native"
    monkeypatch.undo()
    forget()


def answers(answer: int = 7, dtype: torch.dtype = torch.float32) -> tuple[list[int | None], list[str]]:
    """What the library of a source answers in a process that knows none yet, and what is told."""
    forget()
    told: list[str] = []
    with heard(told.append):
        loaded = [library(dtype, SOURCE.format(answer=answer))]
    values = [None if one is None else ctypes.c_int64.in_dll(one, "workspace").value for one in loaded]
    for one in filter(None, loaded):
        _ctypes.dlclose(one._handle)  # else the next process were given the same
    return values, told


def entry(cache: Path) -> Path:
    (folder,) = (item for item in cache.iterdir() if item.is_dir())
    return folder


@pytest.mark.parametrize("damage", SOME_DAMAGES)
@pytest.mark.parametrize("file", ["float.so", "digests"])
def test_a_damaged_library_is_compiled_anew(cache: Path, damage: Damage, file: str):
    assert answers() == ([7], []) and answers() == ([7], [])
    damage(entry(cache) / file)
    assert answers() == ([7], [f"compiled code in {cache} is not as it was written; it is compiled anew"])
    assert is_sealed(entry(cache)) and answers() == ([7], [])


def _put_another(folder: Path) -> None:
    """Right in itself, but of another source."""
    shutil.copytree(next(item for item in folder.parent.iterdir() if item != folder), folder, dirs_exist_ok=True)


def _put_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


def _empty_it(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def test_a_source_is_compiled_for_one_type_of_numbers(cache: Path):
    """And nothing is taken for what it is for another."""
    assert answers() == ([7], [])
    first = entry(cache)
    assert {path.suffix for path in first.iterdir()} == {".so", ".c", ""} and not (first / "double.so").exists()
    assert answers(dtype=torch.float64) == ([7], [])
    (second,) = set(cache.iterdir()) - {first}
    assert (second / "double.so").exists() and not (second / "float.so").exists()
    shutil.copytree(first, second, dirs_exist_ok=True)
    told = [f"compiled code in {cache} is not as it was written; it is compiled anew"]
    assert answers(dtype=torch.float64) == ([7], told) and is_sealed(second)


@pytest.mark.parametrize("damage", [_put_another, _put_a_file, _empty_it, lambda folder: folder.chmod(0o777)])
def test_a_damaged_folder_is_compiled_anew(cache: Path, damage: Damage):
    answers(8)
    other = entry(cache)
    answers()
    (folder,) = set(cache.iterdir()) - {other}
    damage(folder)
    values, told = answers()
    assert values == [7] and len(told) == 1
    assert is_sealed(folder) and set(cache.iterdir()) == {folder, other} and answers() == ([7], [])


CONSTRUCTOR = """
#include <stdio.h>
#include <stdint.h>
__attribute__((constructor)) static void run(void) {{ fclose(fopen("{trace}", "w")); }}
const int64_t workspace = 7;
void forward(void) {{}}
void backward(void) {{}}
"""


@pytest.mark.parametrize("change", [lambda path: path.chmod(0o777), pytest.param(
    lambda path: os.chown(path, ANOTHER, ANOTHER), marks=as_root)])  # fmt: skip
@pytest.mark.parametrize("part", [".", "bnbench", "bnbench/native"])
def test_nothing_is_executed_from_where_others_can_write(cache: Path, tmp_path: Path, part: str, change: Damage):
    trace, source = tmp_path / "trace", CONSTRUCTOR.format(trace=tmp_path / "trace")
    assert library(torch.float32, source) is not None and trace.exists()
    trace.unlink()
    answers()
    change(tmp_path / "cache" / part)
    for folder in cache.iterdir():  # which were right: somebody else can have written digests too
        assert is_sealed(folder) is False
    values, told = answers()
    assert values == [7] and not trace.exists()
    private = tmp_path / "tmp" / f"bnbench-{os.geteuid()}"
    assert len(told) == 1 and told[0].endswith(f"{private} is used instead")
    assert is_sealed(entry(private / "native"))


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


TROUBLES = {
    "true": ("exit 0", "makes nothing that can be loaded"),
    "garbage": ('for last; do :; done; test "$1" = --version || echo garbage > "$last"', "makes nothing that can be"),
    "half": (
        'for last; do :; done; cc "$@" && test "$1" != --version && truncate -s -9000 "$last"; exit 0',
        "makes nothing that can be loaded",
    ),
    "header": (
        'test "$1" = --version || { echo In file; echo "x.h:1: fatal error: math.h: No such file"; exit 1; } >&2',
        "fails: x.h:1: fatal error: math.h: No such file",
    ),
    "silent": ('test "$1" = --version', "fails: exit code 1"),
    "killed": ('test "$1" = --version || kill -9 $$', "fails: exit code -9"),
    "version": ("exit 1", "does not say its version"),
    "slow": ('test "$1" = --version || sh -c "sleep 600; : $0"', "takes more than 0.5 s"),
    "very slow": ("sleep 600", "does not say its version"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_compiler_that_does_not_work_costs_one_line(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
):
    script, reason = TROUBLES[trouble]
    command = program(tmp_path / "compiler", script)
    monkeypatch.setenv("CC", command)
    monkeypatch.setattr(compilation, "SECONDS", 60.0 if trouble != "slow" else 0.5)
    monkeypatch.setattr(compilation, "PATIENCE", 20.0 if trouble != "very slow" else 0.5)
    began = time.monotonic()
    values, told = answers()
    assert values == [None] and time.monotonic() - began < 20
    (line,) = dict.fromkeys(told)
    assert line.startswith(f"the C compiler {command} {reason}") and line.endswith("; torch trains instead")
    assert not cache.exists() or not list(cache.iterdir()), "no library is kept, and nothing left over"
    assert _alive(command) == []
    monkeypatch.delenv("CC")
    assert answers() == ([7], []), "another compiler is asked"


def _alive(word: str) -> list[str]:
    """The processes with a word in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [line for line in [process.read_text(errors="replace")] if word in line]
    return found


def test_what_killed_programs_left_long_ago_is_removed(cache: Path):
    """Folders and locks; not those of programs that may still live."""
    answers()
    (library_folder,) = cache.iterdir()
    for age in (0, 2 * compilation.STALE):
        folder, lock = (library_folder.with_name(f"{compilation.SCRATCH}{name}{age:.0f}") for name in ("f", "l"))
        folder.mkdir(), (folder / "unit.o").touch(), lock.touch()
        for path in (folder, lock):
            os.utime(path, (time.time() - age,) * 2)
    assert answers(8) == ([8], [])
    left = {path.name for path in cache.iterdir() if path.name.startswith(compilation.SCRATCH)}
    assert left == {f"{compilation.SCRATCH}f0", f"{compilation.SCRATCH}l0"}


def test_where_code_is_only_loaded_no_compiler_is_started(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """But for its version, once there is something; what is compiled meanwhile is loaded in the same process."""
    monkeypatch.setenv("CC", program(tmp_path / "compiler", f'echo "$1" >> {tmp_path}/calls; cc "$@"'))
    forget()
    with only_loaded():
        assert library(torch.float32, SOURCE.format(answer=7)) is None
        assert not cache.exists() and not (tmp_path / "calls").exists()
        assert library(torch.float32) is None
    assert answers() == ([7], [])
    calls = (tmp_path / "calls").read_text()
    with only_loaded():
        assert answers() == ([7], []) and answers(8) == ([None], [])
    assert set((tmp_path / "calls").read_text().removeprefix(calls).split()) == {"--version"}


def test_a_compiler_that_hangs_does_not_hold_up_what_only_loads(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    answers()
    monkeypatch.setenv("CC", program(tmp_path / "compiler", "sleep 600"))
    monkeypatch.setattr(compiler, "HASTE", 0.2)
    began = time.monotonic()
    with only_loaded():
        assert answers() == ([None], []) and time.monotonic() - began < 10


COMPILE_SRC = """
import torch
from bnbench.native import compilation, library
compilation.cores = lambda: 4
print(library(torch.float32) is not None)
"""


def test_units_that_are_compiled_outlive_who_is_killed(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The next one goes on from there."""
    wait = f"while ! test -e {tmp_path}/go; do sleep 0.1; done"
    script = f'echo "$*" >> {tmp_path}/calls; case "$*" in *-c*gemm.c*) {wait};; esac; exec cc "$@" -O0'
    monkeypatch.setenv("CC", program(tmp_path / "compiler", script))
    words, here = [sys.executable, "-c", COMPILE_SRC], Path(__file__).parents[2]
    with subprocess.Popen(words, cwd=here) as first:
        while len(list(cache.glob("*-train/digests"))) < 2:
            assert first.poll() is None
            time.sleep(0.05)
        first.kill()
    (tmp_path / "go").touch()
    (tmp_path / "calls").unlink()
    assert subprocess.run(words, cwd=here, capture_output=True, text=True, check=True).stdout == "True\n"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [sum(unit in call for call in calls) for unit in ("/train.c", "/gemm.c")] == [0, 2]
    assert [is_sealed(path) for path in cache.iterdir() if not path.name.startswith("scratch-")] == [True]


def test_a_full_folder_for_temporary_files_is_not_needed(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", "/proc/none")
    assert answers() == ([7], [])


def test_a_full_disk_is_told_and_another_one_taken(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(tmp_path)

    def left(folder: Path) -> object:
        return usage._replace(free=0) if folder == cache else usage

    monkeypatch.setattr("bnbench.native.compiler.shutil.disk_usage", left)
    private = tmp_path / "tmp" / f"bnbench-{os.geteuid()}" / "native"
    told = [f"nothing can be kept in {cache} (No space left on device); {private} is used instead"]
    assert answers() == ([7], told) and is_sealed(entry(private))


COMPILE = """
import os, sys, ctypes, torch
from bnbench.native import compiler, library
from bnbench.notices import heard
for os.environ["XDG_CACHE_HOME"] in sys.argv[2:]:
    compiler._loaded.clear()
    told = []
    with heard(told.append):
        loaded = library(torch.float32, sys.argv[1])
    print([loaded and ctypes.c_int64.in_dll(loaded, "workspace").value], told)
"""


def _start(*caches: Path, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    """A program that asks for a library with one cache after the other."""
    words = [*before, sys.executable, "-c", COMPILE, SOURCE.format(answer=7), *map(str, caches)]
    popen = subprocess.Popen if before else warm.Popen
    return popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_of_programs_that_compile_at_once_one_does(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    script = f'case "$*" in *-shared*) echo >> {tmp_path}/calls; sleep 1;; esac; exec cc "$@"'
    monkeypatch.setenv("CC", program(tmp_path / "compiler", script))
    programs = [_start(cache.parents[1]) for _ in range(2)]
    assert [one.communicate()[0] for one in programs] == ["[7] []\n"] * 2
    assert is_sealed(entry(cache)) and len(list(cache.iterdir())) == 1
    assert (tmp_path / "calls").read_text() == "\n"


@as_root
def test_a_cache_that_cannot_be_written_to_is_read(cache: Path, monkeypatch: pytest.MonkeyPatch):
    """What is missing there is compiled into a private folder."""
    answers()
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        there, empty, temporary = (Path(name) / folder for folder in ("cache", "empty", "tmp"))
        shutil.copytree(cache.parents[1], there)
        shutil.copytree(there, empty)
        shutil.rmtree(entry(empty / "bnbench/native"))
        for path in (Path(name), *there.rglob("*"), there, *empty.rglob("*"), empty):
            path.chmod(path.stat().st_mode | 0o055)
        temporary.mkdir()
        temporary.chmod(0o1777)
        monkeypatch.setenv("TMPDIR", str(temporary))
        private = temporary / f"bnbench-{ANOTHER}" / "native"
        told = f"nothing can be kept in {empty}/bnbench/native (Permission denied); {private} is used instead"
        answered = _start(there, empty, empty, before=another_user()).communicate()[0]
        assert answered == f"[7] []\n[7] {[told]}\n[7] []\n"
        assert stat.S_IMODE(private.stat().st_mode) == 0o700


BESIDE = """
import time
from pathlib import Path
from bnbench import session
from bnbench.user_cache import is_sealed
if __name__ == "__main__":
    begun = time.monotonic()
    with session.compiling():
        while time.monotonic() < begun + 60:
            if any(is_sealed(path.parent) for path in Path("cache/bnbench/native").glob("*/float.so")):
                break
            time.sleep(0.05)
    with session.compiling():  # there is nothing to do any more
        pass
"""


def test_code_is_compiled_beside_a_block(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CC", program(tmp_path / "compiler", f'echo >> {tmp_path}/calls; exec cc "$@" -O0'))
    done = warm.run([sys.executable, "-c", BESIDE], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert [is_sealed(path.parent) for path in cache.glob("*/float.so")] == [True]
    assert (tmp_path / "calls").read_text().count("\n") <= 8, "two versions asked for, four units and two libraries"
