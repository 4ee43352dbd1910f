"""A task is late by what changed since it was handed out, on this process's clock, whatever that of its files."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bnbench.errors import Gone
from bnbench.launch.awake import AwakeClock
from bnbench.session import dispatch
from bnbench.session.monitor import _is_gone
from bnbench.store import Segment, enter_runs
from tests.store.sweeps import FACTS, evaluations, make_spec

TIMEOUT = 300.0


@pytest.mark.parametrize("ahead", [-7200.0, 0.0, 7200.0])
def test_a_file_system_with_another_clock_ends_nobody_and_spares_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """Of two tasks one is silent from its beginning on, the other from its first evaluation on."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(dispatch, "awake_seconds", AwakeClock(now))
    specs = [make_spec(seed) for seed in range(2)]
    enter_runs(tmp_path, specs, {}, {})
    tasks: Any = [SimpleNamespace(specs=(spec,), timeout=TIMEOUT, folder=tmp_path) for spec in specs]

    def write(name: str, step: int) -> None:
        for path in (tmp_path / "segments").glob(f"{name}.*"):
            os.utime(path, (time.time() + ahead + step,) * 2)

    with Segment(tmp_path, "earlier") as earlier:  # of an attempt whose worker died: no sign of these tasks
        earlier.start(specs, FACTS)
        write("earlier", 0)
        late = dispatch._Watch(tasks)
    ended: list[tuple[float, list[int]]] = []
    with Segment(tmp_path, "one") as segment:
        for now in range(0, 800, 5):
            if now == 50:
                segment.start(specs[1:], FACTS)
                write("one", 1)
            if now == 200:
                segment.evaluation(evaluations(specs[1])[:1])
                write("one", 2)
            if found := late({0: float(now), 1: float(now)}):
                ended.append((now, found))
    begins = TIMEOUT + dispatch.STARTING_SECONDS
    assert ended[0] == (begins + 5, [0]) and next(at for at, found in ended if 1 in found) == 200 + TIMEOUT + 5


@pytest.mark.parametrize(("error", "is_gone"), [(None, False), (Gone(Path("s")), True), (OSError(116, "Stale"), False)])
def test_only_a_folder_that_is_known_to_be_gone_is_gone(error: Exception | None, is_gone: bool) -> None:
    def look() -> None:
        if error is not None:
            raise error

    assert _is_gone(look) is is_gone
