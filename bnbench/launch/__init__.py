"""Launchers: where tasks run."""

from bnbench.launch.background import BackgroundTask
from bnbench.launch.in_process import INLINE
from bnbench.launch.launcher import Done, Launch, Launcher, Spent
from bnbench.launch.processes import LOCAL, local
from bnbench.launch.starting import NoWorkers, prestart

LAUNCHERS: dict[str, Launcher] = {"inline": INLINE, "local": LOCAL}

__all__ = ["LAUNCHERS", "BackgroundTask", "Done", "Launch", "Launcher", "NoWorkers", "Spent", "local", "prestart"]
