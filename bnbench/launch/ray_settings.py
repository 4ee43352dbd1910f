"""The settings of workers on a Ray cluster, and Ray itself, which is kept quiet."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec, module_from_spec
from typing import Any

from bnbench.errors import BnbenchError, InvalidRequest, message_of
from bnbench.imports import imported_whole
from bnbench.launch.settings import Settings

ADDRESS = "RAY_ADDRESS"
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_enable_metrics_collection": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "3",
}
"""Variables that keep Ray from talking to the terminal and to others, and from waiting long for who is not there."""
PATIENCE = 5.0
"""Seconds that a cluster has to answer."""


@dataclass(frozen=True)
class RaySettings(Settings):
    """The settings of ``--launcher ray``; see ``conf/launcher/ray.yaml``."""

    address: str | None
    cpus: float = field(metadata={"least": 0.0})
    gpus: float = field(metadata={"least": 0.0, "divides_at_most": 1})

    @property
    def place(self) -> str | None:
        """The address of a running cluster; None for one of this machine."""
        address = self.address or os.environ.get(ADDRESS) or "local"
        return None if address == "local" else address

    @property
    def origin(self) -> str:
        """The address as it was given."""
        return f"launcher.address={self.address}" if self.address else f"{ADDRESS}={os.environ.get(ADDRESS)}"


def cluster_problems(settings: RaySettings) -> Sequence[str]:
    """The reasons why there is no cluster to be had, as far as one look tells."""
    try:
        imported_ray()
    except BnbenchError as error:
        return [str(error)]
    address = settings.place
    if address in (None, "auto"):
        return []
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        return [f"{settings.origin}: must be host:port of a cluster's head, or auto, on one of its machines"]
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        reason = error.strerror or message_of(error) if isinstance(error, OSError) else message_of(error)
        return [f"{settings.origin}: no Ray cluster answers there ({reason}); ray start --head begins one"]
    return []


def imported_ray() -> Any:
    """Ray, which must be installed.

    Raises:
        InvalidRequest: it is not.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        imported_whole("ray")
        import ray
    except ModuleNotFoundError as error:
        raise InvalidRequest(["--launcher ray needs Ray: pip install 'bnbench[ray]'"]) from error
    _draw_apart()
    return ray


@cache
def _draw_apart() -> None:
    """Let Ray draw from a copy of Python's ``random``.

    It begins in a thread while networks are watched for what they draw, and a user's program may draw as well.
    """
    found = find_spec("random")
    assert found is not None and found.loader is not None
    apart = module_from_spec(found)
    found.loader.exec_module(apart)
    for name, module in [*sys.modules.items()]:
        if name.startswith("ray.") and vars(module).get("random") is random:
            vars(module)["random"] = apart
