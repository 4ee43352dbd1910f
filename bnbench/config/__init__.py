"""From the command line to run specs: the only package that knows Hydra."""

from bnbench.config.catalogue import Entry, entries
from bnbench.config.compose import GROUPS, Composer
from bnbench.config.request import EMPTY, Request, compose_request, joined
from bnbench.config.space import Interval, Point, Space, Values, read_spaces, typed_point
from bnbench.config.specfile import read_spec

__all__ = [
    "EMPTY",
    "GROUPS",
    "Composer",
    "Entry",
    "Interval",
    "Point",
    "Request",
    "Space",
    "Values",
    "compose_request",
    "entries",
    "joined",
    "read_spaces",
    "read_spec",
    "typed_point",
]
