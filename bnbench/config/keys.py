"""The keys that the arms of a sweep have, and the messages about others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bnbench.config import slips
from bnbench.config.compose import CLOSED, GROUPS, Composer
from bnbench.config.grammar import Setting
from bnbench.config.likely_names import likely_key, plain_norm
from bnbench.errors import nearest
from bnbench.schema.convert import shown
from bnbench.schema.fields import field_types
from bnbench.schema.torchvision_names import torchvision_name
from bnbench.spec import Evaluate, Split
from bnbench.text import plural

NESTED = {"split": Split, "evaluate": Evaluate}
"""The keys that hold several values."""

FEW = 3
"""Choices that a message names at most."""

OPTIONS = ("name", "jobs", "lanes", "launcher", "plugin", "results", "data")
"""The options of commands, which are arguments of Python functions as well."""


class Arms:
    """The choices of each group that a sweep uses, and with them its keys."""

    def __init__(self, settings: Iterable[Setting], composer: Composer) -> None:
        self._composer = composer
        choices = [(setting.key, value) for setting in settings if setting.key in GROUPS for value in setting.values]
        self._unclear = {group for group, value in choices if not self.offers(group, value)}
        self._names = {
            group: list(dict.fromkeys(value for key, value in choices if key == group and self.offers(group, value)))
            or [composer.chosen[group]]
            for group in GROUPS
        }

    def offers(self, group: str, value: object) -> bool:
        """True for a value that is a choice of a group."""
        return isinstance(value, str) and value in (self._composer.names(group) or ())

    def names(self, group: str) -> Sequence[str]:
        """The choices of a group that the sweep uses."""
        return self._names[group]

    def problems(self, settings: Iterable[Setting]) -> Iterator[str]:
        """The problems of the keys of the settings, and of the names that they choose."""
        for setting in settings:
            names = self._composer.names(setting.key)
            if names is not None:
                wrong = (value for value in setting.values if not self.offers(setting.key, value))
                yield from (self._unknown_name(setting.key, value, names) for value in wrong)
            elif not self._has(setting.key):
                yield f"{self._unknown_key(setting.key)}{self._elsewhere(setting)}"

    def _has(self, key: str) -> bool:
        head, _, option = key.partition(".")
        if option and head in GROUPS:
            return option in self._options(head)
        return key in self._keys()

    def _keys(self) -> list[str]:
        """The keys that every run has, but for the groups, in the order of ``bnbench list settings``."""
        return [
            name
            for key in self._composer.defaults
            for name in ([f"{key}.{inside}" for inside in field_types(NESTED[key])] if key in NESTED else [key])
        ]

    def _options(self, group: str) -> list[str]:
        """The options that an arm has, or that a misspelt arm may have, in the order of ``bnbench list settings``."""
        names = (self._composer.names(group) or ()) if group in self._unclear else self._names[group]
        return sorted({option for name in names for option in self._composer.options(group, name)})

    def _unknown_name(self, group: str, value: object, names: Sequence[str]) -> str:
        if isinstance(value, list):
            return f"{group}={shown(value)}: must be one name; write {group}={shown(value)[1:-1]} to compare several"
        slip = self._correction(group, value)
        advice = f"write {slip}" if slip else nearest(str(value), names, f"bnbench list {group}s")
        plugin_hint = ". For one of your own add --plugin FILE" if group not in CLOSED and not slip else ""
        return f"{group}={shown(value)}: unknown {group}; {advice}{plugin_hint}"

    def _correction(self, group: str, value: object) -> str | None:
        """The setting that was meant, where it is known, as it is typed."""
        if value in ("all", "*"):
            return slips.typed(f"{group}=glob(*)")
        if names := slips.several(value, lambda name: self.offers(group, name)):
            return slips.typed(f"{group}={names}")
        if group == "model" and (name := torchvision_name(str(value))):
            return f"model=torchvision model.name={name}"
        name = plain_norm(str(value))
        if group == "norm" and self.offers(group, name) and name != str(value).lower():
            return f"norm={name}"
        return None

    def _elsewhere(self, setting: Setting) -> str:
        """The choices with an option that the arms of the sweep do not have, and the setting that may be meant."""
        head, dot, option = setting.key.partition(".")
        if dot and head in GROUPS and head not in self._unclear and (has := self._choices_with(head, option)):
            return f". {', '.join(f'{head}={name}' for name in has)} {'has' if len(has) == 1 else 'have'} it"
        match setting.key, setting.values:
            case "seeds", (int(count),):
                return f". For {plural(count, 'seed')} write {slips.typed(f'seed=range({count})')}"
            case "data", (str(name),) if self.offers("dataset", name):
                return f". The dataset is chosen with dataset={name}"
        return ""

    def _choices_with(self, group: str, option: str) -> list[str]:
        """The choices of a group that have an option."""
        names = self._composer.names(group) or ()
        return [name for name in names if option in self._composer.types(group, name)]

    def _unknown_key(self, key: str) -> str:
        head, _, option = key.partition(".")
        if option and head in GROUPS:
            arms = ", ".join(f"{head}={name}" for name in self._names[head])
            arms = f"any {head}" if head in self._unclear else arms
            options = self._options(head)
            is_elsewhere = bool(self._choices_with(head, option))  # which is said behind it
            has = f"Allowed: {', '.join(options)}" if is_elsewhere else nearest(option, options)
            has = has if options else "it has no options"
            return f"{shown(key)}: no option {shown(option)!r} in {arms}; {has}"
        if head in NESTED:
            inside = [name for name in self._keys() if name.startswith(f"{head}.")]
            return f"{shown(key)}: {'unknown key' if option else 'holds several keys'}; {nearest(key, inside)}"
        if key in OPTIONS:
            return f"{key}: unknown key; it is an option of the command: --{key} {key.upper()}"
        options = [f"{group}.{option}" for group in GROUPS for option in self._options(group)]
        keys = [*GROUPS, *self._keys(), *options]
        meant = likely_key(key, keys, self._every_option())
        if meant is not None and meant not in keys:
            return f"{shown(key)}: unknown key; did you mean {meant!r}, with {self._some_with(meant)}?"
        return f"{shown(key)}: unknown key; {nearest(meant or shown(key), keys, 'bnbench list settings')}"

    def _every_option(self) -> list[str]:
        """The options of all choices, whether or not the sweep has them."""
        return [
            f"{group}.{option}"
            for group in GROUPS
            for name in self._composer.names(group) or ()
            for option in self._composer.types(group, name)
        ]

    def _some_with(self, key: str) -> str:
        """A few choices that have an option, that first which it is named for: ``norm=group, norm=ws or others``."""
        group, _, option = key.partition(".")
        names = sorted(self._choices_with(group, option), key=lambda name: not option.startswith(name))
        texts = [f"{group}={name}" for name in names[:FEW]] + ["others"] * (len(names) > FEW)
        return " or ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]
