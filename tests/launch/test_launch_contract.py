"""What every launcher promises."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bnbench.cli.options import Launcher
from bnbench.errors import BnbenchError
from bnbench.launch import LAUNCHERS, Done, Launch
from bnbench.launch.in_process import inline
from tests.launch import tasks


@pytest.fixture(params=LAUNCHERS)
def launcher(request: pytest.FixtureRequest) -> Iterator[Launch]:
    yield LAUNCHERS[request.param].launch
    assert not multiprocessing.active_children()


def test_every_task_ends_once_and_errors_are_told(launcher: Launch) -> None:
    numbers = [3, -1, 4, -1, 5, 9, 2, 6]
    ends = list(launcher(tasks.square, numbers, 2))
    assert sorted(done.index for done in ends) == list(range(len(numbers)))
    for done in ends:
        number = numbers[done.index]
        error = None if number >= 0 else "ValueError: -1 is negative"
        assert done == Done(done.index, None if error else number * number, error)


def test_a_task_that_leaves_python_is_an_error(launcher: Launch) -> None:
    ends = {done.index: done for done in launcher(tasks.leave, [0, 3, 0], 2)}
    assert ends == {0: Done(0, 0), 1: Done(1, None, "SystemExit: 3"), 2: Done(2, 0)}


def test_a_task_is_placed_before_it_is_carried_out(launcher: Launch) -> None:
    ends = list(launcher(tasks.where, [(0.0, -1)] * 3, 1, placed=tasks.put))
    assert [done.value[1] for done in ends] == [0, 0, 0]


def test_the_order_of_the_tasks_does_not_matter(launcher: Launch) -> None:
    numbers = list(range(-2, 6))
    shuffled = random.Random(0).sample(numbers, len(numbers))
    one, other = (
        {order[done.index]: (done.value, done.error) for done in launcher(tasks.square, order, 3)}
        for order in (numbers, shuffled)
    )
    assert one == other


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launcher_isolates_tasks_if_it_says_so(name: str) -> None:
    ends = list(LAUNCHERS[name].launch(tasks.identify, [0, 1], 2))
    assert all(isinstance(done.value, int) for done in ends)
    assert (os.getpid() not in {done.value for done in ends}) is LAUNCHERS[name].isolates


@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_help_names_every_launcher(name: str) -> None:
    (option,) = Launcher.__metadata__  # type: ignore[attr-defined]
    assert re.search(rf"\b{name}\b", option.help)


def test_nothing_to_do(launcher: Launch) -> None:
    assert list(launcher(tasks.square, [], 2)) == []


def test_nothing_starts_before_it_is_asked_for(launcher: Launch, tmp_path: Path) -> None:
    with closing(launcher(tasks.mark, [(tmp_path, 0)], 2)):  # type: ignore[type-var]
        time.sleep(0.05)
    assert not list(tmp_path.iterdir())


def test_closing_stops_everything(launcher: Launch, tmp_path: Path) -> None:
    start = time.monotonic()
    with closing(launcher(tasks.mark, [(tmp_path, number) for number in range(4)], 2)) as ends:  # type: ignore[type-var]
        assert next(ends) == Done(0, 0)
    assert time.monotonic() - start < 15
    assert not multiprocessing.active_children()
    before = {path.name for path in tmp_path.iterdir()}
    time.sleep(0.2)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert {name for name in before if name.startswith("ended")} == {"ended-0"}


def test_an_error_of_the_one_who_asks_stops_everything(launcher: Launch, tmp_path: Path) -> None:
    def consume() -> None:
        with closing(launcher(tasks.mark, [(tmp_path, number) for number in range(3)], 2)) as ends:  # type: ignore[type-var]
            for _ in ends:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert not multiprocessing.active_children()


def test_in_this_process_a_spent_one_ends_all() -> None:
    ends = inline(tasks.spend, [2, 1, 4], 1)
    assert [next(ends).value[0], next(ends).value[0]] == [2, 1]
    with pytest.raises(BnbenchError, match="an odd one"):
        next(ends)
