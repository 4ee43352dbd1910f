"""Options of a plugin's components come from their signatures."""

from textwrap import dedent

import pytest
import yaml

from bnbench.components import components
from bnbench.config import Composer, compose_request, read_spec
from bnbench.errors import InvalidRequest, PluginError
from bnbench.plugins import known_components
from bnbench.spec import as_tree, flatten, run_id

GOOD = dedent("""
    from __future__ import annotations
    from dataclasses import dataclass
    from typing import TYPE_CHECKING, Literal, Optional
    from torch import nn

    if TYPE_CHECKING:
        from somewhere import Unknown

    class Mine(nn.Module):
        '''Mine, all mine. And more.'''

        def __init__(self, num_features, factor=2.0, mode: Literal["a", "b"] = "a", clip: float = None,
                     count: Optional[int] = 3, size: int | float = 1, name: str | None = None, steps=(1, 2), free=None):
            super().__init__()

        def forward(self, x):
            return x

    class Vague(nn.Module):
        def __init__(self, num_features: int, eps: Unknown = 1e-5, **rest):
            super().__init__()

    @dataclass(eq=False)
    class Record(nn.Module):
        num_features: int
        eps: float = 1e-5

        def __post_init__(self):
            super().__init__()

    def tiny(norm, shape, classes, *, width: int = 4):
        return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))

    def blobs(root, *, count: int = 200):
        raise NotImplementedError

    NORMS = {"mine": Mine, "vague": Vague, "record": Record, "torch_batch": nn.BatchNorm2d}
    MODELS = {"tiny": tiny}
    DATASETS = {"blobs": blobs}
""")


def plugin(tmp_path, source, name="my_norms.py"):
    path = tmp_path / name
    path.write_text(source)
    return known_components(path)


def row(parts, *overrides):
    request = compose_request(overrides, parts)
    assert request.problems == ()
    (spec,) = request.specs
    return flatten(spec)


def test_options_and_types(tmp_path):
    parts = plugin(tmp_path, GOOD)
    composer = Composer(parts)
    assert composer.options("norm", "mine") == {
        "factor": 2.0, "mode": "a", "clip": None, "count": 3,
        "size": 1.0, "name": None, "steps": (1.0, 2.0), "free": None,
    }  # fmt: skip
    assert composer.options("norm", "vague") == {"eps": 1e-5}
    assert composer.options("norm", "record") == {"eps": 1e-5}
    assert composer.options("norm", "torch_batch")["momentum"] == 0.1
    assert composer.options("model", "tiny") == {"width": 4}
    assert composer.options("dataset", "blobs") == {"count": 200, "pad": 0, "flip": False}
    assert composer.summary("norm", "mine") == "Mine, all mine"
    assert {"mine", "record"} < set(composer.names("norm"))


def test_values_are_checked(tmp_path):
    parts = plugin(tmp_path, GOOD)
    found = row(parts, "norm=mine", "norm.factor=1", "norm.clip=1", "norm.size=2", "norm.steps=[3]", "norm.name=x")
    assert (found["norm.factor"], found["norm.clip"], found["norm.size"]) == (1.0, 1.0, 2.0)
    assert (found["norm.steps"], found["norm.name"]) == ((3.0,), "x")
    wrong = {
        "factor": "a",
        "mode": "c",
        "clip": "a",
        "count": "1.5",
        "steps": "1",
        "name": "1",
        "free": "1",
        "rest": "1",
    }
    request = compose_request(["norm=mine", *(f"norm.{key}={value}" for key, value in wrong.items())], parts)
    assert [problem.split("=")[0].split(":")[0] for problem in request.problems] == [
        "norm.rest", *(f"norm.{key}" for key in ("factor", "mode", "clip", "count", "name", "steps", "free"))
    ]  # fmt: skip
    assert "annotate it" in request.problems[-1]


def test_the_source_is_part_of_the_identity_where_it_is_used(tmp_path):
    first, second = plugin(tmp_path, GOOD), plugin(tmp_path, GOOD + "\nCHANGED = True\n", "other.py")
    assert row(first)["plugin"] is None
    assert row(first, "norm=mine")["plugin"] == first.source_hash != second.source_hash
    assert row(first, "model=tiny")["plugin"] == row(first, "dataset=blobs")["plugin"] == first.source_hash
    ids = {run_id(compose_request(["norm=mine"], parts).specs[0]) for parts in (first, second)}
    assert len(ids) == 2


def test_plugins_do_not_meet(tmp_path):
    first = plugin(tmp_path, "from torch import nn\nNORMS = {'same': nn.Identity, 'one': nn.Identity}", "one.py")
    source = "from torch import nn\ndef same(n, *, k: int = 3): return nn.Identity()\nNORMS = {'same': same}"
    second = plugin(tmp_path, source, "two.py")
    assert Composer(first).options("norm", "same") == {}
    assert Composer(second).options("norm", "same") == {"k": 3}
    assert "one" not in Composer(second).names("norm")
    assert "same" not in Composer(components()).names("norm")
    assert "unknown norm" in compose_request(["norm=same"], components()).problems[0]
    assert row(second, "norm=same", "norm.k=4")["norm.k"] == 4


def test_a_spec_file_needs_its_plugin(tmp_path):
    parts = plugin(tmp_path, GOOD)
    (spec,) = compose_request(["norm=record", "model=tiny"], parts).specs
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(as_tree(spec)))
    assert read_spec(path, parts) == spec
    with pytest.raises(InvalidRequest, match="name its file with --plugin"):
        read_spec(path, components())
    with pytest.raises(InvalidRequest, match="the plugin has changed"):
        read_spec(path, plugin(tmp_path, GOOD + "\nCHANGED = True\n"))
    path.write_text(yaml.safe_dump({**as_tree(spec), "plugin": None}))
    with pytest.raises(InvalidRequest, match="plugin=null: must be the hash"):
        read_spec(path, parts)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(n, k): ...\nNORMS = {'f': f}", "norm 'f' option k needs a default value"),
        ("def f(n, *, k, j): ...\nNORMS = {'f': f}", "norm 'f' option k, j needs a default value"),
        ("def f(): ...\nNORMS = {'f': f}", r"norm 'f' must take \(num_features\) by position"),
        ("def f(norm): ...\nMODELS = {'f': f}", r"model 'f' must take \(norm, shape, classes\) by position"),
        ("NORMS = {'f': dict}", "norm 'f' has no signature"),
        ("def f(n, k=object): ...\nNORMS = {'f': f}", "norm 'f', default k=<class 'object'>"),
        ("def f(n, k: 'float' = 'x'): ...\nNORMS = {'f': f}", "norm 'f', default k='x': must be a finite number"),
        ("def f(n, k: bool | float = 1): ...\nNORMS = {'f': f}", r"its type bool \| float is not one"),
        ("def f(n, k: tuple[int, int] = (1, 2)): ...\nNORMS = {'f': f}", "fixed length"),
        ("def f(n, k: dict = {}): ...\nNORMS = {'f': f}", "its type dict is not one"),
        ("def f(root, pad=1): ...\nDATASETS = {'f': f}", "dataset 'f' must not have the option 'pad'"),
    ],
)
def test_unusable_components(tmp_path, source, message):
    with pytest.raises(PluginError, match=message):
        plugin(tmp_path, source)


def test_what_is_given_by_position_is_no_option(tmp_path):
    parts = plugin(tmp_path, "def f(n=8, /, k=1): ...\ndef g(*args, k=1): ...\nNORMS = {'f': f, 'g': g}")
    assert Composer(parts).options("norm", "f") == Composer(parts).options("norm", "g") == {"k": 1}
