"""Input that no user means, in every place that takes some: one message of moderate length, exit 2, nothing written."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from tests.conftest import Program, Result
from tests.products import long

LONG, LONGER = "1" * 300, "1" * 5000
DEPTHS = (50, 400)
"""Readable, and for most brackets beyond what a parser goes down."""
DEEPEST = "[" * 5000 + "1" + "]" * 5000
"""Beyond it for all; the others only take longer then."""
NESTED = [
    (opened * depth) + "1" + (closed * depth)
    for depth in DEPTHS
    for opened, closed in (("[", "]"), ("{a:", "}"), ("[{a:", "}]"), ("choice(", ")"))
]
LONGEST_MESSAGE = 4000

SETTINGS = [
    *(f"{key}={value}" for key in ("norm", "model.depth", "lr", "probes") for value in (*NESTED, LONGER)),
    f"norm={DEEPEST}",
    f"norm={'int(' * 400}1{')' * 400}",
    f"seed=range(0,{LONGER})",
    f"seed=range({LONGER},0,-1)",
    f"lr=1e{LONGER}",
    f"batch_size={LONG}",
    f"domains=[{LONGER}]",
    f"domains=[a{LONGER}]",
    f"schedule=step schedule.milestones=[{LONGER}]",
    f"device=cuda:{LONG}",
    f"device={LONGER}",
    f"norm=a{LONGER}",
    f"{LONGER}=1",
    f"norm.{LONGER}=1",
    f"split.{LONGER}=1",
    f"dataset=npz dataset.path=a{LONGER}",
    f"dataset=imagefolder dataset.path=/a{LONG}",
]
PLACES = [
    ("--results", "{}", "ls"),
    ("--results", "{}", "show", "a"),
    ("--results", "{}", "report", "a"),
    ("--results", "{}", "run", "model=mlp"),
    ("--results", "{}", "study", "run", "memory", "--jobs", "1"),
    ("--data", "{}", "run", "dataset=mnist"),
    ("--data", "{}", "run", "dataset=npz", "dataset.path=a.npz"),
    ("run", "--name", "{}"),
    ("sweep", "--name", "{}", "model=mlp"),
    ("run", "--from", "{}"),
    ("run", "--plugin", "{}"),
    ("list", "norms", "--plugin", "{}"),
    ("study", "show", "memory", "--plugin", "{}"),
    ("study", "show", "{}"),
    ("study", "run", "--jobs", "1", "{}"),
    ("study", "run", "--jobs", "1", "{}.yaml"),
    ("study", "run", "--jobs", "1", "memory", "--scale", "{}"),
    ("list", "{}"),
    ("show", "{}"),
    ("ls", "{}"),
    ("ls", "--sort", "{}"),
    ("ls", "--columns", "{}"),
    ("diff", "{}", "a"),
    ("tag", "{}", "best"),
    ("tag", "r1", "{}"),
    ("tag", "--remove", "r1", "{}"),
    ("rm", "{}"),
    ("restore", "{}"),
    ("rename", "{}", "b"),
    ("rename", "a", "{}"),
    ("merge", "{}", "b"),
    ("merge", "a", "{}"),
    ("export", "{}", "--to", "csv", "--out", "out"),
    ("export", "a", "--to", "{}", "--out", "out"),
    ("report", "{}"),
    ("report", "./{}"),
    ("report", "{}", "--out", "{}"),
    ("report", "a", "--target", "{}"),
    ("report", "a", "--view", "{}"),
    ("report", "a", "--baseline", "{}"),
    ("report", "a", "--format", "{}"),
    ("report", "a", "--figures", "{}"),
    ("report", "a", "--figures", "f", "--figure-format", "{}"),
    ("completion", "{}"),
    ("compare", "{}"),
    ("compare", "rms", "{}"),
    ("compare", "rms", "--against", "{}"),
    ("compare", "rms", "--on", "{}"),
    ("compare", "rms", "--on", "{}.yaml"),
    ("compare", "rms", "--budget", "{}"),
    ("compare", "rms", "--scale", "{}"),
    ("compare", "rms", "--out", "{}"),
    ("compare", "rms", "--plugin", "{}"),
    ("sweep", "--name", "s", "--launcher", "{}"),
    ("sweep", "--name", "s", "--lanes", "{}"),
    ("sweep", "--name", "s", "--launcher", "inline", "--jobs", "{}"),
    ("sweep", "--name", "s", "--jobs", "1", "--zip", "lr={}"),
    ("sweep", "--name", "s", "--jobs", "1", "--exclude", "lr={}"),
]


def controls(text: str) -> set[str]:
    """The characters of a text that steer a terminal."""
    return {letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf", "Cs")} - {"\n"}


def check_refused(result: Result, here: Path) -> None:
    assert result.code == 2, result.err[:500]
    assert "bug in bnbench" not in result.err and "Traceback" not in result.err
    assert 0 < len(result.err) < LONGEST_MESSAGE
    assert not controls(result.out + result.err)
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    "command",
    [
        ("run",),
        pytest.param(("sweep", "--name", "s", "--jobs", "1"), marks=long),
        pytest.param(("study", "show", "memory"), marks=long),
    ],
)
def test_a_setting(program: Program, tmp_path: Path, command: tuple[str, ...]):
    for setting in SETTINGS:
        check_refused(program(*command, *setting.split()), tmp_path)


WORDS = (f"a{LONG}", f"x \x1b[31m\x9b2J\u202e{LONGER}", "~doesnotexist/x")
"""Longer than the name of a file, and than a path; letters that steer a terminal; the home of nobody."""
MORE_WORDS = (LONGER, f"{LONG}/", "~nobody-here")


@pytest.mark.parametrize("words", [WORDS, pytest.param(MORE_WORDS, marks=long)], ids=["some", "more"])
@pytest.mark.parametrize("place", PLACES, ids=" ".join)
def test_a_word(program: Program, tmp_path: Path, place: tuple[str, ...], words: tuple[str, ...]):
    for word in words:
        check_refused(program(*(part.format(word) for part in place)), tmp_path)


@pytest.mark.parametrize("variable", ["BNBENCH_RESULTS", "BNBENCH_DATA"])
def test_a_variable(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str):
    monkeypatch.setenv(variable, "~doesnotexist/x")
    for command in (("ls",), ("run", "model=mlp"), ("sweep", "--name", "s", "--jobs", "1", "model=mlp")):
        check_refused(program(*command), tmp_path)
