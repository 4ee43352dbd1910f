"""How far a sweep is, as it is shown: on terminals of any width, on those that cannot move their cursor, in pipes."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from bnbench.cli import display
from bnbench.cli.display import SweepDisplay
from bnbench.cli.status import Status
from bnbench.progress import clock
from bnbench.session import Progress
from bnbench.tasks import End
from tests import warm
from tests.conftest import make_spec
from tests.products import long

NOW = "layer x 32 (stack of 16), group x 32 (stack of 16)"


def lines_of(width: int, progress: Progress, seconds: float = 12.0, left: float | None = 40.0) -> list[str]:
    status = Status()
    status.progress, status.seconds, status.left = progress, seconds, left
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(status)
    return captured.get().splitlines()


@pytest.mark.parametrize(
    ("width", "first"),
    [
        (30, "13/500  elapsed 0:12  left about 0:40"),
        (50, "13/500  elapsed 0:12  left about 0:40"),
        (60, "13/500  2 failed  elapsed 0:12  left about 0:40"),
        (80, "13/500  32 running, 2 failed, 7 impossible  elapsed 0:12  left about 0:40"),
        (120, "13/500  32 running, 2 failed, 7 impossible  elapsed 0:12  left about 0:40"),
    ],
)
def test_count_and_times_stay_and_the_bar_goes(width: int, first: str):
    progress = Progress(500, 32, {"completed": 11, "failed": 2}, 7, now=NOW)
    shown, now = lines_of(width, progress)
    bar, words = re.fullmatch("([^0-9]*)(.*)", shown).groups()  # type: ignore[union-attr]
    expected = first if len(first) <= width - 4 else first[: width - 7].rstrip() + "..."
    assert words == expected
    assert ("━" in bar) == (width == 120) and max(map(len, (shown, now))) <= width - 4
    assert f"now: {NOW}".startswith(now.removesuffix("...").rstrip()) and now.startswith("now: layer x")


def test_what_is_not_known_is_not_shown():
    assert lines_of(80, Progress(2, 0, {}), left=None)[0].endswith("0/2  0 running, 0 failed  elapsed 0:12")
    assert [clock(seconds) for seconds in (0.4, 59.6, 725, 3725)] == ["0:00", "1:00", "12:05", "1:02:05"]


@pytest.mark.parametrize("name", ["", "convergence, tuning"])
def test_a_pipe_gets_a_line_at_the_start_now_and_then_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
):
    """One of many that are shown one after the other has its name in each line, and none for its first and last."""
    seconds = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: seconds[0])
    end = End(make_spec(), "completed")
    with SweepDisplay(began=97.0, name=name) as shown:
        for second in range(26):
            seconds[0] = 100.0 + second
            known = 30.0 - second if second > 4 else None
            shown.update(Progress(3, 2, {"completed": second // 13}, left=known, now="layer x 32 (stack of 16)"))
        shown.update(Progress(3, 0, {"completed": 3}, last=end))
    now = "; now: layer x 32 (stack of 16)"
    lines = [
        f"0 of 3 runs, 2 running, 0 failed, elapsed 0:03{now}",
        f"0 of 3 runs, 2 running, 0 failed, elapsed 0:13, left about 0:20{now}",
        f"1 of 3 runs, 2 running, 0 failed, elapsed 0:23, left about 0:10{now}",
        "3 of 3 runs, 0 running, 0 failed, elapsed 0:28",
    ]
    assert capsys.readouterr().out.splitlines() == ([f"{name}: {text}" for text in lines[1:3]] if name else lines)


TAKE_TERMINAL = partial(fcntl.ioctl, 0, termios.TIOCSCTTY, 0)
"""What a session does to have its standard input as the terminal that signals come from."""
WORDS = ["sweep", "--name", "s", "--jobs", "2", "model=mlp", "norm=none,group", "seed=range(4)"]


def on_a_terminal(
    folder: Path, columns: int, words: list[str], interrupt: bytes | None, term: str = "xterm",
    start: Callable[..., subprocess.Popen[bytes]] = warm.Popen,
) -> bytes:  # fmt: skip
    """What the program writes to a terminal, where Ctrl-C is typed as soon as ``interrupt`` is read."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    child = start(
        [sys.executable, "-m", "bnbench", *words], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**inherited, "TERM": term, "PYTHONWARNINGS": "ignore"}, start_new_session=True, preexec_fn=TAKE_TERMINAL,
    )  # fmt: skip
    os.close(theirs)
    seen, deadline = b"", time.monotonic() + 240
    try:
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 1.0)[0]:
                try:
                    read = os.read(terminal, 2**16)
                except OSError:
                    break
                if not read:
                    break
                seen += read
            if interrupt is not None and interrupt in seen:
                os.write(terminal, b"\x03")
                interrupt = None
    finally:
        if time.monotonic() >= deadline:
            child.kill()
        child.wait()
        os.close(terminal)
    return seen


def screen(written: bytes, columns: int) -> list[str]:
    """The lines that a terminal shows in the end."""
    rows, y, x = [[" "] * columns], 0, 0
    for code, count, command, character in re.findall(
        r"(\x1b\[\??(\d*)[\d;]*([A-Za-z]))|(.)", written.decode(), flags=re.S
    ):
        if code:
            y -= int(count or 1) if command == "A" else 0
            if command == "K":
                rows[y] = [" "] * columns if count == "2" else rows[y][:x] + [" "] * (columns - x)
        elif character == "\r":
            x = 0
        else:
            if character == "\n" or x == columns:
                y, x = y + 1, x if character == "\n" else 0
                rows += [[" "] * columns] if y == len(rows) else []
            if character != "\n":
                rows[y][x], x = character, x + 1
    return ["".join(row).rstrip() for row in rows]


@pytest.mark.parametrize(
    ("columns", "start"),
    [(50, warm.Popen), (120, warm.Popen), pytest.param(80, subprocess.Popen, marks=long)],
)
def test_interrupted_on_a_terminal_a_sweep_leaves_one_bar(
    tmp_path: Path, columns: int, start: Callable[..., subprocess.Popen[bytes]]
):
    written = on_a_terminal(tmp_path, columns, [*WORDS, "epochs=2000"], b"stack of", start=start)
    lines = screen(written, columns)
    assert lines[0] == "planning s ..."
    assert sum("0/8" in line for line in lines) == 1, (lines, written)
    assert sum(line.startswith("now: ") for line in lines) == 1
    assert sum("elapsed 0:" in line for line in lines) == 1
    assert any(line.startswith("interrupted; the same command") for line in lines)


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(tmp_path: Path):
    written = on_a_terminal(tmp_path, 80, [*WORDS, "epochs=2"], None, term="dumb")
    assert b"\x1b[" not in written
    lines = written.decode().splitlines()
    assert lines[0] == "planning s ..." and lines[2].startswith("0 of 8 runs, ")
    assert any(line.startswith("8 of 8 runs, 0 running, 0 failed, elapsed ") for line in lines)


@pytest.mark.parametrize("words", [WORDS, ["run", "model=mlp"], ["study", "run", "memory"]], ids=lambda words: words[0])
def test_the_first_line_comes_before_anything_large_is_imported(tmp_path: Path, words: list[str]):
    """Importing torch fails here, and pandas and Hydra as well: what was written was written before."""
    for name in ("torch", "pandas", "hydra", "scipy", "sklearn"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('too early')")
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, "-m", "bnbench", *words], cwd=tmp_path, env=variables, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout.startswith("planning ") and done.stdout.count("\n") == 1
    assert "too early" in done.stderr
