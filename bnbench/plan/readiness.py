"""Compiled code that is not there yet: whether to wait for it, and how it is made ready beside training.

Needs no torch.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from bnbench.notices import heard
from bnbench.plan.execution import ALONE, NOT_READY, Division, Execution
from bnbench.plan.grouping import STEP_OVERHEAD, Stack
from bnbench.plan.inquiry import Inquiry, answer
from bnbench.spec import RunSpec, stack_key
from bnbench.user_cache import kept_folder

if TYPE_CHECKING:
    from bnbench.components import Components, DataFolder

WORTH_WAITING = 8.0
"""Seconds that torch takes for a stack from which it is quicker to wait for compiled code: that takes about 6 s on two
cores, and trains two to six times as fast. Where no stack takes as long, torch begins at once, and stacks that begin
later take what is compiled by then."""
MUCH = 15.0
"""Seconds that torch takes for all stacks from which compiling, 9 s of a core, saves more than it costs training."""
POLITE, BRISK = 10, 0
"""Niceness of compiling beside little training, and beside much."""


COMPILED_FIRST, UNTIL_READY = "compiled first, which takes some seconds", "until compiled code is ready"
"""Forecasts of an engine where compiled code is not ready."""


@dataclass(frozen=True)
class CompileJob:
    """An inquiry whose answer may take compilers, and the niceness with which it is found."""

    inquiry: Inquiry
    niceness: int


@dataclass(frozen=True)
class CompileReply:
    """The answer to an inquiry, and what was noticed on the way."""

    value: Any
    notices: tuple[str, ...]


def reply(request: CompileJob) -> CompileReply:
    """Answer in a process of low priority, which ends in order on SIGTERM."""
    signal.signal(signal.SIGTERM, _leave)
    os.nice(request.niceness)
    with suppress(OSError):  # where Linux schedules by sessions, niceness counts within one only
        Path("/proc/self/autogroup").write_text(str(request.niceness))
    told: list[str] = []
    with heard(told.append):
        value = answer(request.inquiry)
    return CompileReply(value, tuple(told))


def compile_source(specs: Mapping[str, RunSpec], parts: Components, data: DataFolder) -> bool:
    """The C code that all compiled networks share, ready when this returns; False if that cannot be."""
    import torch

    from bnbench.native import library

    return library(torch.float32) is not None


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(1)


def is_worth_waiting(planned: Sequence[Stack], specs: Mapping[str, RunSpec], found: Division) -> bool:
    """True if torch takes so long for a stack that it is quicker to wait for compiled code; see :data:`WORTH_WAITING`.

    Args:
        planned: stacks as torch would train them.
        specs: by run_id.
        found: of the specs.
    """
    return any(seconds >= WORTH_WAITING for seconds in _unready_seconds(planned, specs, found))


def niceness(planned: Sequence[Stack], specs: Mapping[str, RunSpec], found: Division) -> int:
    """The niceness of compiling beside the training of stacks: little training is over soon, and has the cores."""
    seconds = _unready_seconds(planned, specs, found)
    return BRISK if sum(seconds) >= MUCH or max(seconds, default=0.0) >= WORTH_WAITING else POLITE


def _unready_seconds(planned: Sequence[Stack], specs: Mapping[str, RunSpec], found: Division) -> list[float]:
    """Seconds that torch takes for each stack that compiled code may train, roughly."""
    seconds = []
    for stack in planned:
        key = stack_key(specs[stack[0]])
        if found.executions.get(key, ALONE).is_unready:
            seconds.append(found.sizes[key] * (STEP_OVERHEAD + len(stack)) / (STEP_OVERHEAD + 1))
    return seconds


def foreseen(planned: Sequence[Stack], specs: Mapping[str, RunSpec], found: Division) -> dict[str, Execution]:
    """Executions by stack key as they are likely to come, where some compiled code is not ready now."""
    waits = is_worth_waiting(planned, specs, found)

    def likely(one: Execution) -> Execution:
        if not one.is_unready:
            return one
        reasons = tuple(reason for reason in one.reasons if reason != NOT_READY)
        if waits:
            return replace(one, engine="native", reasons=(*reasons, COMPILED_FIRST))
        return replace(one, reasons=(*reasons, UNTIL_READY))

    return {key: likely(one) for key, one in found.executions.items()}


def compiled_code() -> list[str]:
    """The names of all compiled code that is kept on this machine."""
    folder = kept_folder("native")
    return [] if folder is None or not folder.is_dir() else sorted(path.name for path in folder.glob("[!.]*"))


def is_lasting(estimate: Mapping[str, Any]) -> bool:
    """True if an estimate, with ``engines`` a line for each, holds another time too: all code was ready for it."""
    return not any(COMPILED_FIRST in line or UNTIL_READY in line for line in estimate["engines"])
