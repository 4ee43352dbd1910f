"""What the program knows of a plugin: as much as a process that imports it, as plain data, and up to date."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from bnbench.components import Components, components
from bnbench.config import Composer, compose_request, entries
from bnbench.plugins import known_components
from tests import warm
from tests.config.test_config_plugins import GOOD
from tests.products import long

COUNTED = """
import importlib
from pathlib import Path
from torch import nn
import helper
importlib.import_module("hid" + "den")
with Path("imports").open("a") as stream:
    stream.write("x")
NORMS = {"mine": nn.Identity}
"""


def test_a_process_is_asked_again_only_once_a_file_has_changed(tmp_path: Path):
    path, imports = tmp_path / "plugin.py", tmp_path / "imports"
    path.write_text(COUNTED.replace('"imports"', repr(str(imports))))
    for helper in ("helper", "hidden"):
        (tmp_path / f"{helper}.py").write_text("a = 1")
    first = known_components(path)
    assert known_components(path) is first and imports.read_text() == "x"
    assert first.plugin is not None and {file.stem for file in first.plugin.beside} == {"helper", "hidden"}
    assert first.source_hash == components(path).source_hash
    imports.unlink()
    for count, changed in enumerate((path, tmp_path / "helper.py", tmp_path / "hidden.py"), 1):
        changed.write_text(f"{changed.read_text()}\nb = 1")
        assert known_components(path).source_hash != first.source_hash and imports.read_text() == "x" * count


def told(parts: Components) -> list[object]:
    composer = Composer(parts)
    summaries = [composer.summary(group, name) for group in parts.added for name in composer.names(group) or []]
    return [*entries(composer), *summaries, {name: composer.facts(name) for name in composer.names("norm") or []}]


def test_as_much_is_known_as_if_it_were_imported(tmp_path: Path):
    path = tmp_path / "plugin.py"
    path.write_text(f"{GOOD}\nfrom bnbench.norms import NORMS as OTHERS\nNORMS['again'] = OTHERS['group']\n")
    assert told(known_components(path)) == told(components(path))


OWN = dedent("""
    import enum
    from typing import Literal
    from torch import nn

    class Size(enum.IntEnum):
        SMALL = 2

    class Text(str): ...

    class Number(float): ...

    class Numbers(list): ...

    def mine(n, size: int = Size.SMALL, text: str = Text("a"), number: float = Number(0.5),
             many: tuple[float, ...] = Numbers([Number(1)]), either: float | Size = 0.5,
             mode: Literal["a", Size.SMALL] | int = 1, deep: dict[str, Size] | None = None):
        return nn.Identity()

    mine.__doc__ = Text("Mine.")
    NORMS = {Text("mine"): mine}
""")


def test_what_is_known_is_plain_whatever_classes_a_plugin_has(tmp_path: Path):
    (tmp_path / "plugin.py").write_text(OWN)
    (found,) = known_components(tmp_path / "plugin.py").described.values()
    values = {"size": 2, "text": "a", "number": 0.5, "many": (1.0,), "either": 0.5, "mode": 1, "deep": None}
    assert found.options == values and found.doc == "Mine."
    assert {type(value) for value in (*found.options.values(), found.doc)} == {int, str, float, tuple, type(None)}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("either=x", "must be a finite number such as 0.1 or its type Size is not one that a command line can set"),
        ("mode=x", "its type typing.Literal['a', <Size.SMALL: 2>] is not one that"),
        ("deep=x", "its type dict[str, bnbench_plugin_"),
    ],
)
def test_a_type_that_cannot_be_set_is_named(tmp_path: Path, setting: str, says: str):
    (tmp_path / "plugin.py").write_text(OWN)
    request = compose_request(["norm=mine", f"norm.{setting}"], known_components(tmp_path / "plugin.py"))
    assert len(request.problems) == 1 and says in request.problems[0], request.problems


SCRIPT = """
import bnbench
print(bnbench.sweep("norm=mine,batch", "model=mlp", "model.width=8", "epochs=1", "batch_size=256", name="s",
                    plugin="plugin.py", jobs={jobs}).statuses.values())
"""


@pytest.mark.parametrize("jobs", [pytest.param(1, marks=long), 2])
def test_python_executes_no_plugin_either(tmp_path: Path, jobs: int):
    """A script has no guard against being imported again, and its process never sees the file executed."""
    lines = "import os, __main__\nassert not hasattr(__main__, 'bnbench')\n"
    (tmp_path / "plugin.py").write_text(f"{lines}from torch import nn\nNORMS = {{'mine': lambda n: nn.Identity()}}")
    (tmp_path / "script.py").write_text(SCRIPT.format(jobs=jobs))
    done = warm.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout == "dict_values(['completed', 'completed'])\n", done.stderr
