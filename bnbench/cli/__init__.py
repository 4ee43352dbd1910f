"""The command line: one file per command. Whatever is slow to import is imported inside the command that needs it."""

from bnbench.cli.entry import main, program

__all__ = ["main", "program"]
