"""Every row of docs/combinations.md is refused with the message that it names."""

import re
import shlex
from pathlib import Path

import pytest

from bnbench.components import components
from bnbench.config import compose_request
from bnbench.plan.feasibility import obstacles
from tests.conftest import load_data

DOCUMENT = (Path(__file__).parents[2] / "docs" / "combinations.md").read_text()
ROWS = re.findall(r"^\| `([^`]+)` \| [^|]+ \| `([^`]+)` \|$", DOCUMENT, flags=re.M)


def test_every_row_is_read():
    lines = [line for line in DOCUMENT.splitlines() if line.startswith("|")]
    assert len(ROWS) == len(lines) - 2 * DOCUMENT.count("| settings |")


@pytest.mark.parametrize(("settings", "message"), ROWS)
def test_refused(settings: str, message: str):
    request = compose_request(shlex.split(settings), components())
    specs = {str(number): spec for number, spec in enumerate(request.specs)}
    reasons = [*request.problems, *([] if request.problems else obstacles(specs, components(), load_data).values())]
    assert any(message in reason for reason in reasons), reasons
