"""Launchers: where tasks run."""

from bnbench.launch.beside import Beside
from bnbench.launch.in_process import inline
from bnbench.launch.launcher import Done, Launcher, Spent
from bnbench.launch.processes import NoWorkers, begin, local

LAUNCHERS: dict[str, Launcher] = {"inline": inline, "local": local}

__all__ = ["LAUNCHERS", "Beside", "Done", "Launcher", "NoWorkers", "Spent", "begin", "local"]
