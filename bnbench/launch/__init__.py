"""Launchers: where tasks run."""

from bnbench.launch.awake import awake_seconds
from bnbench.launch.background import BackgroundTask
from bnbench.launch.early_warning import EarlyWarning
from bnbench.launch.in_process import INLINE
from bnbench.launch.launcher import STARTING_SECONDS, Done, Launch, Line, Spent, WatchfulLaunch
from bnbench.launch.processes import LOCAL, local, local_programs
from bnbench.launch.ray_launcher import RAY
from bnbench.launch.settings import Settings, described_settings, divided, read_settings
from bnbench.launch.site import AskEach, Launcher, Request, Site
from bnbench.launch.slurm_launcher import SLURM
from bnbench.launch.starting import NoWorkers, prestart

LAUNCHERS: dict[str, Launcher] = {"inline": INLINE, "local": LOCAL, "ray": RAY, "slurm": SLURM}

__all__ = [
    "LAUNCHERS",
    "STARTING_SECONDS",
    "AskEach",
    "BackgroundTask",
    "Done",
    "EarlyWarning",
    "Launch",
    "Launcher",
    "Line",
    "NoWorkers",
    "Request",
    "Settings",
    "Site",
    "Spent",
    "WatchfulLaunch",
    "awake_seconds",
    "described_settings",
    "divided",
    "local",
    "local_programs",
    "prestart",
    "read_settings",
]
