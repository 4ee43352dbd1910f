"""bnbench completion: the script by which a shell completes commands, options, settings and names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli.options import SHELL_NAMES, one_of
from bnbench.console import echo
from bnbench.errors import InvalidRequest, nearest

SCRIPTS = Path(__file__).parent / "shells"


def completion(
    shell: Annotated[
        str, typer.Argument(metavar="SHELL", autocompletion=one_of(*SHELL_NAMES), help="bash, zsh or fish.")
    ],
) -> None:
    """Print the script by which a shell completes commands, settings and names, for its start file.

    Example:
    bnbench completion bash
    """
    if shell not in SHELL_NAMES:
        raise InvalidRequest([f"completion {shell!r}: there is no such shell; {nearest(shell, SHELL_NAMES)}"])
    echo((SCRIPTS / shell).read_text(encoding="utf-8").removesuffix("\n"))
