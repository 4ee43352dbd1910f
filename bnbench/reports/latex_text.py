"""Texts as LaTeX shows them, whatever they hold, and numbers as siunitx sets them."""

from __future__ import annotations

import re

from bnbench.text import one_line

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "\u00d7": r"$\times$",
    "\u2013": "--",
    "\u2014": "---",
    "\xa0": "~",
    **{character: rf"\{character}" for character in "{}$&#_%"},
    **{character: f"{{{character}}}" for character in "[]*-,!?"},
}
"""What LaTeX reads as something else, alone, beside its like or at the beginning of a row."""
PLAIN = {character: character for character in "-,!?"}
"""Of these, what is harmless beside any other character."""
LATIN = range(0xA1, 0x180)
UNKNOWN = frozenset("ĦħĸĿŀŉŦŧſ")
"""Latin letters that fonts of the encoding T1 do not have."""
UNBROKEN = 10
"""Letters in a row behind which a line may end."""
NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
"""A number of :func:`bnbench.reports.plain.plain_text`; the ``-`` of ``300-500`` is no sign."""

SIGNS = {"-": "--", "x": r"$\times$"}
SIGN = re.compile(r"([kMG]?)([-x])")


def escape(text: str) -> str:
    """A text, on one line, so that LaTeX sets it as just that text, also in a caption and at the beginning of a row.

    A control character becomes its escape, a letter that Latin fonts do not have its code, as ``U+4E2D``.
    """
    pieces, unbroken, before = list[str](), 0, ""
    for character in one_line(text):
        unbroken = 0 if character == " " else unbroken + 1
        if unbroken > UNBROKEN:
            pieces.append(r"\hspace{0pt}")
            unbroken = 1
        pieces.append(PLAIN[character] if character in PLAIN and character != before else _escaped(character))
        before = character
    return "".join(pieces)


def _escaped(character: str) -> str:
    code = ord(character)
    if character in SPECIAL:
        return SPECIAL[character]
    if code < 0x80 or (code in LATIN and character not in UNKNOWN):
        return character
    return f"U+{code:04X} "


def numbers(text: str) -> str:
    """An entry of a table, with its numbers set by siunitx: ``97.2 ± 0.3``, ``400 [300-500]``, ``3.2x``, ``1e-5``."""
    pieces, end = list[str](), 0
    for number in NUMBER.finditer(text):
        pieces += [_between(text[end : number.start()], bool(end)), rf"\num{{{number[0].replace(',', '')}}}"]
        end = number.end()
    return "".join([*pieces, _between(text[end:], bool(end))])


def _between(text: str, behind_number: bool) -> str:
    """What stands beside numbers; behind one, ``x`` is the sign of a factor and ``-`` that of a range."""
    sign = SIGN.match(text) if behind_number else None
    return escape(text) if sign is None else f"{sign[1]}{SIGNS[sign[2]]}{escape(text[sign.end() :])}"
