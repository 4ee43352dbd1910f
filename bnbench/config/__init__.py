"""From the command line to run specs: the only package that knows Hydra."""

from bnbench.config.compose import GROUPS, Composer
from bnbench.config.request import Request, compose_request, joined
from bnbench.config.specfile import read_spec

__all__ = ["GROUPS", "Composer", "Request", "compose_request", "joined", "read_spec"]
