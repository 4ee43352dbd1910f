"""The fork server that these tests start, which has no torch, is not left to the tests behind them."""

from collections.abc import Iterator
from multiprocessing import forkserver
from typing import Any

import pytest


@pytest.fixture(scope="module", autouse=True)
def server_is_left_to_nobody() -> Iterator[None]:
    """A server is there from the first process on, and imports nothing more for later ones."""
    server: Any = forkserver._forkserver
    earlier = server._forkserver_pid
    yield
    if server._forkserver_pid != earlier:
        server._stop()
