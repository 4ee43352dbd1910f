"""A C compiler at work: sources and units become libraries that were tried, in a folder of their own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import parent_process
from pathlib import Path

from bnbench.environment import cores
from bnbench.user_cache import PRIVATE, is_sealed, put, seal

SOURCES = Path(__file__).parent / "src"
UNITS = (SOURCES / "train.c", SOURCES / "gemm.c")
"""Compiled side by side, in about the same time."""
COMMON_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fopenmp-simd", "-fPIC")
FLAGS = (*COMMON_FLAGS, "-fno-trapping-math")
LAYER_FLAGS = (*COMMON_FLAGS, "-fno-tree-loop-if-convert")
"""For translated layers, in which gcc 12 gets some conditions in loops wrong when it makes vectors of them."""
ENTRIES, LAYER_ENTRIES = ("plan", "train", "layout"), ("forward", "backward", "workspace")
"""Functions and values that a library must have."""
LOAD = """
import ctypes, sys
for path in sys.argv[2:]:
    for entry in sys.argv[1].split():
        getattr(ctypes.CDLL(path), entry)
"""
SECONDS = 120.0
"""Longest that a compiler may take for a library."""
PATIENCE = 20.0
"""Seconds for what takes an instant."""
POLL_SECONDS = 0.02
"""Seconds from one look at compilers to the next."""
SCRATCH, OBJECT = "scratch-", "unit.o"
"""The beginning of the names of scratch folders; a unit that was kept."""
STALE = 3600.0
"""Seconds after which nobody works in a scratch folder any more."""


class Failure(Exception):
    """The reason for which a compiler made no library, as the end of a sentence that begins with the compiler."""


def flags(source: str | None) -> tuple[str, ...]:
    """The flags for ``src/``, or for a source."""
    return FLAGS if source is None else LAYER_FLAGS


def asked_version(command: str, seconds: float | None = None) -> bytes:
    """A compiler's own words on its version. Raises :class:`Failure` if they take so long."""
    try:
        return subprocess.run(
            [command, "--version"], capture_output=True, check=True, timeout=seconds or PATIENCE
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Failure(f"does not say its version ({' '.join(str(error).split())})") from error


def compile_into(command: str, source: str | None, reals: Sequence[str], folder: Path) -> None:
    """Compile into a folder, whole or not at all, unless another program does: it is waited for.

    Raises:
        OSError: nothing can be written there.
        Failure: the compiler makes no libraries.
    """
    _remove_stale(folder.parent)
    with _alone(folder):
        if not is_sealed(folder):
            _compile_and_put(command, source, reals, folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one program at a time compile into a folder, which takes all cores; where nothing can be locked, all do."""
    path = folder.with_name(f"{SCRATCH}{folder.name}.lock")
    with path.open("w") as lock:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _compile_and_put(command: str, source: str | None, reals: Sequence[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=SCRATCH, ignore_cleanup_errors=True) as scratch:
        new = Path(scratch) / folder.name
        new.mkdir(PRIVATE)
        libraries = {real: new / f"{real}.so" for real in reals}
        if source is None:
            _compile_units(command, libraries, Path(scratch), folder)
        else:
            code = new / "layer.c"
            code.write_text(source, encoding="utf-8")
            links = {real: _link(command, LAYER_FLAGS, real, [code], path) for real, path in libraries.items()}
            _run(links, Path(scratch))
        _try_to_load(list(libraries.values()), ENTRIES if source is None else LAYER_ENTRIES)
        seal(new)
        if not is_sealed(folder):  # else another program was quicker where nothing can be locked
            put(new, folder)


def _remove_stale(place: Path) -> None:
    """Remove scratch folders of programs that were killed long ago."""
    for scratch in place.glob(f"{SCRATCH}*"):
        with contextlib.suppress(OSError):
            if time.time() - scratch.lstat().st_mtime > STALE:
                scratch.unlink() if scratch.is_file() else shutil.rmtree(scratch, ignore_errors=True)


def _compile_units(command: str, libraries: Mapping[str, Path], scratch: Path, folder: Path) -> None:
    """Compile ``src/`` for each type of numbers, all units side by side. Raises :class:`Failure`.

    Whoever is ended in between leaves the units that are done beside ``folder``, for the next one to go on from.
    """
    commands, objects = {}, {}
    for real in libraries:
        for unit in UNITS:
            name = f"{folder.name}-{real}-{unit.stem}"
            objects[name] = scratch / f"{name}.o"
            if not _took(folder.with_name(name), objects[name]):
                commands[name] = [command, *FLAGS, f"-DREAL={real}", "-c", str(unit), "-o", str(objects[name])]
    try:
        _run(commands, scratch, lambda name: _keep_unit(objects[name], folder.with_name(name)))
        links = {
            real: _link(command, FLAGS, real, [path for name, path in objects.items() if f"-{real}-" in name], library)
            for real, library in libraries.items()
        }
        _run(links, scratch)
    except Failure:
        _remove([folder.with_name(name) for name in objects])
        raise
    _remove([folder.with_name(name) for name in objects])


def _remove(folders: Sequence[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _took(place: Path, path: Path) -> bool:
    """Copy a unit that was kept; False if there is none as it was left."""
    try:
        if is_sealed(place):
            shutil.copyfile(place / OBJECT, path)
            return True
    except OSError:  # another program has its library, and removes the units
        pass
    return False


def _keep_unit(path: Path, place: Path) -> None:
    """Keep a unit, if that can be."""
    new = path.with_suffix("") / place.name
    with contextlib.suppress(OSError):
        new.mkdir(PRIVATE, parents=True)
        shutil.copyfile(path, new / OBJECT)
        seal(new)
        put(new, place)


def _link(command: str, flags: Sequence[str], real: str, inputs: Sequence[Path], library: Path) -> list[str]:
    """The command that makes a library of sources or objects."""
    return [command, *flags, "-shared", f"-DREAL={real}", *map(str, inputs), "-lm", "-o", str(library)]


def _run(
    commands: Mapping[str, Sequence[str]], scratch: Path, ended: Callable[[str], None] = lambda name: None
) -> None:
    """Run compilers, one per core at a time, which keep their temporary files in a folder. Raises :class:`Failure`.

    Args:
        ended: is told the name of each that has ended well.
    """
    patience = SECONDS * (1 + max(0, os.nice(0)))  # a process that lets others go first takes longer
    deadline, waiting = time.monotonic() + patience, list(commands)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < cores():
                name = waiting.pop(0)
                running[name] = _started(name, commands[name], scratch)
            over = [name for name, process in running.items() if process.poll() is not None]
            for name in over:
                if (code := running[name].returncode) != 0:
                    raise Failure(f"fails: {_complaint(scratch / f'{name}.log', code)}")
                del running[name]
                ended(name)
            if not over:
                if time.monotonic() > deadline:
                    raise Failure(f"takes more than {patience:g} s")
                time.sleep(POLL_SECONDS)
    finally:
        for process in running.values():
            _end(process)


def _started(name: str, words: Sequence[str], scratch: Path) -> subprocess.Popen[bytes]:
    """A compiler at work, in a group with all that it starts: its own, or that of a process that ends with the program.

    Its output is in a file beside its temporary ones.
    """
    environment = {**os.environ, "TMPDIR": str(scratch), "LC_ALL": "C"}
    with (scratch / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=parent_process() is None,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a compiler and, where the group is its own, what it has started."""
    with contextlib.suppress(ProcessLookupError):
        if parent_process() is None:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _complaint(log: Path, code: int) -> str:
    """The first error among what a compiler has said."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if "error:" in line] or lines
    return errors[0].strip() if errors else f"exit code {code}"


def _try_to_load(libraries: Sequence[Path], entries: Sequence[str]) -> None:
    """Load libraries in another process, which a broken one may end. Raises :class:`Failure`."""
    words = [sys.executable, "-I", "-S", "-c", LOAD, " ".join(entries), *map(str, libraries)]
    try:
        done = subprocess.run(words, capture_output=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Failure(f"makes what cannot be loaded within {PATIENCE:g} s") from None
    if done.returncode != 0:
        raise Failure("makes nothing that can be loaded")
