"""Launchers: where tasks run."""

from bnbench.launch.background import BackgroundTask
from bnbench.launch.in_process import inline
from bnbench.launch.launcher import Done, Launcher, Spent
from bnbench.launch.processes import local
from bnbench.launch.starting import NoWorkers, prestart

LAUNCHERS: dict[str, Launcher] = {"inline": inline, "local": local}

__all__ = ["LAUNCHERS", "BackgroundTask", "Done", "Launcher", "NoWorkers", "Spent", "local", "prestart"]
