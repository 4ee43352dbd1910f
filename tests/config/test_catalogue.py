"""bnbench list settings: every setting, with what a run takes, and what docstrings say of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from bnbench.components import components
from bnbench.config import GROUPS, Composer, compose_request, entries
from bnbench.config.catalogue import allowed, meanings
from bnbench.config.keys import Arms
from bnbench.spec import Batches, flatten
from tests.conftest import Program, make_spec

EVERY = list(entries(Composer(components())))


def test_every_column_of_every_choice_is_there():
    keys = {entry.key for entry in EVERY}
    composer = Composer(components())
    for group in GROUPS:
        for name in composer.names(group) or []:
            assert {f"{group}.{option}" for option in composer.options(group, name)} <= keys
    assert set(flatten(make_spec())) - {"plugin", "data"} <= keys and "device" in keys


@pytest.mark.parametrize("entry", EVERY, ids=lambda entry: f"{entry.key}-{'-'.join(entry.choices[:1])}")
def test_a_setting_has_a_meaning_and_takes_its_default(entry):
    assert entry.meaning and entry.allowed
    assert not {"None", "True", "False"} & set(entry.meaning.split()) and "`" not in entry.meaning
    group = entry.key.partition(".")[0]
    chosen = [f"{group}={entry.choices[0]}"] if entry.choices else []
    steps = ["epochs=null"] if entry.key == "steps" and entry.default != "null" else []
    request = compose_request([*chosen, *steps, f"{entry.key}={entry.default}"], components())
    assert request.problems == ()


def test_the_rows_are_as_the_program_prints_them(program: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "250")
    said = [line.split(maxsplit=2) for line in program("list", "settings").out.splitlines()]
    assert said[0][:2] == ["setting", "default"]
    assert ["lr", "0.1", "a number"] == [*said[[row[0] for row in said].index("lr")][:2], "a number"]
    assert {(entry.key, entry.default) for entry in EVERY} <= {tuple(row[:2]) for row in said if len(row) > 1}


def test_the_options_of_a_plugin_are_listed(program: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    Path("mine.py").write_text(
        "from torch import nn\nclass Mine(nn.Identity):\n    '''One.\n\n    Args:\n        gain: how much.\n    '''\n"
        "    def __init__(self, num_features, *, gain: float = 2.5, plain: int = 3):\n        super().__init__()\n"
        "NORMS = {'mine': Mine}\n"
    )
    said = {
        line.split()[0]: line.split(maxsplit=2)
        for line in program("list", "settings", "--plugin", "mine.py").out.splitlines()
    }
    assert said["norm.gain"][1:] == ["2.5", said["norm.gain"][2]] and "how much (mine)" in said["norm.gain"][2]
    assert said["norm.plain"][1] == "3" and "a whole number" in said["norm.plain"][2]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "true, false"),
        (int, "a whole number"),
        (int | None, "a whole number or null"),
        (int | float, "a number"),
        (str, "text"),
        (tuple[float, ...], "a list of numbers"),
        (Batches, "shuffled, single_class, alternating"),
        (tuple[Batches, ...], "a list of: shuffled, single_class, alternating"),
    ],
)
def test_what_a_type_allows(annotation, words):
    assert allowed(annotation) == words


@dataclass
class Documented:
    """One line.

    Attributes:
        first, second: what ``None`` means,
            over two lines.
        third: True.

    Raises:
        Error: never.
    """


def test_a_docstring_is_read():
    both = "what null means, over two lines"
    assert meanings(Documented) == {"first": both, "second": both, "third": "true"}
    assert meanings(lambda: None) == {}


def test_keys_are_allowed_in_the_order_in_which_they_are_listed():
    """As many as there are: those of the default arms."""
    arms = Arms([], Composer(components()))
    listed = [
        entry.key
        for entry in EVERY
        if not entry.choices or {"batch", "cnn", "digits", "sgd", "constant"} & {*entry.choices}
    ]
    own = [*GROUPS, *arms._keys(), *(f"{group}.{option}" for group in GROUPS for option in arms._options(group))]
    assert own == list(dict.fromkeys(key for key in listed if key in own)) and len(own) > 40


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_name_is_broken_whatever_the_width(program: Program, monkeypatch: pytest.MonkeyPatch, width: int):
    monkeypatch.setenv("COLUMNS", str(width))
    said = program("list", "settings").out
    assert max(map(len, said.splitlines())) <= width
    words = {word.rstrip(",") for word in said.split()}
    assert {*Composer(components()).names("norm"), *(entry.key for entry in EVERY)} <= words
