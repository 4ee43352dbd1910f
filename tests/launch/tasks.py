"""What the launchers are given to do; importable by worker processes."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bnbench.launch import Line, Spent, local


def square(number: int) -> int:
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number * number


def imported(module: str) -> bool:
    return module in sys.modules


def searched_objects(task: object) -> int:
    """The number of those that Python looks through for garbage."""
    return len(gc.get_objects())


def leave(code: int) -> int:
    if code:
        sys.exit(code)
    return code


def mark(task: tuple[Path, int]) -> int:
    """Leave a file at the start and one at the end; all but the first task take long."""
    folder, number = task
    (folder / f"started-{number}").touch()
    if number:
        time.sleep(30)
    (folder / f"ended-{number}").touch()
    return number


def die(how: str) -> int:
    match how:
        case "exit":
            os._exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "realtime":
            os.kill(os.getpid(), signal.SIGRTMIN + 1)
        case "later":
            threading.Timer(0.05, os._exit, [3]).start()
    return os.getpid()


def name_place(how: str, place: int) -> tuple[str, int]:
    return how, place


def die_at(task: tuple[str, int]) -> int:
    how, place = task
    die(how)
    return place


def answer(kind: str) -> Any:
    match kind:
        case "function":
            return lambda: None
        case "unloadable":
            return Unloadable()
        case _:
            return kind


class Unloadable:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> Any:
        return refuse, ()


def refuse() -> None:
    raise EOFError("no such thing")


def tell_and_wait(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(60)


def identify_parent(task: object) -> int:
    return os.getppid()


def start_others(folder: Path | None, line: Line) -> tuple[int, set[int]]:
    """The parent of this process and those of what it starts; with a folder it ends while they work."""
    if folder is None:
        return os.getppid(), {done.value for done in local(identify_parent, range(2), 2)}
    threading.Thread(target=lambda: list(local(tell_and_wait, [folder] * 2, 2)), daemon=True).start()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    os._exit(3)


def identify(task: int) -> int:
    time.sleep(0.02)
    return os.getpid()


def serve_nobody(function: Any, pipe: Any, tells: bool, starts: bool) -> None:
    os._exit(4)


def ask_its_process(kind: str) -> int:
    time.sleep(0.02)
    return os.getpid()


def where(task: tuple[float, int]) -> tuple[int, int]:
    """Take some seconds; the process and its place."""
    seconds, place = task
    time.sleep(seconds)
    return os.getpid(), place


def put(task: tuple[float, int], place: int) -> tuple[float, int]:
    return task[0], place


def spend(number: int) -> tuple[int, int]:
    """Odd numbers spend their process."""
    if number % 2:
        raise Spent((number, os.getpid()), "an odd one")
    return number, os.getpid()


def count_up(most: int, tell: Any) -> int:
    """Tell of each number; a negative one ends the process."""
    for number in range(abs(most)):
        tell(number)
    if most < 0:
        os._exit(3)
    return most


def leave_behind(how: str) -> int:
    """Start a process that sleeps, and then live on or die; the sleeper holds all that its parent has open."""
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    if how == "die":
        os._exit(3)
    return child


def count_on(most: int, line: Line) -> int:
    """Tell of each number, from where an interrupted attempt has ended; the first attempt gets stuck after two."""
    for number in range(len(line.earlier), most):
        line(number)
        if not line.earlier and number == 1:
            time.sleep(120)
    return most


def keep_when_warned(seconds: float, line: Line) -> int:
    """Wait for a warning, and answer it after some seconds; another attempt has what was told before the answer."""
    if not line.earlier:
        assert line.warning is not None
        line.warning.heed()
        line(0)
        while not line.warning.is_given():
            time.sleep(0.01)
        time.sleep(seconds)
        line(1)
        line.warning.answer()
        time.sleep(120)
    return len(line.earlier)


def machine_of(task: Any) -> int:
    time.sleep(0.2)
    return os.getppid()


def stay(task: tuple[Path, float]) -> float:
    """Tell that it has begun, and stay for some seconds."""
    folder, seconds = task
    (folder / str(os.getpid())).touch()
    time.sleep(seconds)
    return seconds


def meet(task: tuple[Path, int, float]) -> tuple[int, str, int]:
    """Wait some seconds for as many processes as there are to be; the process, its GPUs, and how many have come."""
    folder, company, seconds = task
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + seconds
    while (there := len(list(folder.iterdir()))) < company and time.monotonic() < deadline:
        time.sleep(0.02)
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES", ""), there
