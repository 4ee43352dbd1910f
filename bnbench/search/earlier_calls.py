"""A search held against the earlier calls of its sweep, as sweep.yaml has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bnbench import store
from bnbench.errors import InvalidRequest
from bnbench.search.design import Design


def has_begun(folder: Path, design: Design) -> bool:
    """True for a search that an earlier call has trained some of."""
    return any(_is_same(entry, _entry(design)) for entry in store.read_history(folder))


def check_same(folder: Path, design: Design) -> None:
    """Refuse a sweep that was searched in another way: two trials would have one number.

    Raises:
        InvalidRequest: it was.
    """
    for entry in store.read_history(folder):
        if "search" in entry and not _is_same(entry, _entry(design)):
            there = " ".join(map(str, [*entry.get("overrides", ()), *(entry["search"] or ())]))
            raise InvalidRequest([f"sweep {folder.name} holds another search ({there:.200}); choose another --name"])


def _entry(design: Design) -> dict[str, list[str]]:
    """The request as sweep.yaml has it."""
    grid = design.grid
    texts = {"overrides": grid.overrides, "zip": grid.zips, "exclude": grid.excludes}
    return {**{key: [*its] for key, its in texts.items()}, "search": [*design.facts]}


def _is_same(entry: Mapping[str, object], request: Mapping[str, Sequence[str]]) -> bool:
    """True for an entry of sweep.yaml with the same search, whatever the order of its settings and the device."""

    def texts(value: object) -> list[str]:
        every = map(str, value) if isinstance(value, list) else ()
        return sorted(text for text in every if not text.startswith("device="))

    return "search" in entry and all(texts(entry.get(key)) == sorted(texts([*its])) for key, its in request.items())
