"""Plugin files: what is taken from them, and what is refused."""

import inspect
import json
import pickle
import shutil
import sys
from pathlib import Path

import pytest

from bnbench.components import BUILT_IN, components
from bnbench.errors import PluginError

GOOD = "from torch import nn\nNORMS = {'mine': nn.Identity}\n"


def test_without_a_plugin():
    parts = components()
    assert parts.registries == BUILT_IN
    assert parts.source_hash is None
    assert not parts.uses_plugin(norm="batch", model="cnn")


def test_a_plugin_adds_names(tmp_path):
    path = tmp_path / "plugin.py"
    path.write_text(GOOD)
    parts = components(path)
    assert set(parts.registries["norm"]) == {*BUILT_IN["norm"], "mine"}
    assert parts.registries["model"] == BUILT_IN["model"]
    assert parts.uses_plugin(norm="mine")
    assert not parts.uses_plugin(norm="batch")
    assert components(path) is parts


def test_a_relative_path_and_another_working_directory(tmp_path, monkeypatch):
    (tmp_path / "plugin.py").write_text(GOOD)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    first = components(Path("plugin.py"))
    monkeypatch.chdir(tmp_path / "below")
    second = components(Path("../plugin.py"))
    assert first.source_hash == second.source_hash
    with pytest.raises(PluginError, match=r"cannot be read: No such file"):
        components(Path("plugin.py"))


def test_what_runs_is_what_was_hashed(tmp_path):
    """A change of equal length within a second is seen, and no bytecode file is left beside the plugin."""
    path = tmp_path / "plugin.py"
    path.write_text(GOOD)
    first = components(path)
    path.write_text(GOOD.replace("mine", "ours"))
    second = components(path)
    assert second.added["norm"] == {"ours"}
    assert first.source_hash != second.source_hash
    assert [entry.name for entry in tmp_path.iterdir()] == ["plugin.py"]


def test_a_plugin_decides_itself_on_future_annotations(tmp_path):
    path = tmp_path / "plugin.py"
    path.write_text("def f(n, k: int = 1): ...\nassert f.__annotations__ == {'k': int}\nNORMS = {'f': f}")
    assert "f" in components(path).registries["norm"]


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("x = 1\nNORMS = {'a': undefined}\n", ["raised NameError", "plugin.py:2: NORMS = {'a': undefined}"]),
        ("def f():\n    return 1 / 0\nf()\n", ["raised ZeroDivisionError", "plugin.py:2: return 1 / 0"]),
        ("x = 1\nNORMS = {\n", ["raised SyntaxError", "plugin.py:2: NORMS = {"]),
        ("import json\njson.loads('{')\n", ["raised JSONDecodeError", "plugin.py:2: json.loads('{')"]),
        ("import absent_module\n", ["raised ModuleNotFoundError", "plugin.py:1: import absent_module"]),
        ("import sys\nsys.exit(0)\n", ["raised SystemExit", "plugin.py:2: sys.exit(0)"]),
        ("x = '\0'", ["raised "]),
        ("", ["must define NORMS, MODELS or DATASETS"]),
        ("NORMS = {}", ["must define NORMS, MODELS or DATASETS"]),
        ("NORMS = [1]", ["NORMS must be a dict", "not [1]"]),
        ("NORMS = None", ["NORMS must be a dict", "not None"]),
        ("NORMS = {'mine': 3}", ["'mine' must be a class or function, not 3"]),
        ("from torch import nn\nNORMS = {'mine': nn.ReLU()}", ["'mine' must be a class or function, not ReLU()"]),
        ("NORMS = {'batch': int}", ["NORMS uses the built-in name 'batch'; choose another name"]),
        ("MODELS = {'cnn': int}", ["MODELS uses the built-in name 'cnn'"]),
        ("NORMS = {3: int}", ["3 must be a name of letters"]),
        ("NORMS = {'a b': int}", ["'a b' must be a name of letters"]),
        ("NORMS = {'Null': int}", ["'Null' must be a name of letters"]),
    ],
)
def test_refusals(tmp_path, source, parts):
    path = tmp_path / "plugin.py"
    path.write_text(source)
    before = set(sys.modules)
    with pytest.raises(PluginError) as caught:
        components(path)
    assert all(part in str(caught.value) for part in [f"--plugin {path}", *parts]), str(caught.value)
    assert not {
        name for name in set(sys.modules) - before if name.startswith("bnbench_plugin") and "raised" in parts[0]
    }


def test_a_plugin_that_cannot_be_read(tmp_path):
    with pytest.raises(PluginError, match="No such file"):
        components(tmp_path / "absent.py")
    with pytest.raises(PluginError, match="must be a regular file, and is a folder"):
        components(tmp_path)
    (tmp_path / "latin.py").write_bytes(b"x = '\xff'")
    with pytest.raises(PluginError, match="raised SyntaxError"):
        components(tmp_path / "latin.py")


USES_HELPER = """
from torch import nn

def value():
    {first}
    return {value}

{second}
NORMS = {{"mine": nn.Identity, "value": value}}
"""
WAYS = {  # files beside the plugin, an import, what it is used for
    "module": ({"aid.py": "NUMBER = 1"}, "import aid", "aid.NUMBER"),
    "name": ({"aid.py": "NUMBER = 1"}, "from aid import NUMBER", "NUMBER"),
    "package": ({"aid/__init__.py": "", "aid/deep.py": "NUMBER = 1"}, "from aid import deep", "deep.NUMBER"),
    "folder": ({"aid/deep.py": "NUMBER = 1"}, "import aid.deep", "aid.deep.NUMBER"),
    "of_a_helper": ({"aid.py": "from low import NUMBER", "low.py": "NUMBER = 1"}, "import aid", "aid.NUMBER"),
    "relative": (
        {"aid/__init__.py": "from .low import NUMBER", "aid/low.py": "NUMBER = 1"},
        "import aid",
        "aid.NUMBER",
    ),
}


def alone(folder: Path, source: str) -> str | None:
    """The hash of a source in a folder with nothing else."""
    (folder / "alone").mkdir()
    (folder / "alone/plugin.py").write_text(source)
    return components(folder / "alone/plugin.py").source_hash


def beside(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize("late", [False, True], ids=["at_import", "when_called"])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_beside_a_plugin_can_be_imported_and_is_part_of_its_source(tmp_path, way, late):
    files, statement, value = WAYS[way]
    beside(tmp_path, files)
    path = tmp_path / "plugin.py"
    path.write_text(USES_HELPER.format(first=statement if late else "", second="" if late else statement, value=value))
    first = components(path)
    assert first.registries["norm"]["value"]() == 1
    assert components(path) is first
    beside(tmp_path, {name: text.replace("NUMBER = 1", "NUMBER = 2") for name, text in files.items()})
    second = components(path)
    assert second.registries["norm"]["value"]() == 2
    assert second.source_hash != first.source_hash
    beside(tmp_path, files)
    assert components(path).source_hash == first.source_hash


def test_an_import_that_no_statement_names(tmp_path):
    source = "import importlib\nfrom torch import nn\naid = importlib.import_module('a' + 'id')\n"
    path = tmp_path / "plugin.py"
    path.write_text(f"{source}NORMS = {{'mine': nn.Identity}}")
    beside(tmp_path, {"aid.py": "NUMBER = 1"})
    first = components(path)
    beside(tmp_path, {"aid.py": "NUMBER = 2"})
    assert components(path).source_hash != first.source_hash


def test_what_is_not_imported_is_no_part_of_the_source(tmp_path):
    path = tmp_path / "plugin.py"
    path.write_text(GOOD)
    beside(tmp_path, {"aid.py": "NUMBER = 1", "torch/__init__.py": "1 / 0"})
    assert components(path).source_hash == alone(tmp_path, GOOD)


@pytest.mark.parametrize("name", ["json", "numpy", "yaml", "sklearn", "wave"])
def test_what_is_installed_is_not_hidden(tmp_path, name):
    path = tmp_path / "plugin.py"
    source = f"import {name}\n{GOOD}assert not hasattr({name}, 'NUMBER')"
    path.write_text(source)
    beside(tmp_path, {f"{name}.py": "NUMBER = 1"})
    assert components(path).source_hash == alone(tmp_path, source)
    assert json.__file__ != str(tmp_path / "json.py")


@pytest.mark.parametrize("late", [False, True], ids=["at_import", "when_called"])
def test_plugins_of_two_folders_have_helpers_of_their_own(tmp_path, late):
    folders = tmp_path / "one", tmp_path / "two"
    for number, folder in enumerate(folders):
        beside(folder, {"aid.py": f"NUMBER = {number}"})
        statement = ("", "import aid") if not late else ("import aid", "")
        text = USES_HELPER.format(first=statement[0], second=statement[1], value="aid.NUMBER")
        beside(folder, {"plugin.py": text})
    for number in (0, 1, 0, 1):
        assert components(folders[number] / "plugin.py").registries["norm"]["value"]() == number


@pytest.mark.parametrize(
    ("name", "statement", "value"),
    [("aid.py", "import aid", "aid.NUMBER"), ("aid/deep.py", "from aid.deep import NUMBER", "NUMBER")],
)
def test_what_runs_of_a_helper_is_what_was_hashed(tmp_path, monkeypatch, name, statement, value):
    """Of a helper too, no bytecode is used or left, and later changes are for later loads."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "plugin.py"
    path.write_text(USES_HELPER.format(first=statement, second="", value=value))
    beside(tmp_path, {name: "NUMBER = 1"})
    first = components(path)
    beside(tmp_path, {name: "NUMBER = 2"})
    assert first.registries["norm"]["value"]() == 1
    assert components(path).registries["norm"]["value"]() == 2
    assert {entry.name for entry in tmp_path.rglob("*")} <= {"plugin.py", *Path(name).parts}


@pytest.mark.parametrize(
    ("helper", "says"),
    [
        ("x = 1\n1 / 0", "aid.py:2: 1 / 0"),
        ("x = 1\nx = (\n", "aid.py:2: x = ("),
        ("import nothing", "aid.py:1: import"),
    ],
)
def test_the_line_of_a_helper_that_fails(tmp_path, helper, says):
    (tmp_path / "plugin.py").write_text(f"import aid\n{GOOD}")
    (tmp_path / "aid.py").write_text(helper)
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            components(tmp_path / "plugin.py")
        assert says in str(caught.value)
    (tmp_path / "aid.py").write_text("")
    assert components(tmp_path / "plugin.py").added["norm"] == {"mine"}


@pytest.mark.parametrize("name", ["None", "NA", "na", "NaN", "null", "NULL", "inf", "Infinity", "yes", "No", "ON", "y"])
@pytest.mark.parametrize("registry", ["NORMS", "MODELS", "DATASETS"])
def test_a_name_that_tables_or_yaml_read_as_something_else_is_refused(tmp_path, registry, name):
    (tmp_path / "named.py").write_text(f"from torch import nn\n{registry} = {{{name!r}: nn.Identity}}\n")
    with pytest.raises(PluginError, match=f"{registry}: '{name}' must be a name .* read as nothing, a truth value"):
        components(tmp_path / "named.py")


SOURCE = """
import aid
from torch import nn

class Mine(nn.Module):
    def __init__(self, num_features: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x):
        scale = {"a": 1, **{}}["a"] * 0x10
        return x * scale + self.eps

NORMS = {"mine": Mine}
"""
AID = "def help(x):\n    return x + 1\n"


def hash_of(folder: Path, source: str, aid: str = AID) -> str | None:
    folder.mkdir(exist_ok=True)
    beside(folder, {"plugin.py": source, "aid.py": aid})
    return components(folder / "plugin.py").source_hash


@pytest.mark.parametrize(
    ("source", "aid"),
    [
        (f"# a comment\n{SOURCE}", AID),
        (SOURCE.replace("\n    def", '\n    """Says what it is."""\n\n    def', 1), AID),
        (SOURCE.replace("super().__init__()", "super().__init__()\n        'said'; pass; ..."), AID),
        (SOURCE.replace('"', "'").replace("0x10", "16").replace("1e-5", "0.000_01"), AID),
        (
            SOURCE.replace(
                "x * scale + self.eps", "(\n            (x * scale)\n            + self.eps  # eps\n        )"
            ),
            AID,
        ),
        (SOURCE.replace("\n", "\r\n"), AID),
        (SOURCE, f"#!/usr/bin/python\n# -*- coding: utf-8 -*-\n{AID.replace('x + 1', '(x+1)')}"),
    ],
    ids=["comment", "docstring", "statements_that_do_nothing", "spelling", "layout", "line_ends", "helper"],
)
def test_comments_and_formatting_are_no_part_of_the_source(tmp_path, source, aid):
    assert hash_of(tmp_path, source, aid) == hash_of(tmp_path, SOURCE)


@pytest.mark.parametrize(
    ("source", "aid"),
    [
        (SOURCE.replace("1e-5", "1e-6"), AID),
        (SOURCE.replace("scale", "gain"), AID),
        (SOURCE.replace("0x10", "16.0"), AID),
        (SOURCE.replace('"a": 1, **{}', '**{"a": 1}'), AID),
        (SOURCE.replace("x * scale + self.eps", "x * (scale + self.eps)"), AID),
        (SOURCE, AID.replace("x + 1", "x + 2")),
        (SOURCE, AID.replace("x + 1", "x + True")),
    ],
    ids=["constant", "name", "type", "structure", "parentheses", "helper", "helper_type"],
)
def test_every_other_edit_is_part_of_the_source(tmp_path, source, aid):
    assert hash_of(tmp_path, source, aid) != hash_of(tmp_path, SOURCE)


def test_the_hash_is_the_same_for_all_versions_of_python_and_of_any_depth(tmp_path):
    """A known value, as results are found again by it; a source may be deeper than Python's stack."""
    deep = "NUMBER = " + " + ".join(["1"] * 2000)
    known = "55d473c1dd7744c197c4097e81221c90a057d121c2db09d60ef016de2e328c90"
    assert hash_of(tmp_path, SOURCE) == known
    assert hash_of(tmp_path, SOURCE, deep) != hash_of(tmp_path, SOURCE, f"{deep} + 1")
    assert hash_of(tmp_path, SOURCE, f"NUMBER = 0x{'f' * 9000}") != known


def test_what_was_read_is_executed_whatever_became_of_the_files(tmp_path):
    beside(tmp_path, {"aid/deep.py": "NUMBER = 1", "plain.py": "NUMBER = 10"})
    path = tmp_path / "plugin.py"
    statement = "from aid.deep import NUMBER; import plain"
    path.write_text(USES_HELPER.format(first=statement, second="", value="NUMBER + plain.NUMBER"))
    read = pickle.loads(pickle.dumps(components(path).plugin))
    shutil.rmtree(tmp_path / "aid")
    beside(tmp_path, {"plain.py": "NUMBER = 20"})
    path.unlink()
    for anew in (False, True):
        parts = components(read, anew)
        assert parts.registries["norm"]["value"]() == 11
        assert parts.source_hash == read.source_hash
    assert "return NUMBER + plain.NUMBER" in inspect.getsource(parts.registries["norm"]["value"])
    with pytest.raises(PluginError, match="No such file"):
        components(path)
