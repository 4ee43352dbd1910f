"""Text made fit to be shown: what is from elsewhere harmless and not too long, nouns and numbers."""

from __future__ import annotations

import math
import re
import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of what steers a terminal or the order of letters, or is half a character."""
JOINERS = "\u200c\u200d"
"""Invisible as well, but part of words and emoji."""
NO_CHARACTERS = "\ufffe\uffff"
"""Codes that no XML may hold, and for which there is no category."""

LONGEST_WORD, LONGEST_LINE = 500, 2500
"""Characters without a blank, and in a line of a message, that are shown."""


def harmless(text: str) -> str:
    """Text with each control character (line breaks excepted) as its escape, so that no terminal obeys it."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def one_line(text: str) -> str:
    """Harmless text with blanks in place of its line breaks."""
    return harmless(" ".join(text.splitlines()))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if _is_hidden(character) else character


def _is_hidden(character: str) -> bool:
    if character == "\n" or character in JOINERS:
        return False
    return character in NO_CHARACTERS or unicodedata.category(character) in HIDDEN


def shortened(message: str) -> str:
    """A message with what a user gave at excessive length cut: words, and lines."""
    words = re.sub(rf"(\S{{{LONGEST_WORD}}})\S+", r"\1...", message)
    return "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in words.split("\n"))


def plural(number: int, noun: str) -> str:
    """A number with its noun: ``1 run``, ``3 runs``, ``2 classes``."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"


def listing(words: list[str]) -> str:
    """Words as a list in a sentence: ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def general(value: float) -> str:
    """A number with six significant digits, no padding: ``0.01``, ``1e-5``, ``64``."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e")


def duration(seconds: float) -> str:
    """``48 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
