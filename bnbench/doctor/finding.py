"""A thing that was looked at, and the state it is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "absent", "wrong"]
OK: State = "ok"
ABSENT: State = "absent"
WRONG: State = "wrong"


@dataclass(frozen=True)
class Finding:
    """The state of one thing.

    Attributes:
        part: what it belongs to: versions, machine, folders, data, launchers or engines.
        name: of the thing.
        state: ``absent`` is no problem; ``wrong`` is one.
        said: what was found, in a few words.
        remedy: what to do, where something is wrong or could be had.
    """

    part: str
    name: str
    state: State
    said: str
    remedy: str = ""
