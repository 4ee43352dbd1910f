"""From the command line to run specs: the only package that knows Hydra."""

from bnbench.config.catalogue import Entry, entries
from bnbench.config.compose import GROUPS, Composer
from bnbench.config.request import Request, compose_request, joined
from bnbench.config.specfile import read_spec

__all__ = ["GROUPS", "Composer", "Entry", "Request", "compose_request", "entries", "joined", "read_spec"]
