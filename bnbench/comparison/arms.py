"""The arms of a comparison, as they are typed: a norm, or a norm with options and settings of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnbench.config import GROUPS, Composer, compose_request
from bnbench.errors import InvalidRequest, nearest
from bnbench.schema import Known
from bnbench.spec import run_id
from bnbench.study.checks import OWN_KEYS

AGAINST = ("batch", "group", "layer", "rms", "none")
"""The norms that an arm is compared with unless others are named."""

TRIED_ON = ("model=mlp",)
"""The network on which arms are told apart."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison.

    Attributes:
        name: the words as typed.
        settings: as a study has them: ``norm=group``, ``norm.groups=8``.
    """

    name: str
    settings: tuple[str, ...]


def read_arms(texts: Sequence[str], parts: Known) -> list[Arm]:
    """Arms from texts such as ``mine``, ``group groups=8``, ``mine placement=after``.

    An option without a dot is one of the norm, or else of the model.

    Raises:
        InvalidRequest: listing all that is wrong with any of them; arms that are the same among it.
    """
    composer = Composer(parts)
    problems: list[str] = []
    arms = [_arm(text, composer, problems) for text in texts]
    known = [arm for arm in arms if arm is not None]
    problems += _same(known, parts, problems)
    if problems:
        raise InvalidRequest(problems)
    return known


def _arm(text: str, composer: Composer, problems: list[str]) -> Arm | None:
    words = text.split()
    norm = words[0].removeprefix("norm=") if words else ""
    names = composer.names("norm") or []
    if norm not in names:
        problems.append(f"arm {text!r}: there is no norm {norm!r}; {nearest(norm, names)}; --plugin adds your own")
        return None
    settings = [f"norm={norm}"]
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals or not value:
            problems.append(f"arm {text!r}: {word!r} must be an option such as groups=8")
        elif key in OWN_KEYS:
            problems.append(f"arm {text!r}: {word!r}: {key} is set by the comparison itself; leave it out")
        settings.append(f"{_whole_key(key, norm, composer)}={value}")
    return Arm(" ".join(words), tuple(settings))


def _whole_key(key: str, norm: str, composer: Composer) -> str:
    """The key of an option that is typed without its group."""
    if "." in key or key in GROUPS:
        return key
    if key in composer.options("norm", norm):
        return f"norm.{key}"
    models = composer.names("model") or []
    return f"model.{key}" if any(key in composer.options("model", model) for model in models) else key


def default_rivals(arms: Sequence[Arm], parts: Known) -> list[Arm]:
    """The norms of :data:`AGAINST` that are not among some arms, whatever those are called."""
    there = {_identity(arm, parts) for arm in arms}
    return [arm for arm in read_arms(AGAINST, parts) if _identity(arm, parts) not in there]


def _identity(arm: Arm, parts: Known) -> str:
    """Equal for arms that are the same."""
    return run_id(compose_request([*TRIED_ON, *arm.settings], parts).specs[0])


def _same(arms: Sequence[Arm], parts: Known, problems: list[str]) -> list[str]:
    """Complaints about arms that cannot be composed, or that are one arm under two names."""
    if problems:
        return []
    first: dict[str, Arm] = {}
    found = []
    for arm in arms:
        request = compose_request([*TRIED_ON, *arm.settings], parts)
        found += [f"arm {arm.name!r}: {problem}" for problem in request.problems]
        if request.problems:
            continue
        if len(request.specs) != 1:
            found.append(f"arm {arm.name!r}: makes {len(request.specs)} arms; give each as an arm of its own")
            continue
        other = first.setdefault(run_id(request.specs[0]), arm)
        if other is not arm:
            alike = "is there twice" if other.name == arm.name else f"is the same as {other.name!r}"
            found.append(f"arm {arm.name!r}: {alike}; an arm is compared with others than itself")
    return found
