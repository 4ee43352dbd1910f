"""A time that is up interrupts what goes on, and nothing else."""

from __future__ import annotations

import math
import signal
import threading
import time

import pytest

from bnbench.comparison.deadline import Deadline


def test_a_block_that_goes_on_is_interrupted():
    deadline = Deadline(0.2)
    with pytest.raises(KeyboardInterrupt), deadline.interrupting():
        threading.Event().wait(30)
    assert deadline.interrupted and deadline.left == 0


def test_where_ctrl_c_is_ignored_it_still_is_and_the_deadline_is_not():
    """As in a program that a script starts with ``&``."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        deadline = Deadline(0.5)
        with pytest.raises(KeyboardInterrupt), deadline.interrupting():
            signal.raise_signal(signal.SIGINT)
            assert not deadline.interrupted
            threading.Event().wait(30)
        assert deadline.interrupted and signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_block_that_ends_in_time_is_not():
    deadline = Deadline(0.3)
    with deadline.interrupting():
        pass
    time.sleep(0.5)
    assert not deadline.interrupted


def test_no_time_is_never_up():
    deadline = Deadline(math.inf)
    with deadline.interrupting():
        pass
    assert math.isinf(deadline.left) and not deadline.interrupted


def test_ctrl_c_of_the_user_is_not_the_deadline_s():
    deadline = Deadline(60)
    with pytest.raises(KeyboardInterrupt), deadline.interrupting():
        raise KeyboardInterrupt
    assert not deadline.interrupted
