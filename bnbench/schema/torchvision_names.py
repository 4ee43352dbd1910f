"""The names of torchvision's classifiers, read from its files: importing it takes longer than an answer may."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model\(\)\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


@cache
def torchvision_names() -> tuple[str, ...]:
    """The names of ``torchvision.models.list_models``; none where torchvision is not there as source files."""
    spec = find_spec("torchvision")
    folders = [Path(place, "models") for place in (spec.submodule_search_locations or ())] if spec else []
    files = [path for folder in folders for path in folder.glob("*.py")]
    return tuple(sorted(name for path in files for name in _REGISTERED.findall(path.read_text(encoding="utf-8"))))


def torchvision_name(text: str) -> str | None:
    """The classifier that a text names, whatever its capitals, dashes and underscores: ``ResNet-18``."""
    return next((name for name in torchvision_names() if _letters(name) == _letters(text)), None)


def _letters(text: str) -> str:
    return re.sub(r"[-_ ]", "", text).lower()
