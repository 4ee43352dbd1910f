"""The fork server of these tests, which knows their tasks but not torch, is not left to the tests behind them."""

from collections.abc import Iterator
from multiprocessing import forkserver
from typing import Any

import pytest


@pytest.fixture(scope="module", autouse=True)
def server_of_its_own() -> Iterator[None]:
    """Fork servers begin with the first process: one that other tests started is as wrong here."""
    server: Any = forkserver._forkserver
    server._stop()
    yield
    server._stop()
