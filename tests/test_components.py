"""Plugin files: what is taken from them, and what is refused."""

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
    with pytest.raises(PluginError, match="Is a directory"):
        components(tmp_path)
    (tmp_path / "latin.py").write_bytes(b"x = '\xff'")
    with pytest.raises(PluginError, match="raised SyntaxError"):
        components(tmp_path / "latin.py")


@pytest.mark.parametrize("name", ["None", "NA", "na", "NaN", "null", "NULL", "inf", "Infinity", "yes", "No", "ON", "y"])
@pytest.mark.parametrize("registry", ["NORMS", "MODELS", "DATASETS"])
def test_a_name_that_tables_or_yaml_read_as_something_else_is_refused(tmp_path, registry, name):
    (tmp_path / "named.py").write_text(f"from torch import nn\n{registry} = {{{name!r}: nn.Identity}}\n")
    with pytest.raises(PluginError, match=f"{registry}: '{name}' must be a name .* read as nothing, a truth value"):
        components(tmp_path / "named.py")
