"""The orders of an epoch: shuffled as ever, or batches of one class or one domain; whole, disjoint and reproducible."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bnbench.data import Augmentation, Data, Examples, Grouped, Shuffled, order_of, steps_per_epoch
from tests.conftest import load_data, make_spec


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batches_of(order: Grouped, generator: torch.Generator) -> torch.Tensor:
    return order.draw(generator).view(-1, order.batch_size)


sizes = st.lists(st.integers(1, 40), min_size=2, max_size=6)


@st.composite
def grouped(draw: st.DrawFn, in_turn: bool) -> Grouped:
    """Groups of any sizes, their examples in any order, and a batch that fits the smallest."""
    counts = draw(sizes)
    group = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    group = group[torch.randperm(len(group), generator=rng(draw(st.integers(0, 99))))]
    return Grouped(group, len(counts), draw(st.integers(1, min(counts))), in_turn)


@pytest.mark.parametrize(
    ("n", "size", "drop", "steps"), [(10, 3, True, 3), (10, 3, False, 4), (9, 3, False, 3), (2, 3, True, 0)]
)
def test_steps_of_shuffled_examples(n: int, size: int, drop: bool, steps: int):
    assert steps_per_epoch(n, size, drop) == Shuffled(n, size, drop).steps == steps


@given(st.integers(1, 200), st.integers(0, 2**40))
def test_shuffled_examples_are_a_permutation_as_torch_draws_it(count: int, seed: int):
    order, generator, expected = Shuffled(count, 7, True), rng(seed), rng(seed)
    for _ in range(2):
        assert torch.equal(order.draw(generator), torch.randperm(count, generator=expected))
    assert order.largest_batch == count


@given(st.one_of(grouped(in_turn=False), grouped(in_turn=True)), st.integers(0, 2**40))
def test_a_batch_is_of_one_group_and_an_example_comes_once_at_most(order: Grouped, seed: int):
    batch_SB = batches_of(order, rng(seed))
    assert len(batch_SB) == order.steps > 0
    assert batch_SB.unique().numel() == batch_SB.numel()
    groups_SB = order.group[batch_SB]
    assert torch.equal(groups_SB, groups_SB[:, :1].expand_as(groups_SB))
    assert torch.equal(batch_SB, batches_of(order, rng(seed)))


@given(grouped(in_turn=False), st.integers(0, 2**40))
def test_without_turns_each_group_has_all_batches_that_it_can_fill(order: Grouped, seed: int):
    group_S = order.group[batches_of(order, rng(seed))[:, 0]]
    assert torch.equal(torch.bincount(group_S), torch.bincount(order.group) // order.batch_size)


@given(grouped(in_turn=True), st.integers(0, 2**40))
def test_in_turns_the_groups_follow_one_another_from_the_first_on(order: Grouped, seed: int):
    group_S = order.group[batches_of(order, rng(seed))[:, 0]]
    turns = int(torch.bincount(order.group).min()) // order.batch_size
    assert group_S.tolist() == list(range(order.groups)) * turns


def test_the_largest_batch_is_one_that_every_group_can_fill():
    group = torch.tensor([0] * 5 + [1] * 3 + [2] * 9)
    for in_turn in (False, True):
        assert Grouped(group, 3, 3, in_turn).largest_batch == 3
        assert Grouped(group, 4, 3, in_turn).largest_batch == 0, "a group without examples"


def test_what_an_epoch_leaves_out_changes():
    order = Grouped(torch.arange(40) % 4, 4, 4, in_turn=False)
    generator = rng()
    taken = [frozenset(order.draw(generator).tolist()) for _ in range(12)]
    assert {len(one) for one in taken} == {32} and len(set(taken)) > 1
    assert frozenset.union(*taken) == frozenset(range(40))


def test_batches_of_different_classes_come_in_random_order():
    """With a third of 300 batches of each class, a third of the batches follows one of its own class."""
    order = Grouped(torch.arange(1200) % 3, 3, 4, in_turn=False)
    group_S = order.group[batches_of(order, rng())[:, 0]].tolist()
    repeats = sum(one == other for one, other in itertools.pairwise(group_S))
    assert 75 < repeats < 125


def test_examples_of_a_group_meet_others_in_each_epoch():
    order = Grouped(torch.zeros(64, dtype=torch.int64), 1, 8, in_turn=True)
    generator = rng()
    first, second = (batches_of(order, generator) for _ in range(2))
    assert {frozenset(batch) for batch in first.tolist()}.isdisjoint(frozenset(batch) for batch in second.tolist())


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        (["batch_size=32"], 35),
        (["batch_size=32", "drop_last=false"], 36),
        (["batch_size=32", "batches=single_class"], 30),
        (["batch_size=32", "batches=alternating", "domains=[plain,contrast_0.4]"], 34),
        (["batch_size=32", "batches=alternating", "domains=[plain,contrast_0.4,blur_1]"], 33),
        (["batch_size=32", "domains=[plain,contrast_0.4]"], 35),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_order_of_a_run(settings: list[str], steps: int):
    """Of 1150 examples of digits, the smallest class has 111; two domains have 575, three 383 or 384."""
    spec = make_spec("split.validation=0.2", *settings)
    train = load_data(spec).train
    assert len(train) == 1150
    order = order_of(spec, train)
    assert order.steps == steps
    kind = {"shuffled": None, "single_class": train.y, "alternating": train.domain}[spec.batches]
    if kind is not None:
        assert isinstance(order, Grouped)
        groups_SB = kind[batches_of(order, rng())]
        assert (groups_SB == groups_SB[:, :1]).all()
        assert set(groups_SB.flatten().tolist()) == set(kind.tolist())


def test_some_examples_keep_their_domains():
    examples = Examples(torch.zeros(6, 1, 2, 2), torch.arange(6), torch.arange(6) % 2)
    for chosen in (slice(2, 5), torch.tensor([2, 3, 4])):
        part = examples[chosen]
        assert part.y.tolist() == [2, 3, 4] and part.domain is not None and part.domain.tolist() == [0, 1, 0]
    assert Examples(examples.x, examples.y)[:2].domain is None
    whole = Data(examples, examples, examples, 2, torch.zeros(1), torch.ones(1), Augmentation())
    moved = whole.to("meta").train.domain
    assert moved is not None and moved.device.type == "meta"
