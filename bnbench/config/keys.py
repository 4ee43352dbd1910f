"""Which keys exist for the arms of a sweep, and what to say of one that does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bnbench.config.compose import GROUPS, Composer
from bnbench.config.convert import shown
from bnbench.config.fields import field_types
from bnbench.config.grammar import Setting
from bnbench.errors import nearest
from bnbench.spec import Evaluate, Split

NESTED = {"split": Split, "evaluate": Evaluate}
"""The keys that hold several values."""

OTHER_NAMES = {"learning_rate": "lr", "bs": "batch_size", "wd": "optim.weight_decay", "iterations": "steps"}
"""What else people call our keys, where spelling does not lead there."""

OPTIONS = ("name", "jobs", "lanes", "launcher", "plugin", "results", "data")
"""What is said with an option of a command, and with an argument of a Python function."""


class Arms:
    """The choices of each group that a sweep uses, and with them its keys."""

    def __init__(self, settings: Iterable[Setting], composer: Composer) -> None:
        self._composer = composer
        asked = [(setting.key, value) for setting in settings if setting.key in GROUPS for value in setting.values]
        self._unclear = {group for group, value in asked if not self.offers(group, value)}
        self._names = {
            group: list(dict.fromkeys(value for key, value in asked if key == group and self.offers(group, value)))
            or [composer.chosen[group]]
            for group in GROUPS
        }

    def offers(self, group: str, value: object) -> bool:
        """Whether a value is a choice of a group."""
        return isinstance(value, str) and value in (self._composer.names(group) or ())

    def names(self, group: str) -> Sequence[str]:
        """The choices of a group that the sweep uses."""
        return self._names[group]

    def problems(self, settings: Iterable[Setting]) -> Iterator[str]:
        """What is wrong with the keys of the settings, and with the names that they choose."""
        for setting in settings:
            names = self._composer.names(setting.key)
            if names is not None:
                wrong = (value for value in setting.values if not self.offers(setting.key, value))
                yield from (self._unknown_name(setting.key, value, names) for value in wrong)
            elif not self._has(setting.key):
                yield self._unknown_key(setting.key)

    def _has(self, key: str) -> bool:
        head, _, option = key.partition(".")
        if option and head in GROUPS:
            return option in self._options(head)
        return key in self._plain() or key in _nested()

    def _plain(self) -> list[str]:
        return [key for key in self._composer.defaults if key not in NESTED]

    def _options(self, group: str) -> list[str]:
        """The options that an arm has, or that a misspelt arm may have."""
        names = (self._composer.names(group) or ()) if group in self._unclear else self._names[group]
        return list(dict.fromkeys(option for name in names for option in self._composer.options(group, name)))

    def _unknown_name(self, group: str, value: object, names: Sequence[str]) -> str:
        if isinstance(value, list):
            return f"{group}={shown(value)}: must be one name; write {group}={shown(value)[1:-1]} to compare several"
        return f"{group}={shown(value)}: unknown {group}; {nearest(str(value), names)}"

    def _unknown_key(self, key: str) -> str:
        head, _, option = key.partition(".")
        if option and head in GROUPS:
            arms = ", ".join(f"{head}={name}" for name in self._names[head])
            arms = f"any {head}" if head in self._unclear else arms
            options = self._options(head)
            has = nearest(option, options) if options else "it has no options"
            return f"{shown(key)}: no option {shown(option)!r} in {arms}; {has}"
        if head in NESTED:
            inside = [name for name in _nested() if name.startswith(f"{head}.")]
            return f"{shown(key)}: {'unknown key' if option else 'holds several keys'}; {nearest(key, inside)}"
        options = [f"{group}.{option}" for group in GROUPS for option in self._options(group)]
        if key in OPTIONS:
            return f"{key}: unknown key; it is an option of the command: --{key} {key.upper()}"
        near = OTHER_NAMES.get(key) or next((name for name in options if name.endswith(f".{key}")), None)
        allowed = nearest(near or shown(key), [*GROUPS, *self._plain(), *_nested(), *options])
        return f"{shown(key)}: unknown key; {allowed}"


def _nested() -> list[str]:
    return [f"{head}.{name}" for head, kind in NESTED.items() for name in field_types(kind)]
