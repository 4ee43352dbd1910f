"""Compiled steps are compared with the reference's while they train: right ones stand, wrong ones are found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bnbench import store, worker
from bnbench.components import components
from bnbench.config import compose_request
from bnbench.data import Data
from bnbench.engines import StackOptions, train_stack
from bnbench.native import Mismatch, NativeSteps, c_compiler, guard
from bnbench.plan import Execution
from bnbench.plan.feasibility import obstacles
from bnbench.spec import RunSpec, Sgd, run_id
from bnbench.tasks import Task
from bnbench.training import Record
from tests.conftest import load_data, make_spec
from tests.engines.test_stacked import lanes_of, small
from tests.products import long, whole

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="there is no C compiler")

ALWAYS = 1e12
"""A share of the time that lets every block begin with a comparison."""


def guarded(specs: list[RunSpec], data: Data, share: float = ALWAYS) -> list[list[Record]]:
    found: list[list[Record]] = [[] for _ in specs]
    networks = [components().build(spec, data) for spec in specs]
    options = StackOptions(native=True, guarded=share)
    for records in train_stack(specs, networks, [data] * len(specs), options=options):
        for lane, record in records:
            found[lane].append(record)
    return found


@pytest.fixture(autouse=True)
def begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has trained for a second."""
    monkeypatch.setattr(guard, "budget", guard.Budget(trained=1.0))


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What each comparison came to."""
    answers: list[str | None] = []
    difference = guard._difference

    def noted(*given) -> str | None:
        answers.append(difference(*given))
        return answers[-1]

    monkeypatch.setattr(guard, "_difference", noted)
    return answers


SETTINGS = [
    "batch_size=16 lr=0.1",
    "batch_size=2 optim.nesterov=true optim.momentum=0.9",
    "batch_size=8 optim=adam optim.weight_decay=0.1 freeze_statistics=1 steps=12",
    "batch_size=16 optim=adamw optim.weight_decay=0.1 label_smoothing=0.2 train=affine",
]


def tried(setting: str, model: str, norm: str) -> bool:
    """Each norm in each model with one setting, of ResNets some norms; each setting with each model, and with a norm in
    C and a translated one, which is as long compiled as many are trained.
    """
    if setting == SETTINGS[0]:
        return model != "resnet20" or norm in ("batch", "renorm", "none", "group")
    return norm == "batch" or (norm, model) == ("renorm", "mlp")


def marks(setting: str, model: str, norm: str) -> tuple[pytest.MarkDecorator, ...]:
    """Of ResNets one is tried by ``make test``."""
    if not tried(setting, model, norm):
        return (whole,)
    return (long,) if model == "resnet20" and (setting, norm) != (SETTINGS[0], "batch") else ()


@pytest.mark.parametrize(
    ("settings", "model", "norm"),
    [
        pytest.param(setting.split(), model, norm, marks=marks(setting, model, norm))
        for setting in SETTINGS
        for model in ("mlp", "cnn", "resnet20")
        for norm in ("none", "batch", "ghost", "group", "layer", "instance", "rms", "renorm", "dyt")
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_right_steps_stand(settings: list[str], model: str, norm: str, compared: list[str | None]):
    keys = {text.split("=")[0] for text in settings}
    usual = [text for text in ("steps=8", "norm.chunk=2") if text.split("=")[0] not in keys]
    usual = [text for text in usual if text.startswith("steps") or norm == "ghost"]
    spec = make_spec(f"model={model}", f"norm={norm}", *usual, "evaluate.unit=steps", "evaluate.every=2", *settings)
    data = small(load_data(spec), 64)
    if obstacles({"run": spec}, components(), lambda spec: data):
        return
    specs = lanes_of(spec) if isinstance(spec.optim, Sgd) else [spec, dataclasses.replace(spec, seed=1)]
    guarded(specs, data)
    assert compared and not any(compared)


@pytest.mark.parametrize("lr", [1e20, 1e25])
def test_statistics_that_overflow_are_no_difference(lr: float, compared: list[str | None]):
    """Weights that are normalized grow without end: their outputs have a variance of inf, and the loss stays finite."""
    settings = ["norm=batch", "batch_size=16", "steps=6", "evaluate.unit=steps", "evaluate.every=3"]
    spec = dataclasses.replace(make_spec("model=mlp", *settings), lr=lr)
    data = small(load_data(spec), 64)
    guarded([spec, dataclasses.replace(spec, seed=1)], data)
    assert compared and not any(compared)


@pytest.mark.parametrize("lr", [1e12, 1e20, 1e30])
def test_products_that_overflow_are_no_difference(lr: float, compared: list[str | None]):
    """Tiles of convolutions overflow where torch's sums do not yet, in a lane that diverges."""
    settings = ["model=cnn", "norm=none", "batch_size=32", "epochs=3", "divergence_factor=5"]
    spec = dataclasses.replace(make_spec(*settings), lr=lr)
    data = small(load_data(spec), 256)
    guarded([dataclasses.replace(spec, seed=seed) for seed in range(2)], data)
    assert compared and not any(compared)


def test_a_comparison_changes_no_bit(compared: list[str | None]):
    spec = make_spec("model=cnn", "steps=12", "evaluate.unit=steps", "evaluate.every=4", "optim.momentum=0.9")
    data, specs = small(load_data(spec), 64), lanes_of(spec)
    assert guarded(specs, data) == guarded(specs, data, share=0.0)
    assert len(compared) >= 3


def scaled_weight(network, optimizer) -> None:
    weight = next(parameter for parameter in network.parameters() if parameter.dim() > 1)
    weight.data.mul_(1.001)


def late_statistics(network, optimizer) -> None:
    next(buffer for name, buffer in network.named_buffers() if "running_var" in name).mul_(1.01)


def not_a_number(network, optimizer) -> None:
    next(network.parameters()).data.view(-1)[0] = float("nan")


@pytest.mark.parametrize("fault", [scaled_weight, late_statistics, not_a_number])
def test_wrong_steps_are_found(monkeypatch: pytest.MonkeyPatch, fault: Callable):
    """The fault begins with step 20."""
    plant(monkeypatch, fault)
    spec = make_spec("model=mlp", "steps=40", "evaluate.unit=steps", "evaluate.every=4")
    data = small(load_data(spec), 64)
    with pytest.raises(Mismatch, match="otherwise than torch"):
        guarded(lanes_of(spec), data)


def plant(monkeypatch: pytest.MonkeyPatch, fault: Callable) -> None:
    run, select, made = NativeSteps.run, NativeSteps.select, [0]

    def remembered(self: NativeSteps, network, longest: int = 0) -> None:
        self.network = network
        select(self, network, longest)

    def wrong(self: NativeSteps, x_SMCHW: Tensor, y_SKN: Tensor, lr_SK1: Tensor) -> tuple[Tensor, Tensor]:
        answer = run(self, x_SMCHW, y_SKN, lr_SK1)
        made[0] += len(y_SKN)
        if made[0] > 20:
            fault(self.network, self._optimizer)
        return answer

    monkeypatch.setattr(NativeSteps, "select", remembered)
    monkeypatch.setattr(NativeSteps, "run", wrong)


def test_comparisons_take_their_share_of_the_time(compared: list[str | None], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "budget", guard.Budget(trained=0.0))
    spec = make_spec("model=mlp", "steps=2000", "evaluate.unit=steps", "evaluate.every=20", "batch_size=32")
    guarded(lanes_of(spec), load_data(spec), share=0.1)
    assert compared and guard.budget.compared < 0.1 * guard.budget.trained + 0.1


def test_runs_that_fail_a_comparison_are_all_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One of them diverges early, in compiled code that is still right."""
    words = ["model=mlp", "model.width=16", "steps=40", "epochs=null", "evaluate.unit=steps", "evaluate.every=4"]
    specs = compose_request([*words, "lr=0.1,1e8", "seed=0,1"], components()).specs
    folders = []
    for name, faulty in (("wrong", True), ("right", False)):
        folders.append(folder := tmp_path / name)
        store.enter_runs(folder, specs, {}, {})
        with monkeypatch.context() as patch:
            if faulty:
                plant(patch, scaled_weight)
                patch.setattr(worker, "StackOptions", lambda native: StackOptions(native, guarded=ALWAYS))
            ends = worker.work(
                Task(
                    specs, Execution("native" if faulty else "stacked", 4), folder, "session", tmp_path, None, "cpu", ""
                )
            )
        assert sorted(end.status for end in ends) == ["completed", "completed", "diverged", "diverged"]
        with store.locked(folder):
            store.join(folder)
    wrong, right = (store.load_metrics(folder) for folder in folders)
    assert wrong.equals(right)
    runs = store.load_runs(folders[0])
    assert len(runs) == 4 and set(runs["engine"]) == {"stacked"}
    for spec in specs:
        assert "trained again by torch" in (folders[0] / "logs" / f"{run_id(spec)}.log").read_text()
    assert torch.is_grad_enabled()
