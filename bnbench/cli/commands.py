"""The look of flags in the help of all commands, the refusal of settings behind dashes, and global options anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, final

from typer.core import TyperCommand, TyperGroup

from bnbench.errors import InvalidRequest

SETTING_COMMANDS = ("run", "sweep", "study", "compare")
"""The commands that take settings."""

_DASHED = re.compile(r"--?([A-Za-z][\w.-]*)(?:[=:](.*))?", re.DOTALL)


@final
class Command(TyperCommand):
    """A command whose help shows flags as flags, and not as options that take a ``<bool>``."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, as Typer has them."""
        return _without_kinds(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line, where each argument stands as its metavar says, without a second bracket."""
        arguments = [one for one in self.get_params(ctx) if one.param_type_name == "argument"]
        return [self.options_metavar, *(one.metavar or one.name for one in arguments)]


@final
class Group(TyperGroup):
    """A group of commands whose help shows flags as flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, as Typer has them."""
        return _without_kinds(super().get_params(ctx))


def _without_kinds(parameters: Sequence[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return list(parameters)


def check_dashes(words: Sequence[str], program: Group) -> None:
    """Refuse settings that are written as options (``--norm batch``), and short options, as there is none but ``-h``.

    Raises:
        InvalidRequest: there are some; the message says how they are written.
    """
    words = list(words[: words.index("--")] if "--" in words else words)
    if not set(words) & set(SETTING_COMMANDS):
        return
    options = _options(program)
    problems = []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if (found := _DASHED.fullmatch(word)) is None or word.partition("=")[0] in (*options, "-h"):
            continue
        key, value = found[1].replace("-", "_"), found[2]
        if _is_setting(key):
            value = value or (following if following and not following.startswith("-") else "...")
            problems.append(f"{word}: a setting has no dashes; write {key}={value}")
        elif not word.startswith("--"):
            near = [option for option in options if option.startswith(f"--{key[0].lower()}")]
            hint = f"did you mean {' or '.join(near)}?" if near else "options have two dashes, --help lists them"
            problems.append(f"{word}: no such option; {hint}")
    if problems:
        raise InvalidRequest(problems)


def _options(program: Group) -> dict[str, None]:
    """The options of the commands that take settings."""
    found: list[str] = []
    waiting: list[Any] = [program, *(program.commands[name] for name in SETTING_COMMANDS)]
    for command in waiting:
        waiting += getattr(command, "commands", {}).values() if command is not program else ()
        found += (name for parameter in command.params for name in parameter.opts if name.startswith("--"))
    return dict.fromkeys([*found, "--help"])


def _is_setting(key: str) -> bool:
    from dataclasses import fields

    from bnbench.spec import Evaluate, RunSpec, Split

    head, dot, option = key.partition(".")
    nested = {"split": Split, "evaluate": Evaluate}
    if head in nested:
        return option in {field.name for field in fields(nested[head])}
    plain = {field.name for field in fields(RunSpec)} | {"device"}
    return head in plain and (not dot or head in ("norm", "model", "dataset", "optim", "schedule"))


def hoist_global_options(words: list[str]) -> list[str]:
    """Put the global options in front, so that they may stand anywhere."""
    front: list[str] = []
    rest: list[str] = []
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            rest += [word, *words]
            break
        if word == "--debug" or word.startswith(("--results=", "--data=")):
            front.append(word)
        elif word in ("--results", "--data") and words:
            front += [word, words.pop(0)]
        else:
            rest.append(word)
    return [*front, *rest]
