"""Weights that are kept are those of the network that was tested, whatever has trained it, and change nothing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import bnbench
from bnbench import store
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.errors import BnbenchError, Damaged
from bnbench.native import c_compiler
from bnbench.plan import ALONE, Execution
from bnbench.plan.execution import Engine
from bnbench.spec import RunSpec, run_id
from bnbench.tasks import Task
from bnbench.training.evaluation import evaluate
from bnbench.training.weights import NoTensor, Unreadable, Weights, WeightSaver, decode, encode, ordinary, state_of
from bnbench.worker import work
from tests.conftest import Program, load_data, make_spec

SMALL = ("model=mlp", "model.width=8", "batch_size=64", "steps=4")
NETWORKS = {
    "batch": ("model=cnn", "model.width=4"),
    "weight": ("model=cnn", "model.width=4"),
    "spectral": ("model=cnn", "model.width=4"),
    "ws": ("model=cnn", "model.width=4"),
    "scaled_ws": ("model=mlp", "model.width=8"),
    "group": ("model=cnn", "model.width=4"),
    "fixup": ("model=resnet20", "model.width=4"),
    "precise": ("model=cnn", "model.width=4"),
}
NATIVE = ("batch", "group")
"""Norms that compiled code knows."""
PLUGIN = """
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

class Positive(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.scale = weight_norm(nn.Linear(num_features, num_features, bias=False))

    def forward(self, x):
        return self.scale(x)

NORMS = {"positive": Positive}
"""


def specs_of(*words: str, plugin: Path | None = None) -> tuple[RunSpec, ...]:
    request = compose_request(words, components(plugin))
    assert not request.problems, request.problems
    return request.specs


def train(folder: Path, specs: tuple[RunSpec, ...], execution: Execution, save_weights: bool = True) -> None:
    store.enter_runs(folder, specs, {}, {})
    ends = work(Task(specs, execution, folder, "session", folder, None, "cpu", "", save_weights))
    assert [end.status for end in ends] == ["completed"] * len(specs)
    store.join(folder)


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    return store.checked_rows(folder)


@pytest.mark.parametrize("norm", NETWORKS)
@pytest.mark.usefixtures("compiled")
def test_the_network_that_is_given_back_is_the_one_that_was_tested(tmp_path: Path, norm: str):
    specs = specs_of(f"norm={norm}", "batch_size=64", "steps=4", "lr=0.05", "seed=0,1", *NETWORKS[norm])
    engines: list[Engine] = ["reference", "stacked", "interleaved"]
    engines += ["native"] if norm in NATIVE and c_compiler() is not None else []
    states: dict[str, list[dict[str, Tensor]]] = {}
    for engine in engines:
        folder = tmp_path / engine
        for part in [specs] if engine != "reference" else [(spec,) for spec in specs]:
            train(folder, part, Execution(engine, len(part)) if engine != "reference" else ALONE)
        rows = rows_of(folder)
        states[engine] = []
        for spec in specs:
            row = rows[run_id(spec)]
            assert row["engine"] == ("reference" if engine == "interleaved" else engine)
            network = bnbench.load_network(run_id(spec), engine, tmp_path)
            data = load_data(spec)
            loss, accuracy = evaluate(spec, network, data, data.test)
            assert accuracy == float(row["test_accuracy"])
            assert loss == pytest.approx(float(row["test_loss"]), rel=1e-5)
            assert not any(layer.training for layer in network.modules())
            states[engine].append(dict(network.state_dict()))
    for of_engine in states.values():
        for state, expected in zip(of_engine, states["reference"], strict=True):
            torch.testing.assert_close(state, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("norm", "expected"), [("weight", {"weight", "bias"}), ("spectral", {"weight", "bias"})])
def test_computed_weights_are_ordinary_parameters(norm: str, expected: set[str]):
    spec = make_spec(f"norm={norm}", *SMALL)
    network = components().build(spec, load_data(spec))
    plain = ordinary(network)
    assert {name.rpartition(".")[2] for name in plain.state_dict()} == expected
    assert {type(layer) for layer in plain.modules() if isinstance(layer, nn.Linear)} == {nn.Linear}
    x_NCHW = torch.randn(5, 1, 8, 8)
    assert torch.equal(plain(x_NCHW), network.eval()(x_NCHW))


class Tied(nn.Module):
    """Two layers with one weight, of which torch computes another, and a buffer that lies across memory."""

    across: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.third = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))
        self.register_buffer("across", torch.arange(6.0).view(2, 3).T)


def test_tensors_that_are_shared_or_computed_by_torch_are_kept():
    network = Tied()
    state = state_of(network)
    assert set(state) == {
        *("first.weight", "first.bias", "second.weight", "second.bias"), *("third.weight", "third.bias", "across")
    }  # fmt: skip
    weights = network.eval().third.weight  # the network itself is as it was
    assert state_of(network).keys() == state.keys()
    assert torch.equal(state["third.weight"], weights) and torch.equal(state["second.weight"], network.first.weight)
    assert torch.equal(state["across"], network.across)


def test_each_bit_of_a_file_counts():
    tensors = {"weight": torch.randn(2, 3), "count": torch.tensor(5), "on": torch.ones(2) > 0, "no": torch.ones(0, 2)}
    content = encode(Weights("r00000000000", "spec", (1, 8, 8), 10, tensors))
    assert decode(content).tensors.keys() == tensors.keys()
    begin = content.index(b'"version":"')  # says which bnbench wrote it, and no more
    end = content.index(b'"', begin + len('"version":"'))
    for place in range(len(content)):
        if not begin <= place < end:
            with pytest.raises(Unreadable):
                decode(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(Unreadable):
            decode(content[:place])


class Talkative(nn.Module):
    """Keeps a text in its state."""

    def get_extra_state(self) -> str:
        return "text"

    def set_extra_state(self, state: str) -> None:
        raise AssertionError("no file holds it")


def test_a_state_that_no_file_takes_is_refused():
    with pytest.raises(NoTensor, match="_extra_state is a str and must be a dense tensor"):
        state_of(Talkative())


def full(identity: str, content: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"weights/{identity}")


def occupied(identity: str, content: bytes) -> None:
    raise Damaged(Path("weights"), "it must be a file, and is a link")


@pytest.mark.parametrize(
    ("write", "network", "message"),
    [
        (full, nn.Linear(1, 1), "No space left on device: 'weights/r"),
        (occupied, nn.Linear(1, 1), "weights is damaged: it must be a file, and is a link"),
        (full, Talkative(), "_extra_state is a str and must be a dense tensor"),
    ],
)
def test_weights_that_cannot_be_kept_are_told_and_take_no_result_away(
    write: Callable[[str, bytes], None], network: nn.Module, message: str
):
    spec, told = make_spec(*SMALL), list[str]()
    WeightSaver(write, lambda spec, text: told.append(text), {spec: load_data(spec)})(spec, network)
    (text,) = told
    assert text.startswith("its weights are not saved: ") and message in text


@pytest.mark.parametrize("engine", ["reference", "stacked", "interleaved"])
def test_keeping_weights_changes_no_number(tmp_path: Path, engine: Engine):
    specs = specs_of("norm=spectral,batch", *SMALL, "seed=0,1", "evaluate.every=2", "evaluate.unit=steps")[:2]
    folders = [tmp_path / "with", tmp_path / "without"]
    for folder, saving in zip(folders, (True, False), strict=True):
        train(folder, specs if engine != "reference" else specs[:1], Execution(engine, 2), saving)
    assert (folders[0] / "metrics.csv").read_bytes() == (folders[1] / "metrics.csv").read_bytes()
    assert not (folders[1] / "weights").exists()
    for row, other in zip(*(rows_of(folder).values() for folder in folders), strict=True):
        times = {"seconds", "started_at", "finished_at"}
        assert {key: row[key] for key in row.keys() - times} == {key: other[key] for key in other.keys() - times}


def test_runs_that_diverge_have_no_weights(tmp_path: Path):
    specs = specs_of("norm=none", *SMALL, "lr=1e15,0.01")
    store.enter_runs(tmp_path / "s", specs, {}, {})
    ends = work(Task(specs, Execution("stacked", 2), tmp_path / "s", "session", tmp_path, None, "cpu", "", True))
    status = {end.spec.lr: end.status for end in ends}
    assert status == {1e15: "diverged", 0.01: "completed"}
    (kept,) = (tmp_path / "s/weights").iterdir()
    wild, tame = specs if specs[0].lr > 1 else specs[::-1]
    assert kept.name == f"{run_id(tame)}.safetensors"
    with pytest.raises(BnbenchError, match=f"run {run_id(wild)} has no weights: it is diverged"):
        bnbench.load_network(run_id(wild), "s", tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder of results with one sweep, ``s``, of one run with weights."""
    results = tmp_path_factory.mktemp("results")
    (spec,) = specs_of("norm=batch", *SMALL)
    train(results / "s", (spec,), ALONE)
    return results, run_id(spec)


def other_numbers(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def fewer_tensors(path: Path) -> None:
    weights = decode(path.read_bytes())
    weights.tensors.pop("head.bias")  # type: ignore[attr-defined]
    path.write_bytes(encode(weights))


def another_run(path: Path) -> None:
    weights = decode(path.read_bytes())
    object.__setattr__(weights, "identity", "r00000000000")
    path.write_bytes(encode(weights))


def another_spec(path: Path) -> None:
    file = path.parents[1] / "specs" / f"{path.stem}.yaml"
    file.write_text(file.read_text().replace("seed: 0", "seed: 5"))


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, "has no weights: .* is not there; .*bnbench .*run --from .* --name s --save-weights trains it again"),
    (lambda path: path.write_bytes(b""), "is damaged: it holds no weights that can be read"),
    (lambda path: path.write_text("weights"), "is damaged: it holds no weights that can be read"),
    (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is damaged: it holds no weights that can be read"),
    (lambda path: path.write_bytes(b"\xff" * 400), "is damaged: it holds no weights that can be read"),
    (other_numbers, "is damaged: its content is not what was written"),
    (fewer_tensors, "is damaged: it does not fit the network of its run: .*head.bias"),
    (another_run, "is damaged: it holds the weights of run r00000000000"),
    (another_spec, "is damaged: it is not the spec that the weights in .* were trained with"),
    (folder_instead, "is damaged: it must be a file, and is a folder"),
    (dangling, "is damaged: it is a link that leads nowhere"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damage_is_one_sentence(kept: tuple[Path, str], tmp_path: Path, damage: Callable[[Path], object], message: str):
    shutil.copytree(kept[0], tmp_path / "results")
    damage(store.weights_path(tmp_path / "results/s", kept[1]))
    with pytest.raises(BnbenchError, match=message) as error:
        bnbench.load_network(kept[1], results=tmp_path / "results")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("word", "sweep", "message"),
    [
        ("../../etc/passwd", None, "must be an r and eleven hex digits, or the beginning of that"),
        ("", None, "must be an r and eleven hex digits"),
        ("rxyz", None, "must be an r and eleven hex digits"),
        ("r" + 12 * "0", None, "must be an r and eleven hex digits"),
        ("r0123456789a", None, "no run starts with 'r0123456789a' in "),
        ("r", "elsewhere", "no sweep 'elsewhere' in .*there are: s"),
        ("r", "../s", "must be a plain folder name"),
    ],
)
def test_words_that_name_no_run(kept: tuple[Path, str], word: str, sweep: str | None, message: str):
    with pytest.raises(BnbenchError, match=message):
        bnbench.load_network(word, sweep, kept[0])


def test_the_beginning_of_an_id_is_enough_where_one_run_has_it(kept: tuple[Path, str], tmp_path: Path):
    results, identity = kept
    assert list(bnbench.load_network(identity[:5], results=results).state_dict())
    shutil.copytree(results, tmp_path / "results")
    folder = tmp_path / "results/s"
    store.enter_runs(folder, specs_of("norm=batch,none", *SMALL), {}, {})
    with pytest.raises(BnbenchError, match=r"run 'r': could be 2 runs, r.*, r.*; give more of it"):
        bnbench.load_network("r", results=tmp_path / "results")
    shutil.copytree(results / "s", tmp_path / "results/broken")
    (tmp_path / "results/broken/runs.csv").unlink()
    with pytest.warns(UserWarning, match="not looked into: .*broken"):
        bnbench.load_network(identity, results=tmp_path / "results")


def test_weights_are_asked_for_by_options(program: Program, tmp_path: Path):
    words = ("--name", "s", "norm=batch", *SMALL)
    assert program("sweep", *words).code == 0
    assert not Path("results/s/weights").exists()
    again = program("sweep", *words, "--save-weights")
    _, told, after = again.out.partition("1 finished run has no weights and is not trained again; for it: bnbench ")
    assert again.code == 0 and told, again.out
    command = after.splitlines()[0].split()
    assert program(*command).code == 0
    assert "no weights" not in program("sweep", *words, "--save-weights").out
    (file,) = Path("results/s/weights").iterdir()
    assert len(bnbench.load_network(file.stem, "s").state_dict()) > 3


@pytest.mark.usefixtures("compiled", "workers")
def test_weights_are_asked_for_by_keywords(tmp_path: Path):
    row = bnbench.run("norm=batch", *SMALL, name="one", save_weights=True, results=tmp_path)
    bnbench.sweep("norm=batch", *SMALL, name="two", jobs=1, save_weights=True, results=tmp_path)
    one, two = (bnbench.load_network(row["run_id"], sweep, tmp_path).state_dict() for sweep in ("one", "two"))
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["link", "folder", "weights"])
def test_what_lies_in_the_place_of_weights_is_left_alone(program: Program, tmp_path: Path, kind: str):
    (spec,) = specs_of("norm=batch", *SMALL)
    folder, elsewhere = Path("results/s"), tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    path = store.weights_path(folder, run_id(spec))
    (folder if kind == "weights" else path.parent).mkdir(parents=True)
    if kind == "weights":
        path.parent.write_text("mine")
    elif kind == "link":
        path.symlink_to(elsewhere)
    else:
        path.mkdir()
    there = sorted(Path("results").rglob("*"))
    refused = program("run", "--name", "s", "--save-weights", "norm=batch", *SMALL)
    assert refused.code == 2 and "damaged: it must be a " in refused.err and "Traceback" not in refused.err
    assert sorted(Path("results").rglob("*")) == there and elsewhere.read_text() == "mine"


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_runs_whose_weights_could_not_be_kept_are_told_of(program: Program, command: str):
    talkative = "    get_extra_state = nn.Module.__repr__\n\n    def forward"
    Path("mine.py").write_text(PLUGIN.replace("    def forward", talkative))
    words = ("--name", "s", "--plugin", "mine.py", "--save-weights", "norm=positive", *SMALL)
    trained = program(command, *words)
    (row,) = rows_of(Path("results/s")).values()
    log = f"results/s/logs/{row['run_id']}.log"
    assert trained.code == 0 and row["status"] == "completed"
    assert f"note: 1 run could not keep weights; why is in {log}" in trained.err
    assert "its weights are not saved: layer0.norm._extra_state is a str" in Path(log).read_text()


def test_a_plugin_is_needed_as_it_was(program: Program, tmp_path: Path):
    Path("mine.py").write_text(PLUGIN)
    words = ("norm=positive", "model=mlp", "model.width=8", "batch_size=64", "steps=4")
    assert program("run", "--name", "s", "--plugin", "mine.py", "--save-weights", *words).code == 0
    (row,) = rows_of(Path("results/s")).values()
    with pytest.raises(BnbenchError, match="uses a plugin; give its file, as it was then: plugin=FILE"):
        bnbench.load_network(row["run_id"])
    network = bnbench.load_network(row["run_id"], plugin="mine.py")
    assert not [name for name in network.state_dict() if "parametrizations" in name]
    (spec,) = specs_of(*words, plugin=Path("mine.py"))
    data = load_data(spec)
    assert evaluate(spec, network, data, data.test)[1] == float(row["test_accuracy"])
    Path("mine.py").write_text(f"{PLUGIN}\nLATER = 1\n")
    with pytest.raises(BnbenchError, match="the plugin has changed since this run"):
        bnbench.load_network(row["run_id"], plugin="mine.py")
