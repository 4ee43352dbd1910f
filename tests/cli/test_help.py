"""What --help and the documents show can be pasted into a shell, and flags look like flags."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from bnbench.norms import NORMS
from tests.conftest import Program

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "",
    "run",
    "sweep",
    "report",
    "ls",
    "show",
    "diff",
    "list",
    "completion",
    "doctor",
    "study",
    "study run",
    "study show",
    "study list",
]
WITH_EXAMPLES = ["run", "sweep", "report", "ls", "show", "diff", "completion", "study run", "study show"]
SPECIAL = set("()[]{}*?<>|&;!~`$#")
"""What bash or zsh would take for its own outside of quotes."""
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def arguments(line: str) -> list[str]:
    """The words that bash hands to a program."""
    script = f"bnbench() {{ printf '%s\\0' \"$@\"; }}\n{line}"
    subprocess.run(["bash", "-n", "-c", script], check=True, capture_output=True)
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    assert not done.stderr
    return done.stdout.split("\0")[:-1]


def unquoted(line: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"$`]*\"", "", line)


def shown(help_text: str) -> list[str]:
    """The examples of a help text, each on a line of its own."""
    return [line.strip() for line in help_text.splitlines() if line.startswith(" bnbench ")]


@pytest.mark.parametrize("command", WITH_EXAMPLES)
def test_the_examples_of_help_arrive_as_they_are_written(
    program: Program, monkeypatch: pytest.MonkeyPatch, command: str
):
    monkeypatch.setenv("COLUMNS", "80")
    lines = shown(program(*command.split(), "--help").out)
    assert lines
    for line in lines:
        assert not SPECIAL & set(unquoted(line)), line
        assert arguments(line) == shlex.split(line)[1:]
        assert arguments(line)[: len(command.split())] == command.split()


def test_the_example_of_a_sweep_is_a_sweep(program: Program):
    (line,) = shown(program("sweep", "--help").out)
    result = program(*arguments(line), "--dry-run")
    assert result.code == 0 and "12 runs" in result.out, result.err


@pytest.mark.parametrize("command", COMMANDS)
def test_flags_take_nothing_and_defaults_are_told(program: Program, command: str):
    said = program(*command.split(), "--help").out
    assert "<bool>" not in said and "[[" not in said.replace("[[NAME]...", "")
    if "--jobs" in said:
        assert "[default: one per core" in said


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("sweep", "[SETTING...]"),
        ("compare", "ARM... [SETTING...]"),
        ("study run", "[NAME...] [SETTING...]"),
        ("study show", "NAME [SETTING...]"),
        ("ls", "[SWEEP...] [CONDITION...]"),
        ("diff", "RUN|SWEEP RUN|SWEEP"),
        ("tag", "RUN... TAG"),
        ("list", "[KIND]"),
    ],
)
def test_the_usage_line_says_what_may_be_given(program: Program, command: str, usage: str):
    said = program(*command.split(), "--help").out
    assert f"Usage: bnbench {command} [OPTIONS] {usage}" in " ".join(said.split())


def test_the_norms_in_the_examples_of_a_comparison_are_there(program: Program):
    """Those that come with bnbench, and that of the README's file."""
    names = {*NORMS, *re.findall(r'^NORMS = \{"(\w+)"', (ROOT / "README.md").read_text(), flags=re.M)}
    for line in shown(program("compare", "--help").out):
        arms = [word for word in arguments(line)[1:] if not word.startswith("--")]
        assert arms[0] in names, line


def test_the_options_of_a_sweep_stand_in_panels(program: Program):
    said = program("sweep", "--help").out
    panels = re.findall(r"─ (\w+) ─", said)
    assert panels == ["Arguments", "Options", "Grid", "Search", "Training"]
    assert "[required]" not in said


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_of_the_documents_are_quoted(path: Path):
    for block in re.findall(r"```sh\n(.*?)```", path.read_text(), flags=re.S):
        for line in block.splitlines():
            if line.startswith("bnbench "):
                command = line.split(" #")[0]
                assert not SPECIAL & set(unquoted(command)), line
                assert arguments(command) == shlex.split(command)[1:]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_settings_in_the_text_of_the_documents_are_quoted(path: Path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    for setting in re.findall(r"`([a-z_.]+=[^`]*)`", text):
        assert not SPECIAL & set(unquoted(setting)), setting
