"""What every launcher promises."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bnbench.cli.options import Launcher
from bnbench.errors import BnbenchError
from bnbench.launch import LAUNCHERS, Done, Launch, Site
from bnbench.launch.in_process import inline
from tests.launch import tasks


@pytest.fixture
def launcher(site: Site) -> Iterator[Launch]:
    yield site.launch
    assert not multiprocessing.active_children()


def test_every_task_ends_once_and_errors_are_told(launcher: Launch) -> None:
    numbers = [3, -1, 4, -1, 5]
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
    numbers = list(range(-2, 2))
    shuffled = random.Random(0).sample(numbers, len(numbers))
    one, other = (
        {order[done.index]: (done.value, done.error) for done in launcher(tasks.square, order, 3)}
        for order in (numbers, shuffled)
    )
    assert one == other


@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_help_names_every_launcher(name: str) -> None:
    (option,) = Launcher.__metadata__  # type: ignore[attr-defined]
    assert re.search(rf"\b{name}\b", option.help)


def test_what_a_function_tells_is_heard_before_its_end(launcher: Launch) -> None:
    heard: list[int] = []
    ends = []
    for done in launcher(tasks.count_up, [3, 0, 2], 1, heard=heard.append):
        ends.append((done.index, done.value, done.error, list(heard)))
    assert ends == [(0, 3, None, [0, 1, 2]), (1, 0, None, [0, 1, 2]), (2, 2, None, [0, 1, 2, 0, 1])]


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
    there, before = settled(tmp_path), {"started-0", "started-1", "started-2", "ended-0"}
    assert "ended-0" in there and there <= before, "two workers have begun three tasks at most"


def settled(folder: Path) -> set[str]:
    """The files that there are once none has come for half a second: on a cluster a process ends a moment later."""
    looks = [{path.name for path in folder.iterdir()}]
    while len(looks) < 2 or (looks[-1] != looks[-2] and len(looks) < 10):
        time.sleep(0.5)
        looks.append({path.name for path in folder.iterdir()})
    assert looks[-1] == looks[-2], "files go on coming"
    return looks[-1]


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


def test_tasks_are_isolated(isolated: Site) -> None:
    assert os.getpid() not in {done.value for done in isolated.launch(tasks.identify, [0, 1], 2)}


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("exit", "the worker process ended with exit code 7"),
        ("kill", "the worker process was ended by SIGKILL (often the system's answer to a lack of memory)"),
        ("realtime", f"the worker process was ended by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_a_worker_that_dies_loses_only_its_own_task(isolated: Site, how: str, error: str) -> None:
    plans = ["live", how, "live", how]
    ends = sorted(isolated.launch(tasks.die, plans, 2), key=lambda done: done.index)
    assert [done.error for done in ends] == [error if plan == how else None for plan in plans]
    assert not any(done.is_lost for done in ends)


def test_what_was_told_before_a_death_is_heard(isolated: Site) -> None:
    heard: list[int] = []
    (done,) = isolated.launch(tasks.count_up, [-3], 1, heard=heard.append)
    assert (heard, done) == ([0, 1, 2], Done(0, None, "the worker process ended with exit code 3"))


def test_values_and_tasks_that_do_not_travel_are_errors_of_their_own(isolated: Site) -> None:
    kinds = ["function", "unloadable", "y", lambda: None, tasks.Unloadable()]
    ends = sorted(isolated.launch(tasks.answer, kinds, 2), key=lambda done: done.index)
    assert [done.value for done in ends] == [None, None, "y", None, None]
    assert "<lambda>" in str(ends[0].error) and "<lambda>" in str(ends[3].error)
    assert ends[1].error == ends[4].error == "EOFError: no such thing"


def test_a_task_and_a_value_larger_than_any_buffer(isolated: Site) -> None:
    text = "x" * 5_000_000
    assert [done.value for done in isolated.launch(tasks.answer, [text, text], 2)] == [text] * 2


def test_tasks_of_two_kinds_never_share_a_process(isolated: Site) -> None:
    kinds = ["a", "b", "a", "b"]
    processes: dict[str, set[int]] = {}
    for done in isolated.launch(tasks.ask_its_process, kinds, 2, lambda kind: kind):
        assert done.error is None
        processes.setdefault(kinds[done.index], set()).add(done.value)
    assert processes.keys() == {"a", "b"} and not processes["a"] & processes["b"]


def test_a_spent_process_has_no_further_task(isolated: Site) -> None:
    ends = sorted(isolated.launch(tasks.spend, [1, 2, 4], 1), key=lambda done: done.index)
    assert [(done.value[0], done.error) for done in ends] == [(1, None), (2, None), (4, None)]
    assert ends[0].value[1] not in {ends[1].value[1], ends[2].value[1]}


def test_a_task_that_was_placed_is_the_one_that_is_carried_out(isolated: Site) -> None:
    ends = list(isolated.launch(tasks.die_at, ["kill", "live"], 1, placed=tasks.name_place))
    assert sorted(done.value for done in ends if done.error is None) == [0]
