"""The error of folding."""

from __future__ import annotations


class CannotFold(Exception):
    """Networks that cannot become one; the message says which layer and why. Callers run them one by one."""
