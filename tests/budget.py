"""CPU seconds of the tests by folder, held to those of budget.toml by ``pytest --budget``, as both tiers are."""

from __future__ import annotations

import os
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

TABLE = tomllib.loads(Path(__file__).with_name("budget.toml").read_text())
SLOWEST = 5


_ended: dict[int, float] = {}
"""CPU seconds of processes that have ended and that nobody waited for. They change no more and are read once: hundreds
of orphans are left to a process that takes them in, and it asks three times per test."""


def cpu_seconds() -> float:
    """Those of this process and of all below it, whether they have ended or, as far as Linux tells, live on."""
    total, ended = sum(os.times()[:4]), dict[int, float]()
    for process in _below(os.getpid()):
        seconds, has_ended = (_ended[process], True) if process in _ended else _spent(process)
        total += seconds
        if has_ended:
            ended[process] = seconds
    _ended.clear()
    _ended.update(ended)
    return total


def _below(process: int) -> Iterator[int]:
    """The processes that a process has started, those that these have started, and so on."""
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # as for the rest: it has ended meanwhile
            for child in map(int, path.read_text().split()):
                yield child
                if child not in _ended:
                    yield from _below(child)


def _spent(process: int) -> tuple[float, bool]:
    """CPU seconds of a process and of what it has started and waited for, and whether it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, False
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"), fields[0] == "Z"


def slowness() -> float:
    """Times that this machine is slower just now than one on which a loop takes what budget.toml says; at least 1."""
    began = time.process_time()
    sum(number % 7 for number in range(6_000_000))
    return max(1.0, (time.process_time() - began) / TABLE["loop"])


def folder_of(test: str) -> str:
    """The folder of a test below tests/, or "." of a file that is in none."""
    parts = test.partition("::")[0].split("/")
    return parts[1] if len(parts) > 2 else "."


def overruns(tests: Mapping[str, float], budgets: Mapping[str, float], tolerance: float) -> list[str]:
    """A paragraph for each folder whose tests, in CPU seconds, take more than its budget times the tolerance."""
    folders: dict[str, Counter[str]] = defaultdict(Counter)
    for test, seconds in tests.items():
        folders[folder_of(test)][test] += seconds
    problems = []
    for folder, seconds in sorted(folders.items()):
        budget = budgets.get(folder, 0.0)
        if seconds.total() > budget * tolerance:
            problems.append(
                f"tests/{folder}: {seconds.total():.0f} CPU seconds, and {budget * tolerance:.0f} are allowed: "
                f"{budget:g} by tests/budget.toml, times {tolerance:.1f} for this machine. The slowest:"
            )
            problems[-1] += "".join(f"\n  {each:.1f} {test}" for test, each in seconds.most_common(SLOWEST))
    return problems


class Budget:
    """Adds up what each test took in its worker, and fails a session in which a folder took too much."""

    def __init__(self, tier: str) -> None:
        self.budgets = TABLE[tier]
        self.before, self.slower, self.problems = 0.0, slowness(), list[str]()
        self.tests: Counter[str] = Counter()

    def pytest_collection_finish(self) -> None:
        self.before = cpu_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report = yield
        now = cpu_seconds()
        report.cpu_seconds, self.before = max(now - self.before, 0.0), now  # less if what nobody waited for is gone
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tests[report.nodeid] += getattr(report, "cpu_seconds", 0.0)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        slower = max(self.slower, slowness())
        self.problems = overruns(self.tests, self.budgets, slower * TABLE["tolerance"])
        if self.problems and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        folders: Counter[str] = Counter()
        for test, seconds in self.tests.items():
            folders[folder_of(test)] += seconds
        terminalreporter.section("CPU seconds")
        terminalreporter.line(", ".join(f"{folder} {seconds:.0f}" for folder, seconds in folders.most_common()))
        for problem in self.problems:
            terminalreporter.line(problem, red=True)
