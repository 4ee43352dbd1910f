"""The words that sweeps and tags may be called by."""

from __future__ import annotations

import re


def naming_rule(word: str, longest: int) -> str | None:
    """What a name may have in it, where a word is none; it may be so many characters long."""
    if re.fullmatch(rf"\w[\w.-]{{0,{longest - 1}}}", word):
        return None
    return f"letters, digits, '.', '_' and '-', not '.' or '-' first, at most {longest} of them"
