"""What a part of the program yields: rows that are worked out one by one, so that one that fails costs itself only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

Row = dict[str, str | float | int]
"""A line of a table. A number that is not right is told under ``wrong``."""

Rows = Iterator[Callable[[], Row]]

Part = Callable[[torch.device, bool], Rows]
"""Takes the device and whether a few rows are enough."""
