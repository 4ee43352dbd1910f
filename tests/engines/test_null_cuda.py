"""What stacks ask of a GPU, counted by a runtime that does nothing."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from bnbench.norms import NORMS
from tests.engines.test_recording import DRAWS
from tests.null_cuda.runtime import NullCuda
from tests.products import MECHANISMS

UNRECORDED = "steps are not recorded, which is slower"
WAITS = f"{UNRECORDED}: a layer waits for the GPU, to read a value or to bring one there"
REFUSED = "AcceleratorError: CUDA error: operation not permitted when stream is capturing"


PAIRS = [
    *itertools.product(["cnn"], NORMS),
    *itertools.product(["mlp"], MECHANISMS),
    *itertools.product(["resnet20"], ("batch", "spectral", "fixup")),
    *itertools.product(["vit"], ("batch", "layer", "dyt")),
]
"""Each norm in images; in vectors, in a residual network and between attention those that act otherwise there."""
CAPTURED = {
    "optim=adam": 1,
    "optim=adamw optim.weight_decay=0.1": 1,
    "optim.momentum=0.9 optim.nesterov=true": 1,
    "precision=bf16 model=cnn": 1,
    "drop_last=false steps=30": 2,  # a graph for the last batch, of 8 examples
    "epochs=4 freeze_statistics=2": 2,  # another one after the statistics are frozen
    "dataset.pad=1 dataset.flip=true model=cnn": 1,
    "grad_clip=0.1": 1,
}
"""Graphs of steps by settings; one more is that of evaluations."""


@pytest.fixture(scope="module")
def seen(null_cuda: NullCuda) -> Any:
    settings = [*([f"model={model}", f"norm={norm}"] for model, norm in PAIRS), *map(str.split, CAPTURED)]
    return null_cuda.ask("engine", json.dumps(settings), devices=2)


@pytest.mark.parametrize(("model", "most"), [("mlp", 57), ("cnn", 62), ("resnet20", 285)])
def test_a_step_has_few_nodes(seen: Any, model: str, most: int) -> None:
    """They vary by some copies with where memory lies.

    Fewer are to be had, at a price: a convolution in groups is one node in place of three (patches, product, layout),
    and took 2 to 7 times as long on the card that was measured.
    """
    assert 0 < seen["sizes"][model] <= most


def test_a_block_of_recorded_steps_waits_for_nothing_and_allocates_nothing(seen: Any) -> None:
    """Beside 8 playbacks it copies its inputs and its outputs, and puts the place back."""
    found = seen["block"]
    assert found["playbacks"] == 8
    assert found["synchronizations"] == found["allocations"] == found["copies in"] == found["copies out"] == 0
    assert found["copies within"] <= 7 and found["launches"] <= 8


def test_an_epoch_waits_for_nothing_and_brings_the_next_ones_order_only(seen: Any) -> None:
    """Of images that are shifted and flipped it brings the shifts in both directions and the flips as well."""
    for case, brought in (("model=mlp", 1), ("model=cnn dataset.pad=1 dataset.flip=true", 4)):
        *amid, last = seen["epochs"][case]
        assert len(amid) == 2 and [found["copies in"] for found in (*amid, last)] == [brought, brought, 0]
        for found in (*amid, last):
            assert found["playbacks"] == 8 and found["launches"] <= 37
            assert found["synchronizations"] == found["allocations"] == found["copies out"] == 0


@pytest.mark.parametrize("model", ["mlp", "resnet20"])
def test_a_recorded_evaluation_does_little_but_for_its_playback(seen: Any, model: str) -> None:
    """Loss and accuracy are brought to the program, and waited for; the examples' order is made by the GPU."""
    first, *rest = seen["evaluations"][model]
    assert first["playbacks"] == 1 and len(rest) == 3
    for found in rest:
        assert found["playbacks"] == 1 and found["allocations"] == 0 and found["launches"] <= 37
        assert found["synchronizations"] <= 3 and found["copies out"] == 2 and found["copies in"] <= 1


def test_a_stack_that_is_over_leaves_no_more_memory_in_use_than_the_first(seen: Any) -> None:
    first, *later = seen["memory"]
    assert later == [first, first]


def test_a_stack_on_one_gpu_leaves_the_others_alone(seen: Any) -> None:
    assert seen["other"] == {"used": 0, "streams": 0, "synchronizations": 0}


def test_a_layer_that_waits_is_told_and_spoils_no_later_recording(seen: Any) -> None:
    assert seen["waiting"] == [[WAITS], [WAITS], [f"{UNRECORDED}: {REFUSED}"], []]


def test_a_stack_of_several_splits_is_captured_once_and_copies_its_images_once(seen: Any) -> None:
    assert seen["splits"] == {"told": [], "captures": 1, "copies": 1}


def test_all_norms_are_captured_except_those_that_draw(seen: Any) -> None:
    """A step, and an evaluation but where it recomputes statistics."""
    found = [case for case in seen["captured"] if "norm=" in case[0]]
    assert {words.partition("norm=")[2] for words, *_ in found} == {*NORMS}
    for words, graphs, told in found:
        draws, recomputes = words.endswith(("noisy_batch", "ghost_noise")), words.endswith("precise")
        assert (graphs, told) == ((0, [DRAWS]) if draws else (2 - recomputes, [])), words


def test_all_settings_are_captured(seen: Any) -> None:
    found = [case for case in seen["captured"] if "norm=" not in case[0]]
    assert found == [[words, graphs + 1, []] for words, graphs in CAPTURED.items()]
