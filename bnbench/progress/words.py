"""The progress of a sweep in words, the same for terminals, pipes and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnbench.text import plural

if TYPE_CHECKING:
    from bnbench.session import Progress


def line(progress: Progress, seconds: float, left: float | None) -> str:
    """``12 of 54 runs, 4 running, 0 failed, elapsed 0:33, left about 0:12; now: group x 32``.

    Args:
        progress: how far the sweep is.
        seconds: since it began.
        left: seconds that it will still take, if that is known.
    """
    over = progress.done == progress.total
    parts = [f"{progress.done} of {plural(progress.total, 'run')}", *told(progress)]
    parts.append(spent(seconds, None if over else left).replace("  ", ", "))
    return ", ".join(parts) + (f"; now: {progress.now}" if progress.now else "")


def told(progress: Progress) -> list[str]:
    """The counts of a sweep that is under way; what is impossible only if something is."""
    parts = [f"{progress.running} running", f"{progress.failed} failed"]
    return parts + ([f"{progress.impossible} impossible"] if progress.impossible else [])


def spent(seconds: float, left: float | None) -> str:
    """``elapsed 0:12  left about 0:40``."""
    return f"elapsed {clock(seconds)}" + ("" if left is None else f"  left about {clock(left)}")


def clock(seconds: float) -> str:
    """``0:12``, ``12:05``, ``1:02:05``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
