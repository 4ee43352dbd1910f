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
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bnbench.kept import is_sealed
from bnbench.native import c_compiler, library
from bnbench.native import compiler as compilation
from bnbench.notices import heard
from tests.test_kept import ANOTHER, DAMAGES, Damage, another_user, as_root

SOURCE = """
#include <stdint.h>
const int64_t room = {answer}, width = sizeof(REAL);
void ahead(void) {{}}
void back(void) {{}}
"""
CACHES = (c_compiler, library, compilation._compiled)
DTYPES = (torch.float32, torch.float64)


def forget() -> None:
    """Be as another process, which has loaded nothing."""
    for cached in CACHES:
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


def answers(answer: int = 7) -> tuple[list[int | None], list[str]]:
    """What the libraries of a source answer in a process that knows none yet, and what is told."""
    forget()
    told: list[str] = []
    with heard(told.append):
        loaded = [library(dtype, SOURCE.format(answer=answer)) for dtype in DTYPES]
    values = [None if one is None else ctypes.c_int64.in_dll(one, "room").value for one in loaded]
    for one in filter(None, loaded):
        _ctypes.dlclose(one._handle)  # else the next process were given the same
    return values, told


def entry(cache: Path) -> Path:
    (folder,) = (item for item in cache.iterdir() if item.is_dir())
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["float.so", "double.so", "digests"])
def test_a_damaged_library_is_compiled_anew(cache: Path, damage: Damage, file: str):
    assert answers() == ([7, 7], []) and answers() == ([7, 7], [])
    damage(entry(cache) / file)
    assert answers() == ([7, 7], [f"compiled code in {cache} is not as it was written; it is compiled anew"])
    assert is_sealed(entry(cache)) and answers() == ([7, 7], [])


def _swap_libraries(folder: Path) -> None:
    (folder / "float.so").replace(folder / "other")
    (folder / "double.so").replace(folder / "float.so")
    (folder / "other").replace(folder / "double.so")


def _put_another(folder: Path) -> None:
    """Right in itself, but of another source."""
    shutil.copytree(next(item for item in folder.parent.iterdir() if item != folder), folder, dirs_exist_ok=True)


def _put_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


def _empty_it(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    "damage", [_swap_libraries, _put_another, _put_a_file, _empty_it, lambda folder: folder.chmod(0o777)]
)
def test_a_damaged_folder_is_compiled_anew(cache: Path, damage: Damage):
    answers(8)
    other = entry(cache)
    answers()
    (folder,) = set(cache.iterdir()) - {other}
    damage(folder)
    values, told = answers()
    assert values == [7, 7] and len(told) == 1
    assert is_sealed(folder) and set(cache.iterdir()) == {folder, other} and answers() == ([7, 7], [])


CONSTRUCTOR = """
#include <stdio.h>
#include <stdint.h>
__attribute__((constructor)) static void run(void) {{ fclose(fopen("{trace}", "w")); }}
const int64_t room = 7;
void ahead(void) {{}}
void back(void) {{}}
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
    assert values == [7, 7] and not trace.exists()
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
    assert values == [None, None] and time.monotonic() - began < 20
    (line,) = dict.fromkeys(told)
    assert line.startswith(f"the C compiler {command} {reason}") and line.endswith("; torch trains instead")
    assert [path.suffix for path in cache.iterdir()] == [".failed"], "no library is kept, and nothing left over"
    assert _alive(command) == []
    monkeypatch.delenv("CC")
    assert answers() == ([7, 7], []), "another compiler is asked"


def _alive(word: str) -> list[str]:
    """The processes with a word in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [line for line in [process.read_text(errors="replace")] if word in line]
    return found


def test_a_worker_does_not_try_again_what_has_failed(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    command = program(tmp_path / "compiler", f'echo "$1" >> {tmp_path}/calls; test "$1" = --version')
    monkeypatch.setenv("CC", command)
    monkeypatch.setattr(compilation, "parent_process", lambda: None)
    _, told = answers()
    calls = (tmp_path / "calls").read_text()
    monkeypatch.setattr(compilation, "parent_process", lambda: "a program")
    assert answers() == ([None, None], told) and (tmp_path / "calls").read_text() == calls
    for failure in tmp_path.rglob("*.failed"):
        os.utime(failure, (time.time() - compilation.RECENT - 1,) * 2)
    assert answers() == ([None, None], told) and len((tmp_path / "calls").read_text()) > len(calls)
    program(tmp_path / "compiler", 'cc "$@"')
    assert answers()[0] == [None, None], "a worker goes by what the program has found"
    monkeypatch.setattr(compilation, "parent_process", lambda: None)
    assert answers() == ([7, 7], [])
    monkeypatch.setattr(compilation, "parent_process", lambda: "a program")
    assert answers() == ([7, 7], [])


def test_a_full_folder_for_temporary_files_is_not_needed(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", "/proc/none")
    assert answers() == ([7, 7], [])


def test_a_full_disk_is_told_and_another_one_taken(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(tmp_path)

    def left(folder: Path) -> object:
        return usage._replace(free=0) if folder == cache else usage

    monkeypatch.setattr("bnbench.native.compiler.shutil.disk_usage", left)
    private = tmp_path / "tmp" / f"bnbench-{os.geteuid()}" / "native"
    told = [f"nothing can be kept in {cache} (No space left on device); {private} is used instead"]
    assert answers() == ([7, 7], told) and is_sealed(entry(private))


COMPILE = """
import sys, ctypes, torch
from bnbench.native import library
from bnbench.notices import heard
told = []
with heard(told.append):
    loaded = [library(dtype, sys.argv[1]) for dtype in (torch.float32, torch.float64)]
print([one and ctypes.c_int64.in_dll(one, "room").value for one in loaded], told)
"""


def _start(*before: str) -> subprocess.Popen[str]:
    words = [*before, sys.executable, "-c", COMPILE, SOURCE.format(answer=7)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_programs_that_compile_at_once(cache: Path):
    programs = [_start() for _ in range(3)]
    assert [one.communicate()[0] for one in programs] == ["[7, 7] []\n"] * 3
    assert is_sealed(entry(cache)) and len(list(cache.iterdir())) == 1


@as_root
def test_a_cache_that_cannot_be_written_to_is_read(cache: Path, monkeypatch: pytest.MonkeyPatch):
    """What is missing there is compiled into a private folder."""
    answers()
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        there, temporary = Path(name) / "cache", Path(name) / "tmp"
        shutil.copytree(cache.parents[1], there)
        for path in (Path(name), *there.rglob("*"), there):
            path.chmod(path.stat().st_mode | 0o055)
        temporary.mkdir()
        temporary.chmod(0o1777)
        monkeypatch.setenv("XDG_CACHE_HOME", str(there))
        monkeypatch.setenv("TMPDIR", str(temporary))
        assert _start(*another_user()).communicate()[0] == "[7, 7] []\n" and not list(temporary.iterdir())
        shutil.rmtree(entry(there / "bnbench/native"))
        private = temporary / f"bnbench-{ANOTHER}" / "native"
        told = f"nothing can be kept in {there}/bnbench/native (Permission denied); {private} is used instead"
        for expected in ([told], []):
            assert _start(*another_user()).communicate()[0] == f"[7, 7] {expected}\n"
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
