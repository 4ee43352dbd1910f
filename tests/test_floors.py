"""The floor plan of CONTRIBUTING.md has the floors that are checked, and the checker knows every module."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_floor_plan_names_every_floor():
    contract, *_ = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text[text.index("## The floor plan") :].partition("\nIn a stack")[0]
    names = [name for row in re.findall(r"^\| (`.*?) \|", table, flags=re.M) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(names) == sorted(contract["layers"])
    assert contract["exhaustive"]
