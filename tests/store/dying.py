"""A process that dies at each of its steps in the file system in turn."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

STEPS = ("replace", "rename", "unlink")
"""The methods of a path that change what is there under a name."""


def deaths(act: Callable[[], object], begin: Callable[[], object]) -> Iterator[int]:
    """Let a copy of this process begin anew and act until step 1, 2, 3, ..., and yield after each death."""
    for step in count(1):
        begin()
        if (pid := os.fork()) == 0:
            _die_at(step)
            try:
                act()
            except BaseException:
                os._exit(3)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, 9), f"step {step}: exit code {code}"
        if code == 0:
            return
        yield step


def _die_at(step: int) -> None:
    steps = count(1)

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, *args: Any, **options: Any) -> Any:
            if next(steps) == step:
                os._exit(9)
            return method(path, *args, **options)

        return call

    for name in STEPS:
        setattr(Path, name, dying(getattr(Path, name)))
