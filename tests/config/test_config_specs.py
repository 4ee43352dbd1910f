"""Overrides to specs: what Hydra's grammar, --zip and --exclude come to."""

import os
import subprocess
import sys
import time

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra

from bnbench.components import components
from bnbench.config import GROUPS, Composer, compose_request
from bnbench.config.compose import CLOSED
from bnbench.config.hydra import DEFAULTS, composed
from bnbench.paths import conf_dir
from bnbench.spec import flatten, run_id
from tests.budget import slowness


def rows(overrides, column, zips=(), excludes=()):
    """What each spec has in one column, or in several as a tuple."""
    request = compose_request(overrides.split(), components(), zips, excludes)
    assert request.problems == ()
    columns = column.split()
    found = [tuple(flatten(spec).get(name) for name in columns) for spec in request.specs]
    return [values[0] for values in found] if len(columns) == 1 else found


@pytest.mark.parametrize(
    ("overrides", "column", "expected"),
    [
        ("", "norm batch_size lr epochs steps seed", [("batch", 64, 0.1, 10, None, 0)]),
        # Hydra's documentation, "Extended override syntax" and "Multi-run": choices, ranges, globs, casts, orders
        ("seed=1,2,3", "seed", [1, 2, 3]),
        ("seed=choice(1,2,3)", "seed", [1, 2, 3]),
        ("seed=choice(5)", "seed", [5]),
        ("norm=choice(batch,group)", "norm", ["batch", "group"]),
        ("norm='batch',\"group\"", "norm", ["batch", "group"]),
        ("seed=range(5)", "seed", [0, 1, 2, 3, 4]),
        ("seed=range(0,5)", "seed", [0, 1, 2, 3, 4]),
        ("seed=range(0,5,2)", "seed", [0, 2, 4]),
        ("seed=range(start=1,stop=10,step=4)", "seed", [1, 5, 9]),
        ("seed=range(3,0,-1)", "seed", [3, 2, 1]),
        ("lr=range(3.3,10,3.3)", "lr", [3.3, 6.6, 9.9]),
        ("lr=range(0.1,0.4,0.1)", "lr", [0.1, 0.2, 0.3]),
        ("lr=range(0.3,0,-0.1)", "lr", [0.3, 0.2, 0.1]),
        (
            "model=glob(*)",
            "model",
            [
                *("cnn", "convmixer", "convnext", "gpt", "mlp"),
                *(f"resnet{n}" for n in (110, 20, 32, 44, 56)),
                *("torchvision", "vit"),
            ],
        ),
        ("norm=glob([b*,g*])", "norm", ["batch", "batch_instance", "ghost", "ghost_noise", "grn", "group"]),
        ("norm=glob([l*,r*,n*],exclude=[*o*,*_*])", "norm", ["layer", "repbn", "rms"]),
        ("seed=sort(3,2,1)", "seed", [1, 2, 3]),
        ("seed=sort(1,2,3,reverse=true)", "seed", [3, 2, 1]),
        ("norm=sort(group,batch)", "norm", ["batch", "group"]),
        ("seed=tag(few,choice(1,2))", "seed", [1, 2]),
        ("lr=float(choice(1,2))", "lr", [1.0, 2.0]),
        ("seed=int(3.9)", "seed", [3]),
        ("drop_last=true,false", "drop_last", [True, False]),
        # prefixes of Hydra that mean the same here
        ("+lr=1 ++seed=2 ++norm=group", "lr seed norm", [(1.0, 2, "group")]),
        ("~epochs steps=5 ~split.train", "epochs steps split.train", [(None, 5, None)]),
        # types
        ("lr=1,1.0", "lr", [1.0]),
        ("lr=1e-3,.5", "lr", [0.001, 0.5]),
        ("label_smoothing=-0.0,0.0", "label_smoothing", [0.0]),
        ("grad_clip=null,1", "grad_clip", [None, 1.0]),
        ("norm.affine=none", "norm.affine", ["none"]),
        ("dataset=npz dataset.path='a,b.npz'", "dataset.path", ["a,b.npz"]),
        ("dataset=npz dataset.path='1'", "dataset.path", ["1"]),
        ("schedule=step schedule.milestones=[0.5,1],[]", "schedule.milestones", [(0.5, 1.0), ()]),
        # steps in place of epochs
        ("steps=100", "epochs steps", [(None, 100)]),
        ("steps=100,null", "epochs steps", [(None, 100), (10, None)]),
        ("steps=null", "epochs steps", [(10, None)]),
        ("steps=10,20 epochs=null", "epochs steps", [(None, 10), (None, 20)]),
        # options that some arms have
        ("norm=batch,group norm.groups=4,8", "norm norm.groups", [("batch", None), ("group", 4), ("group", 8)]),
        ("norm.groups=4,8 norm=batch,group", "norm norm.groups", [("batch", None), ("group", 4), ("group", 8)]),
        ("optim=adam,sgd optim.beta1=0.5,0.7", "optim optim.beta1", [("adam", 0.5), ("adam", 0.7), ("sgd", None)]),
        ("norm=none,batch norm.eps=0.1", "norm norm.eps", [("none", None), ("batch", 0.1)]),
        # order, repetition
        ("seed=0,1 lr=1,2", "seed lr", [(0, 1.0), (0, 2.0), (1, 1.0), (1, 2.0)]),
        ("seed=2,1,2,1", "seed", [2, 1]),
    ],
)
def test_overrides(overrides, column, expected):
    assert rows(overrides, column) == expected


def test_shuffle_keeps_the_values():
    assert sorted(rows("seed=shuffle(range(9)) norm=shuffle(batch,group)", "seed norm")) == [
        (seed, norm) for seed in range(9) for norm in ("batch", "group")
    ]


@pytest.mark.parametrize(
    ("zips", "expected"),
    [
        (["lr=0.1,0.4 batch_size=8,32"], [(0.1, 8, 0), (0.4, 32, 0)]),
        (["lr=0.1,0.1 batch_size=8,32"], [(0.1, 8, 0), (0.1, 32, 0)]),
        (["lr=choice(0.1, 0.4) batch_size=range(8, 10)"], [(0.1, 8, 0), (0.4, 9, 0)]),
        (["lr=0.1,0.4   batch_size=8,32", "seed=1,2"], [(0.1, 8, 1), (0.1, 8, 2), (0.4, 32, 1), (0.4, 32, 2)]),
        (["lr=0.1 batch_size=8"], [(0.1, 8, 0)]),
    ],
)
def test_zips(zips, expected):
    assert rows("", "lr batch_size seed", zips) == expected


@pytest.mark.parametrize(
    ("excludes", "expected"),
    [
        (["norm=batch"], [("group", 4, 0), ("group", 4, 1), ("group", 8, 0), ("group", 8, 1)]),
        (["norm=group norm.groups=8", "norm=batch seed=0"], [("batch", None, 1), ("group", 4, 0), ("group", 4, 1)]),
        (["norm.groups=4,8 seed=0,1"], [("batch", None, 0), ("batch", None, 1)]),
        (["norm=glob(g*)", "seed=range(1,9)"], [("batch", None, 0)]),
        (["lr=1.0", "norm=group"], [("batch", None, 0), ("batch", None, 1)]),
    ],
)
def test_excludes(excludes, expected):
    assert sorted(
        rows("norm=batch,group norm.groups=4,8 seed=0,1", "norm norm.groups seed", (), excludes), key=str
    ) == (expected)


def test_exclusions_of_lists_and_of_none():
    request = compose_request(
        ["schedule=step,cosine"], components(), excludes=["schedule.milestones=[0.5,0.75]", "norm=none seed=0,1"]
    )
    assert [flatten(spec)["schedule"] for spec in request.specs] == ["cosine"]
    assert request.excluded == 1
    assert request.told == ("--exclude norm=none seed=0,1 matches no run",) and request.idle == ("norm=none seed=0,1",)


def test_request_says_what_was_asked():
    request = compose_request(
        ["norm=batch,group", "seed=0,0,1", "device=cuda:1", "lr=1"],
        components(),
        ["epochs=1,2 batch_size=4,8"],
        ["seed=0"],
    )
    assert request.device == "cuda:1"
    assert request.factors == {
        "norm": ("batch", "group"),
        "seed": (0, 1),
        "epochs": (1, 2),
        "batch_size": (4, 8),
    }
    assert request.typed["zip"] == ("epochs=1,2 batch_size=4,8",)
    assert request.typed["exclude"] == ("seed=0",)
    assert (len(request.specs), request.excluded) == (4, 4)


def test_device_is_no_part_of_a_run():
    one, other = (compose_request([f"device={device}"], components()) for device in ("cpu", "cuda"))
    assert one.specs == other.specs
    assert (one.device, other.device) == ("cpu", "cuda")


def test_identity_is_the_same_in_every_process(capsys: pytest.CaptureFixture[str]):
    """In this one, whose hashes are seeded at random or otherwise, and in another."""
    code = (
        "from bnbench.components import components; from bnbench.config import compose_request;"
        "from bnbench.spec import run_id, stack_key;"
        "specs = compose_request(['norm=glob(*)', 'model=cnn,resnet20', 'schedule=step'], components()).specs;"
        "print(*[(run_id(spec), stack_key(spec)) for spec in specs])"
    )
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    there = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": other}, capture_output=True, text=True, check=True
    )
    exec(code, {})
    assert capsys.readouterr().out == there.stdout


def test_ten_thousand_cells_are_planned_quickly():
    overrides = ["norm=batch,group,layer,rms,none", "model=cnn,mlp", "lr=range(0.01,0.105,0.01)", "seed=range(100)"]
    start = time.process_time()
    specs = compose_request(overrides, components()).specs
    assert len({run_id(spec) for spec in specs}) == 10_000
    assert time.process_time() - start < 5 * slowness()


def test_the_caller_keeps_its_hydra_session_and_store(tmp_path):
    (tmp_path / "config.yaml").write_text("mine: 1")
    before = dict(ConfigStore.instance().repo)
    with initialize_config_dir(str(tmp_path), **DEFAULTS):
        compose_request(["norm=layer,rms"], components())
        assert composed("norm", "layer")[0]["norm"] == Composer(components()).options("norm", "layer")
        assert compose("config").mine == 1
    assert not GlobalHydra.instance().is_initialized()
    assert ConfigStore.instance().repo == before


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, path.stem) for group in GROUPS for path in sorted((conf_dir() / group).glob("*.yaml"))],
)
def test_every_file_composes(group, name):
    composer = Composer(components())
    assert name in composer.names(group)
    options = composer.options(group, name)
    assert set(options) == set(composer.types(group, name))
    assert composer.summary(group, name)
    (spec,) = compose_request([f"{group}={name}"], components()).specs
    assert flatten(spec)[group] == name


@pytest.mark.parametrize("group", ["optim", "schedule"])
def test_closed_groups_are_their_dataclasses(group):
    composer = Composer(components())
    kinds = CLOSED[group]
    assert composer.names(group) == sorted(kinds)
    for name, kind in kinds.items():
        assert list(composer.options(group, name)) == list(kind.__dataclass_fields__)


@pytest.mark.parametrize(
    ("overrides", "zips", "notes"),
    [
        (["lr=1,0.1,1.0"], [], ["lr=1 is given 2 times and counts once"]),
        (["seed=0,0,0", "norm=batch,batch"], [], ["seed=0 is given 3 times", "norm=batch is given 2 times"]),
        ([], ["batch_size=8,8,8 lr=1,2,1"], ["batch_size=8 lr=1 is given 2 times and counts once"]),
        (["lr=1,0.1", "drop_last=true,false"], ["batch_size=8,8 epochs=1,2"], []),
    ],
)
def test_values_that_are_given_again_are_told(overrides: list[str], zips: list[str], notes: list[str]):
    request = compose_request(overrides, components(), zips)
    assert not request.problems and len(request.notes) == len(notes)
    assert all(said.startswith(note) for said, note in zip(request.notes, notes, strict=True))
