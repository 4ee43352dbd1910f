import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import nn

from bnbench.components import Components, components
from bnbench.config import compose_request
from bnbench.errors import Impossible
from bnbench.norms import NORMS
from bnbench.plan import feasibility as feasibility_module
from bnbench.plan import summarized
from bnbench.plan.contract import limited_parameters
from bnbench.plan.feasibility import last_batch, obstacles
from tests.conftest import load_data, make_spec


def found(overrides: Sequence[str], parts: Components | None = None) -> list[str]:
    request = compose_request(overrides, components())
    assert not request.problems
    specs = {str(number): spec for number, spec in enumerate(request.specs)}
    return list(obstacles(specs, parts or components(), load_data).values())


@pytest.mark.parametrize("small", [2**14, 0], ids=["on the CPU", "on meta"])
@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["batch_size=1295"], "training set of 1,294 examples"),
        (["batches=single_class", "batch_size=126"], "smallest class, which has 125 training examples"),
        (["batches=alternating", "domains=[plain,blur_1]", "batch_size=648"], "smallest domain, which has 647"),
        (["batches=single_class", "epochs=100000000", "batch_size=16"], "makes 7,900,000,000 steps"),
        (["batches=single_class", "freeze_statistics=2", "steps=150", "batch_size=16"], "must be at most 1 here"),
        (["norm=group", "norm.groups=12"], "12"),
        (["norm=batch", "model=mlp", "batch_size=1"], "at least two values"),
        (["norm=ghost", "norm.chunk=3", "batch_size=4", "model=mlp"], "remainder"),
        (["norm=instance", "model=mlp"], "instance"),
        (["norm=frn", "model=mlp"], "norm.learn_eps=true"),
        (["norm=evonorm_b0", "model=mlp"], "norm=evonorm_s0"),
        (["norm=switchable", "model=mlp"], "norm=switchable: each channel of an example"),
        (["norm=frn", "model.placement=after"], "model.placement=after model.activation=relu does not have"),
        (["norm=evonorm_s0", "model.activation=tanh"], "the norm holds its own activation"),
        (["norm=frn", "model=torchvision"], "model.name=resnet18: the norm holds its own activation"),
        (["batch_size=431", "drop_last=false", "model=mlp"], "last batch of an epoch has 1 example;"),
        (["model=torchvision", "model.name=alexnet", "norm=group"], "no normalization layers"),
        (["dataset=wine", "model=cnn"], "dataset=wine has features, not images, which model=cnn needs; take model=mlp"),
        (["dataset=text", "model=mlp"], "dataset=text has text, not images or features, which model=mlp needs; take"),
        (["dataset=text", "model=vit"], "which model=vit needs; take model=gpt"),
        (["dataset=digits", "model=gpt"], "model=gpt needs text, which dataset=digits is not; take dataset=text"),
        (["dataset=wine", "model=gpt"], "model=gpt needs text, which dataset=wine is not; take dataset=text"),
        (["dataset=text", "model=gpt", "probes=[shift]"], "probes=[shift]: changes images, and dataset=text has text"),
        (["model=torchvision", "model.name=densenet121"], "fails on images of 8x8"),
        (["model=torchvision", "model.name=densenet121"], "model.small_image_stem=true"),
        (["model=mlp", "model.depth=100000000"], "model.depth=100000000: must be at most 1,000"),
        (["model=mlp", "model.width=65537"], "model.width=65537: must be at most 65,536"),
        (["model=cnn", "model.width=65536"], "more than 1,000,000,000 parameters"),
        (["model=resnet20", "model.width=65537"], "model.width=65537: must be at most 65,536"),
        (["epochs=1000000000", "batch_size=2"], "epochs=1000000000: makes 647,000,000,000 steps; at most"),
    ],
)
def test_an_obstacle_is_found_and_named(overrides, says, small, monkeypatch):
    monkeypatch.setattr(feasibility_module, "SMALL", small)
    (reason,) = found(overrides)
    assert says in reason


@pytest.mark.parametrize("small", [2**14, 0], ids=["on the CPU", "on meta"])
@pytest.mark.parametrize("norm", [norm for norm in NORMS if norm != "fixup"])
def test_what_can_be_trained_is_let_through(norm, small, monkeypatch):
    monkeypatch.setattr(feasibility_module, "SMALL", small)
    assert found([f"norm={norm}", "batch_size=2"]) == []


@pytest.mark.parametrize(("batches", "examples"), [("shuffled", 14), ("single_class", 0), ("alternating", 0)])
def test_only_shuffled_batches_end_with_a_smaller_one(batches: str, examples: int):
    """The others need ``drop_last=true``, which is said without trying a batch that there never is."""
    spec = make_spec("batch_size=16", "drop_last=false")
    assert last_batch(replace(spec, batches=batches), load_data(spec)) == examples


@pytest.mark.parametrize(("steps", "problems"), [(3, 0), (4, 1)])
def test_a_last_batch_counts_if_the_run_comes_to_it(steps: int, problems: int):
    assert len(found(["batch_size=431", "drop_last=false", "model=mlp", f"steps={steps}"])) == problems


def test_cells_that_take_other_examples_are_tried_each_for_itself():
    assert len(found(["batches=shuffled,single_class", "batch_size=200"])) == 1
    both = ["batches=alternating", "domains=[plain,blur_1],[plain,blur_1,blur_2]"]
    assert len(found([*both, "batch_size=500"])) == 1
    assert len(found(["batches=single_class", "batch_size=120,200", "seed=0,1"])) == 2


def with_norm(forward: Callable[[nn.Module, torch.Tensor], object]) -> Components:
    """The components with a norm that computes something else."""
    custom = type("Custom", (nn.Module,), {"forward": forward})
    registries = components().registries
    return Components({**registries, "norm": {**registries["norm"], "batch": lambda channels, **_: custom()}}, {})


@pytest.mark.parametrize("small", [2**14, 0], ids=["on the CPU", "on meta"])
@pytest.mark.parametrize(
    ("forward", "says"),
    [
        (lambda self, x: (x, x), "norm=batch must return a tensor of its input's shape and dtype; got a tuple for"),
        (lambda self, x: None, "got None for float32 [64, 16, 8, 8]"),
        (lambda self, x: x[:, :1], "got float32 [64, 1, 8, 8] for float32 [64, 16, 8, 8]"),
        (lambda self, x: x.double(), "got float64 [64, 16, 8, 8] for float32 [64, 16, 8, 8]"),
        (lambda self, x: sys.exit("bye"), "raised SystemExit: bye"),
    ],
    ids=["tuple", "none", "shape", "dtype", "exit"],
)
def test_a_norm_that_breaks_its_contract_is_refused(forward, says, small, monkeypatch):
    monkeypatch.setattr(feasibility_module, "SMALL", small)
    (reason,) = found([], with_norm(forward))
    assert says in reason


OWN = """
from torch import nn

class Images(nn.Module):
    def __init__(self, num_features, channels=0):
        super().__init__()

    def forward(self, x):
        n, c, h, w = x.shape
        return x

class Vectors(nn.Module):
    def __init__(self, num_features):
        super().__init__()

    def forward(self, x):
        return x - x.mean(1).view(len(x), 1)

class Raises(Vectors):
    def forward(self, x):
        raise ValueError("boom")

NORMS = {"two": nn.BatchNorm2d, "one": nn.BatchNorm1d, "three": nn.BatchNorm3d, "images": Images, "vectors": Vectors,
         "raises": Raises}
"""


@pytest.mark.parametrize("small", [2**14, 0], ids=["on the CPU", "on meta"])
@pytest.mark.parametrize(
    ("norm", "model", "says"),
    [
        ("two", "mlp", "norm=two takes [N, C, H, W] only, and model=mlp gives it [N, C]: choose model=cnn or another"),
        ("images", "mlp", "norm=images takes [N, C, H, W] only, and model=mlp gives it [N, C]: choose model=cnn or"),
        (
            "one",
            "cnn",
            "norm=one takes [N, C] or [N, C, L] only, and model=cnn gives it [N, C, H, W]: choose model=mlp",
        ),
        ("three", "cnn", "takes [N, C, D, H, W] only, and model=cnn gives it [N, C, H, W]: choose another norm"),
        ("vectors", "cnn", "norm=vectors takes [N, C] only, and model=cnn gives it [N, C, H, W]: choose model=mlp or"),
        ("two", "cnn", None),
        ("images", "cnn", None),
        ("one", "mlp", None),
        ("vectors", "mlp", None),
        ("raises", "mlp", None),
    ],
)
def test_a_norm_for_other_inputs_than_those_of_the_model_is_refused(norm, model, says, small, monkeypatch, tmp_path):
    """What fails on any input is left to its run, which then fails alone."""
    monkeypatch.setattr(feasibility_module, "SMALL", small)
    (tmp_path / "plugin.py").write_text(OWN)
    parts = components(tmp_path / "plugin.py")
    request = compose_request([f"norm={norm}", f"model={model}"], parts)
    reasons = list(obstacles({"run": request.specs[0]}, parts, load_data).values())
    assert [says in reason for reason in reasons] == [True] if says else reasons == []


def test_a_norm_is_tried_in_the_precision_of_the_run():
    parts = with_norm(lambda self, x: x.float())
    assert found([], parts) == []
    (reason,) = found(["precision=fp64"], parts)
    assert "got float32 [64, 16, 8, 8] for float64 [64, 16, 8, 8]" in reason


def test_what_is_no_module_and_a_model_without_logits_are_refused():
    registries = components().registries
    for group, name, item, says in [
        ("norm", "batch", lambda channels, **_: "text", "norm=batch must be a torch.nn.Module; got a str"),
        ("model", "cnn", lambda *_, **__: nn.Flatten(), "model=cnn must return logits of shape [64, 10]"),
    ]:
        (reason,) = found([], Components({**registries, group: {**registries[group], name: item}}, {}))
        assert says in reason


def test_a_network_too_large_to_be_made_is_refused_before_its_memory_is_used():
    with pytest.raises(Impossible, match="more than 1,000,000,000 parameters"), limited_parameters(100):
        nn.Linear(10, 10)
    nn.Linear(10, 10)


def test_obstacles_that_differ_in_the_batch_only_are_one_sentence():
    specs = {str(number): make_spec(f"batch_size={size}") for number, size in enumerate((2, 8, 8, 4))}
    assert summarized(specs, {"0": "a", "1": "a", "2": "a", "3": "b"}) == [
        "norm=batch model=cnn dataset=digits batch_size=2,8: a",
        "norm=batch model=cnn dataset=digits batch_size=4: b",
    ]
    specs = {"0": make_spec("model=torchvision", "model.name=vgg11_bn")}
    assert summarized(specs, {"0": "a"}) == [
        "norm=batch model=torchvision model.name=vgg11_bn dataset=digits batch_size=64: a"
    ]


def test_an_unexpected_error_of_a_plugin_is_left_to_its_run():
    class Broken(nn.Module):
        def __init__(self, num_features: int) -> None:
            super().__init__()

        def forward(self, x):
            raise RuntimeError("boom")

    class TorchBatchNorm(nn.BatchNorm1d):
        pass

    registries = components().registries
    broken = Components(
        {**registries, "norm": {**registries["norm"], "batch": lambda channels, **_: Broken(channels)}}, {}
    )
    assert found(["model=mlp"], broken) == []
    wrapped = Components(
        {**registries, "norm": {**registries["norm"], "batch": lambda channels, **_: TorchBatchNorm(channels)}}, {}
    )
    (reason,) = found(["model=mlp", "batch_size=1"], wrapped)
    assert "more than 1 value per channel" in reason


def test_cells_that_differ_in_numbers_only_are_tried_once(monkeypatch):
    calls = []
    original = Components.build
    monkeypatch.setattr(Components, "build", lambda self, spec, data: calls.append(spec) or original(self, spec, data))
    assert found(["lr=0.1,0.2,0.3", "seed=range(5)", "batch_size=2,4", "optim.momentum=0,0.9"]) == []
    assert len(calls) == 2
