"""Norms of which an example is a token.

A norm with ``per_token = True`` has statistics of each example over its channels. On tokens ``[N, *, C]`` it gets each
as an example of its own, as transformers have it. Other norms get tokens as the positions of an image ``[N, C, *]``.
"""

from __future__ import annotations


def is_per_token(norm: object) -> bool:
    """True if a norm gets each token as an example of its own."""
    return getattr(norm, "per_token", False) is True
