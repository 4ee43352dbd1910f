"""A spec written by the store reads back as the same run; anything else is refused."""

import pytest
import yaml

from bnbench.components import components
from bnbench.config import GROUPS, compose_request, read_spec
from bnbench.errors import InvalidRequest
from bnbench.paths import conf_dir
from bnbench.spec import as_tree, run_id

FILES = [(group, path.stem) for group in GROUPS for path in sorted((conf_dir() / group).glob("*.yaml"))]


def written(tmp_path, spec, change=lambda tree: None):
    tree = as_tree(spec)
    change(tree)
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return path


def spec_of(*overrides):
    (spec,) = compose_request(overrides, components()).specs
    return spec


@pytest.mark.parametrize(("group", "name"), FILES)
def test_every_file_goes_through_yaml(tmp_path, group, name):
    spec = spec_of(f"{group}={name}")
    again = read_spec(written(tmp_path, spec), components())
    assert again == spec
    assert run_id(again) == run_id(spec)


def test_awkward_values_go_through_yaml(tmp_path):
    spec = spec_of(
        "dataset=npz",
        "dataset.path='1e5'",
        "norm.eps=1e-30",
        "lr=1e-300",
        "steps=7",
        "grad_clip=1e30",
        "norm.momentum=null",
    )
    assert run_id(read_spec(written(tmp_path, spec), components())) == run_id(spec)


def lose(key):
    return lambda tree: tree.pop(key)


def put(**values):
    return lambda tree: tree.update(values)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lose("lr"), ["lr: is missing; a spec names every key"]),
        (put(learning_rate=1), ["learning_rate: unknown"]),
        (put(lr=0), ["lr=0.0: must be a finite number above 0"]),
        (put(lr="1"), ["lr='1': must be a finite number"]),
        (put(lr={"a": 1}), ["must be a finite number"]),
        (put(lr=None, seed=True), ["lr=null: must be", "seed=true: must be"]),
        (put(norm="batch"), ["norm: must be one choice"]),
        (put(norm={"grup": {}}), ["norm=grup: unknown norm; did you mean 'group'?"]),
        (put(norm={"layer": {"over": "all", "eps": 1e-5, "afine": "both"}}), ["norm.afine: unknown", "'affine'"]),
        (put(norm={"none": None}), ["norm must hold"]),
        (put(split=1), ["split must hold seed, validation"]),
        (put(plugin="abc"), ["this run used a plugin; name its file with --plugin FILE"]),
        (put(epochs=None), ["epochs=null steps=null"]),
    ],
)
def test_a_changed_file(tmp_path, change, parts):
    path = written(tmp_path, spec_of(), change)
    with pytest.raises(InvalidRequest) as caught:
        read_spec(path, components())
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert all(problem.startswith(f"--from {path}: ") for problem in caught.value.problems)


@pytest.mark.parametrize(
    "content",
    [b"", b"a: [", b"\xff\xfe\xfa", b"- 1", b"a: !!python/object/apply:os.getcwd []", b"[" * 5000, b"? [a]\n: 1"],
)
def test_a_file_of_something_else(tmp_path, content):
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match="--from"):
        read_spec(path, components())


def test_no_file(tmp_path):
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_spec(tmp_path / "absent.yaml", components())
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_spec(tmp_path, components())
