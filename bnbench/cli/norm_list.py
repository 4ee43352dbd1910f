"""The facts of each norm as labelled lines, for the terminal and for docs/norms.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bnbench.config import Composer
from bnbench.schema.facts import Facts


def entries(composer: Composer) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The norms by name, each with its lines by label; a norm of a plugin need not have facts."""
    for name in composer.names("norm") or []:
        options = " ".join(f"{key}={shown(value)}" for key, value in composer.options("norm", name).items())
        facts = composer.facts(name)
        said = labelled(facts) if facts else {"what it is": composer.summary("norm", name)}
        yield name, {label: line for label, line in {**said, "options": options or "none"}.items() if line}


def labelled(facts: Facts) -> dict[str, str]:
    """The facts in words; a line may be empty."""
    smallest = "1 example"
    if not facts.vectors:
        smallest = "1 example, of several positions per channel"
    elif facts.smallest_batch > 1:
        smallest = (
            f"{facts.smallest_batch} examples, or {facts.smallest_with_positions} of several positions per channel"
        )
    return {
        "what it is": facts.title,
        "formula": facts.formula,
        "over": facts.over,
        "in training": in_training(facts.batch_statistics),
        "smallest batch": smallest,
        "paper": facts.paper,
        "elsewhere": facts.differs,
    }


def in_training(batch_statistics: bool | str) -> str:
    """Words on the use of the statistics of a batch."""
    if isinstance(batch_statistics, str):
        return f"uses no batch statistics; with {batch_statistics} it does"
    return "uses batch statistics" if batch_statistics else "uses no batch statistics"


def shown(value: Any) -> str:
    """A default as it is written on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value).replace(" ", "")
