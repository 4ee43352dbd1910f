"""Settings that a user gives with a study: what all its runs share may be changed, and makes another study of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bnbench.config import GROUPS, Composer
from bnbench.config.grammar import Setting, parse
from bnbench.config.keys import Arms
from bnbench.errors import InvalidRequest
from bnbench.schema import Parts
from bnbench.study.checks import AMOUNTS, amount_problems
from bnbench.study.definition import Scale, Study
from bnbench.study.design import RIVALS, merged

OWNED = {
    "lr": "is tuned over the grid of the scale; another grid needs a study file of your own",
    "seed": "is counted up by the study; how many replicates there are is said by seeds=20",
    "probes": "are those that the claims measure",
}
"""Keys that a study sets itself, in every run anew."""
READABLE = 40
"""Characters of the settings that a name shows."""


def told_apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of studies among some words, and the settings: words with a ``=``, or with Hydra's ``~`` in front."""
    settings = [word for word in words if word.startswith("~") or ("=" in word and not Path(word).is_file())]
    return [word for word in words if word not in settings], settings


def varied(studies: Sequence[Study], texts: Sequence[str], parts: Parts) -> list[Study]:
    """The studies with settings in place of their own, at every scale.

    Whatever is set so takes the place of the study's ``fixed`` and of the scale's overrides. What arms or cells set
    cannot be: it is what they are. ``device`` says where to train and makes no other study.

    Args:
        texts: as on the command line, with ``seeds`` and ``tuning_seeds`` for the amounts.

    Raises:
        InvalidRequest: listing all that is wrong for any of them.
    """
    problems: list[str] = []
    composer = Composer(parts)
    pairs = [
        (_canonical(text, setting), setting) for text in texts for setting in parse([text], composer.names, problems)
    ]
    keys = [setting.key for _, setting in pairs]
    problems += [f"{key} is set more than once" for key in dict.fromkeys(keys) if keys.count(key) > 1]
    problems += _arms(composer).problems(setting for _, setting in pairs if setting.key not in AMOUNTS)
    problems += [problem for text, setting in pairs for problem in _refusals(text, setting)]
    problems += [
        f"study {study.name}: {problem}"
        for study in studies
        for text, setting in pairs
        for problem in _conflicts(study, text, setting.key)
    ]
    if problems:
        raise InvalidRequest(problems)
    amounts: dict[str, Any] = {setting.key: setting.values[0] for _, setting in pairs if setting.key in AMOUNTS}
    settings = [text for text, setting in pairs if setting.key not in AMOUNTS]
    changes = tuple(sorted(text for text, setting in pairs if setting.key != "device"))
    return [_changed(study, settings, amounts, changes) for study in studies]


def suffix(changes: Sequence[str]) -> str:
    """The end of the names of a changed study's files: the settings as far as they are readable, and a digest."""
    if not changes:
        return ""
    words = re.sub(r"[^A-Za-z0-9.]+", "-", " ".join(changes))[:READABLE].strip("-.")
    digest = hashlib.sha256(json.dumps(list(changes)).encode()).hexdigest()
    return f"-{words}-{digest[:8]}"


def _arms(composer: Composer) -> Arms:
    """Every choice that there is, and so every key."""
    return Arms([Setting(group, tuple(composer.names(group) or ()), swept=True) for group in GROUPS], composer)


def _canonical(text: str, setting: Setting) -> str:
    """The text as a study file would have it: ``+key=value`` without its sign, ``~key`` as ``key=null``."""
    return f"{setting.key}=null" if text.startswith("~") else f"{setting.key}={text.partition('=')[2]}"


def _refusals(text: str, setting: Setting) -> Iterator[str]:
    key = setting.key
    if key in OWNED:
        yield f"{text}: {key} {OWNED[key]}"
    elif setting.swept:
        yield f"{text}: must be one value for all runs; call the study once for each value"
    elif key in AMOUNTS:
        yield from amount_problems(key, setting.values[0])


def _conflicts(study: Study, text: str, key: str) -> Iterator[str]:
    """Complaints about a key that the arms or cells of the study set, and would win."""
    head = key.partition(".")[0]
    rivals = {key, RIVALS.get(key, key), *([head] if head in GROUPS else [])}
    for part, sets in (("arms", study.arms), ("cells", study.cells)):
        keys = [setting.partition("=")[0] for settings in sets.values() for setting in settings]
        clash = next((name for name in keys if name in rivals), None)
        if clash is not None:
            each = ", ".join(f"{name} ({' '.join(settings)})" for name, settings in sets.items() if settings)
            shared = f"{' '.join(study.fixed[:3])} ..." if study.fixed else "dataset=digits"
            yield f"{text}: {clash} is set by the {part} {each}; set what all runs share, such as {shared}"


def _changed(study: Study, settings: Sequence[str], amounts: dict[str, Any], changes: tuple[str, ...]) -> Study:
    def changed(scale: Scale) -> Scale:
        return replace(scale, overrides=tuple(merged(scale.overrides, settings)), **amounts)

    scales = {name: changed(scale) for name, scale in study.scales.items()}
    return replace(study, scales=scales, changes=changes)
