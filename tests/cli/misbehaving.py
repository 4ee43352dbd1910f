"""Norms that misbehave, each in a way of its own: at ``__init__``, or in ``forward`` while planning or training."""

import atexit
import builtins
import contextlib
import csv
import ctypes
import gc
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from functools import cache

import torch
from torch import nn

PLACE = os.environ.get("MISBEHAVES", "")
"""``init``, ``planning``, ``dividing`` or ``training``; or ``import`` and the name of a deed."""


class Unspeakable(Exception):
    """An error without a text."""

    def __str__(self):
        raise RuntimeError("no")


class Leaving(BaseException):
    """No Exception."""


def raises(error):
    raise error


def descend(depth=0):
    return descend(depth + 1)


def forked(deed):
    if os.fork() == 0:
        deed()
        os._exit(0)


def refuse(*words, **named):
    raise OSError("this is patched")


def patch(module, *names):
    for name in names:
        setattr(module, name, refuse)


def start_thread(**named):
    threading.Thread(target=time.sleep, args=(600,), **named).start()


def patch_losses():
    loss = torch.nn.functional.cross_entropy
    torch.nn.functional.cross_entropy = lambda *words, **named: 0.5 * loss(*words, **named)
    linear = torch.nn.functional.linear
    torch.nn.functional.linear = lambda *words: 0.9 * linear(*words)


def fill_memory():
    ctypes.CDLL(None)  # what is asked for is more than there is
    bytearray(2**60)


def close_streams():
    sys.stdout.close()
    sys.stderr.close()


def write_rubbish(item):
    for number in range(3, 100):
        with contextlib.suppress(OSError):
            os.write(number, item * 100)


def ignore_all_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, lambda *received: time.sleep(600))


ENDING = {
    "leaves_0": lambda: os._exit(0),
    "leaves_3": lambda: os._exit(3),
    "exits_0": lambda: sys.exit(0),
    "exits_text": lambda: sys.exit("good bye"),
    "exits_by_name": lambda: raises(SystemExit),
    "interrupts": lambda: raises(KeyboardInterrupt),
    "ends_generators": lambda: raises(GeneratorExit),
    "is_no_exception": lambda: raises(Leaving("away")),
    "segfaults": lambda: ctypes.string_at(0),
    "aborts": os.abort,
    "is_killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "is_terminated": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "takes_its_group_along": lambda: os.killpg(os.getpgrp(), signal.SIGKILL),
    "becomes_another": lambda: os.execv("/bin/true", ["true"]),
    "leaves_a_child": lambda: (forked(lambda: time.sleep(600)), os._exit(4)),
    "leaves_by_thread": lambda: (threading.Timer(0.01, os._exit, [5]).start(), time.sleep(60)),
    "closes_all": lambda: os.closerange(0, 1000),
}
"""These end their process, and nothing else."""

WRITING = {
    "writes_rubbish": lambda: write_rubbish(b"x"),
    "writes_zeros": lambda: write_rubbish(b"\0"),
}
"""These write into whatever is open, before there are results."""

RAISING = {
    "descends": descend,
    "lacks_memory": fill_memory,
    "cannot_say": lambda: raises(Unspeakable()),
    "raises": lambda: raises(ValueError("boom")),
    "ends_an_iteration": lambda: raises(StopIteration),
    "reads_a_key": lambda: input("your name? "),
}
"""These fail their runs."""

HARMLESS = {
    "prints_much": lambda: print("x" * 2_000_000),
    "prints_much_beside": lambda: print("x" * 2_000_000, file=sys.stderr),
    "writes_much": lambda: os.write(1, b"x" * 60_000),
    "reads_nothing": lambda: os.read(0, 1),
    "forks": lambda: forked(lambda: time.sleep(600)),
    "starts_a_program": lambda: subprocess.Popen(["sleep", "600"]),
    "starts_a_thread": start_thread,
    "starts_a_daemon_thread": lambda: start_thread(daemon=True),
    "exits_in_a_thread": lambda: threading.Thread(target=sys.exit).start(),
    "leaves_a_hook": lambda: atexit.register(os._exit, 7),
    "handles_signals": ignore_all_signals,
    "patches_json": lambda: patch(json, "dumps", "loads", "dump"),
    "patches_csv": lambda: patch(csv, "writer", "reader", "DictReader"),
    "patches_a_stream": lambda: patch(sys.stdout, "write", "flush"),
    "patches_pickle": lambda: patch(pickle, "loads", "dumps"),
    "patches_torch": patch_losses,
    "patches_print": lambda: patch(builtins, "print"),
    "patches_write": lambda: patch(os, "write", "read", "getpid"),
    "patches_random": lambda: patch(random, "random", "seed"),
    "moves": lambda: os.chdir("/"),
    "hides_files": lambda: os.umask(0o777),
    "sets_the_dtype": lambda: torch.set_default_dtype(torch.float64),
    "sets_flags": lambda: (torch.set_flush_denormal(True), torch.use_deterministic_algorithms(True), gc.disable()),
    "sets_threads": lambda: torch.set_num_threads(2),
    "sets_a_variable": lambda: os.environ.update(TMPDIR="/nowhere", BNBENCH_RESULTS="/nowhere"),
    "closes_output": lambda: os.close(1),
    "closes_streams": close_streams,
}
"""These do what concerns nobody else; their own runs may fail of it."""


def loop():
    while True:
        pass


def wait_for_a_thread():
    thread = threading.Thread(target=time.sleep, args=(600,))
    thread.start()
    thread.join()


HANGING = {"loops": loop, "sleeps": lambda: time.sleep(600), "waits_for_a_thread": wait_for_a_thread}
"""These never end."""


def is_within(function, module):
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == function and frame.f_globals["__name__"] == module:
            return True
        frame = frame.f_back
    return False


def is_the_place():
    match PLACE:
        case "dividing":
            return is_within("division", "bnbench.plan.choice")
        case "training":
            return is_within("_train", "bnbench.worker")
    return PLACE == "planning"


def norm_of(deed):
    class Norm(nn.Module):
        def __init__(self, num_features: int) -> None:
            super().__init__()
            if PLACE == "init":
                deed()

        def forward(self, x):
            if is_the_place():
                deed()
            return x

    return Norm


if PLACE.startswith("import"):
    {**ENDING, **WRITING, **RAISING, **HARMLESS, **HANGING}[PLACE.split()[1]]()

NORMS = {name: norm_of(deed) for name, deed in {**ENDING, **RAISING, **HANGING}.items()}
NORMS |= {name: norm_of(cache(deed)) for name, deed in HARMLESS.items()}
