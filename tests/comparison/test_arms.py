"""Arms as they are typed: what they become, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bnbench.comparison import Arm, pairs_of, read_arms
from bnbench.errors import InvalidRequest
from bnbench.schema import Known


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("batch", ("norm=batch",)),
        ("norm=batch", ("norm=batch",)),
        ("group groups=4", ("norm=group", "norm.groups=4")),
        ("group norm.groups=4", ("norm=group", "norm.groups=4")),
        ("batch placement=after", ("norm=batch", "model.placement=after")),
        ("batch optim.weight_decay=0.1", ("norm=batch", "optim.weight_decay=0.1")),
        ("batch  eps=0.1   placement=after", ("norm=batch", "norm.eps=0.1", "model.placement=after")),
    ],
)
def test_an_arm_is_a_norm_with_settings(text: str, settings: tuple[str, ...]):
    (arm,) = read_arms([text], Known())
    assert arm == Arm(" ".join(text.split()), settings)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["bath"], "arm 'bath': there is no norm 'bath'; did you mean 'batch'?"),
        ([""], "arm '': there is no norm ''"),
        (["batch", "batch"], "arm 'batch': is there twice"),
        (["batch", "norm=batch"], "arm 'norm=batch': is the same as 'batch'"),
        (["batch", "batch eps=0.00001"], "arm 'batch eps=0.00001': is the same as 'batch'"),
        (["group groops=8"], "did you mean 'norm.groups'?"),
        (
            ["group chunk=8"],
            "arm 'group chunk=8': chunk: unknown key; did you mean 'norm.chunk', with norm=ghost",
        ),
        (["group groups"], "arm 'group groups': 'groups' must be an option such as groups=8"),
        (["batch lr=0.1"], "arm 'batch lr=0.1': 'lr=0.1': lr is set by the comparison itself; leave it out"),
        (["batch seed=3"], "arm 'batch seed=3': 'seed=3': seed is set by the comparison itself; leave it out"),
        (["group groups=2,4"], "arm 'group groups=2,4': makes 2 arms"),
    ],
)
def test_a_wrong_arm_is_named(texts: Sequence[str], says: str):
    with pytest.raises(InvalidRequest) as error:
        read_arms(texts, Known())
    assert says in str(error.value), str(error.value)


def test_all_wrong_arms_are_named_at_once():
    with pytest.raises(InvalidRequest) as error:
        read_arms(["bath", "grup", "layer"], Known())
    assert len(error.value.problems) == 2


def test_pairs():
    arms, others = [Arm("a", ()), Arm("b", ())], [Arm("c", ()), Arm("d", ())]
    assert pairs_of(arms, others) == (("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"))
    every = pairs_of(arms, others, every=True)
    assert every == (("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d"))
