"""The language model of characters: its definition in float64, what it sees, its norms and what it refuses."""

from functools import partial

import pytest
import torch
from torch import nn

from bnbench.errors import Impossible, InvalidRequest
from bnbench.models import build, build_lanes
from bnbench.models.replacement import LastAxisNorm
from bnbench.models.tokens import Characters, sincos_line
from bnbench.models.transformer_block import Attention
from bnbench.norms import NORMS, activates
from bnbench.spec import Choice
from bnbench.stacking import prove
from bnbench.training.loss import mean_loss
from bnbench.training.randomness import randomize
from tests.models.definitions import Block, assert_same, randomized
from tests.products import long

VOCABULARY, LENGTH = 5, 7
SHAPE = (VOCABULARY, 1, LENGTH)
SMALL = {"dim": 16, "depth": 2, "heads": 2, "mlp_ratio": 3}
PLACEMENTS = ("pre", "post", "peri")
SEES_ALL = ("instance", "batch_instance", "switchable", "grn")
TAKEN = [norm for norm in NORMS if norm != "fixup" and norm not in SEES_ALL and not activates(NORMS[norm])]


def make(norm="layer", seed=0, shape=SHAPE, **options):
    return build(Choice.of("gpt", {**SMALL, **options}), NORMS[norm], shape, VOCABULARY, seed)


def one_hot(codes):
    """[N, V, 1, T] float64 of codes [N, T], each set by its index."""
    x = torch.zeros(len(codes), *SHAPE, dtype=torch.float64)
    for example, row in enumerate(codes.tolist()):
        for place, code in enumerate(row):
            x[example, code, 0, place] = 1
    return x


def by_hand(state, codes, kind, placement, qk_norm):
    """The loss as a function of the network's numbers: vectors are looked up, and a token attends to those up to it."""
    parts = Block(state, kind, placement, qk_norm, seen=lambda place, tokens: place + 1)
    y = state["embed.weight"].T[codes[:, :-1]] + state["positions.table"]
    logits = parts.linear("head", parts.blocks(y))
    terms = [
        logits[example, place].exp().sum().log() - logits[example, place, codes[example, place + 1]]
        for example in range(len(codes))
        for place in range(LENGTH)
    ]
    return logits, torch.stack(terms).mean()


@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("norm", ["layer", "rms", "batch", "none"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_network_and_loss_are_their_definition(placement, norm, qk_norm):
    """Outputs, the loss per character and its gradients, in float64."""
    positions = "learned" if qk_norm else "sincos"
    network = randomized(make(norm, placement=placement, qk_norm=qk_norm, positions=positions))
    codes = torch.randint(VOCABULARY, (4, LENGTH + 1), generator=torch.Generator().manual_seed(2))
    state = {**dict(network.named_buffers()), **dict(network.named_parameters())}
    logits = network(one_hot(codes[:, :-1]))
    expected, expected_loss = by_hand(state, codes, norm, placement, qk_norm)
    torch.testing.assert_close(logits, expected.transpose(1, 2), rtol=1e-10, atol=1e-10)
    assert_same(network, mean_loss(logits, codes[:, 1:]), expected_loss)


def test_places_are_sines_and_cosines():
    """Vaswani et al. 2017, 3.5, at each place and feature."""
    table = sincos_line(5, 6).double()
    for place in range(5):
        for pair in range(3):
            angle = torch.tensor(place / 10_000 ** (2 * pair / 6), dtype=torch.float64)
            expected = torch.stack([angle.sin(), angle.cos()])
            torch.testing.assert_close(table[place, 2 * pair : 2 * pair + 2], expected, rtol=1e-6, atol=1e-7)


def test_a_token_is_a_character():
    x = torch.arange(2 * 5 * 7).view(2, 5, 1, 7)
    tokens = Characters()(x)
    assert tokens.shape == (2, 7, 5) and torch.equal(tokens[1, 3], x[1, :, 0, 3])


def changed_behind(network, place):
    """How much other characters behind a place change the logits up to it."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(3, *SHAPE, dtype=torch.float64, generator=rng)
    other = x.clone()
    other[..., place + 1 :] = torch.randn(3, VOCABULARY, 1, LENGTH - place - 1, dtype=torch.float64, generator=rng)
    before, after = network(x), network(other)
    assert (before - after)[..., place + 1 :].abs().max() > 1e-3
    return (before - after)[..., : place + 1].abs().max().item()


@pytest.mark.parametrize("norm", TAKEN)
def test_nothing_is_seen_of_later_characters_at_evaluation(norm):
    network = make(norm, placement="peri", qk_norm=True).double()
    randomize(network, torch.Generator().manual_seed(0))
    assert changed_behind(network.eval(), 3) < 1e-12


@pytest.mark.parametrize(("norm", "sees"), [("layer", False), ("rms", False), ("group", False), ("batch", True)])
def test_statistics_of_a_batch_see_later_characters_in_training(norm, sees):
    assert (changed_behind(make(norm).double().train(), 3) > 1e-3) == sees


@pytest.mark.parametrize("norm", SEES_ALL)
def test_norms_over_the_characters_of_an_example_are_refused(norm):
    with pytest.raises(Impossible, match=r"sees those that model=gpt is to predict: choose norm=layer"):
        make(norm)


def test_batch_statistics_are_over_examples_and_positions():
    place = LastAxisNorm(NORMS["batch"](16)).double().train()
    x = torch.randn(4, LENGTH, 16, dtype=torch.float64)
    expected = (x - x.mean((0, 1))) / (x.var((0, 1), correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(place(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("placement", "norms"), [("pre", 5), ("post", 4), ("peri", 9)])
def test_places_of_norms(placement, norms):
    """Two sublayers in each of two blocks, and one before the last layer."""
    places = [layer for layer in make(placement=placement).modules() if isinstance(layer, LastAxisNorm)]
    assert len(places) == norms


def test_size_of_the_default_network():
    """2 blocks of attention (4 matrices) and MLP (2 of 64 x 256), 13 characters, 32 places, counted by hand."""
    with torch.device("meta"):
        network = build(Choice.of("gpt"), NORMS["layer"], (13, 1, 32), 13, 0)
    attention, mlp = 4 * 64 * 64 + 2 * 64, 2 * 64 * 256 + 256 + 64
    expected = 13 * 64 + 32 * 64 + 2 * (attention + mlp + 2 * 128) + 128 + (64 * 13 + 13)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected == 103_565


def test_networks_of_several_seeds_are_those_of_each():
    first, second = build_lanes(Choice.of("gpt", SMALL), partial(NORMS["layer"]), SHAPE, VOCABULARY, [0, 1])
    for (name, one), other in zip(second.named_parameters(), make(seed=1).parameters(), strict=True):
        assert torch.equal(one, other), name
    assert not torch.equal(first.get_parameter("embed.weight"), second.get_parameter("embed.weight"))


ON_ITS_OWN = [("layer", "pre", True), ("batch", "post", True), ("rms", "peri", False), ("weight", "pre", False)]
REST = [(norm, "peri", True) for norm in TAKEN]


@pytest.mark.parametrize(
    ("norm", "placement", "learned"), [*ON_ITS_OWN, *(pytest.param(*case, marks=long) for case in REST)]
)
def test_networks_fold_into_one(norm, placement, learned):
    parts = {"positions": "learned", "qk_norm": True} if learned else {"positions": "sincos"}
    assert prove(lambda seed: make(norm, seed, placement=placement, **parts), SHAPE, 4) is None


def test_lanes_beside_each_other_are_refused():
    """As of every transformer: a stack on a GPU takes the lanes one after another in the batch."""
    assert prove(lambda seed: make("layer", seed), SHAPE, 4, wide=True) is not None


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 1, 7), (5, 2, 7)])
def test_what_is_no_text_is_refused(shape):
    with pytest.raises(Impossible, match=r"model=gpt needs text, \[5, 1, characters\] here; received .* dataset=text"):
        make(shape=shape)


def test_what_must_divide_is_refused_in_one_message():
    with pytest.raises(Impossible) as caught:
        make(dim=15, heads=4, positions="sincos")
    assert str(caught.value) == (
        "model.heads=4 must divide model.dim=15: choose one of 1, 3, 5, 15; "
        "model.positions=sincos needs an even model.dim, which is 15: choose another one, or model.positions=learned"
    )


def test_all_problems_at_once():
    with pytest.raises(InvalidRequest) as caught:
        make(dim=0, depth=0, heads=0, mlp_ratio=0, positions="sine", placement="per")
    assert len(caught.value.problems) == 6


def test_a_rule_is_learned_character_by_character():
    """Each character is the sum of the two before it, modulo 5: that needs attention, and leaves the first two."""
    codes = torch.randint(VOCABULARY, (64, 2), generator=torch.Generator().manual_seed(0))
    for _ in range(LENGTH - 1):
        codes = torch.cat([codes, ((codes[:, -1] + codes[:, -2]) % VOCABULARY)[:, None]], 1)
    network, x, y = make(dim=32).train(), one_hot(codes[:, :-1]).float(), codes[:, 1:]
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        mean_loss(network(x), y).backward()
        optimizer.step()
    losses = nn.functional.cross_entropy(network(x), y, reduction="none").mean(0)
    assert losses[0] > 1 and losses[1:].max() < 0.1


@pytest.mark.parametrize(("norm", "frozen"), [("layer", True), ("batch", True), ("dyt", True), ("rms", False)])
def test_the_shift_of_normed_keys_which_softmax_cancels_is_not_trained(norm, frozen):
    """It is the same number for all keys of a query."""
    network = make(norm, qk_norm=True)
    keys = [layer.key_norm.norm for layer in network.modules() if isinstance(layer, Attention)]
    biases = [norm.bias for norm in keys if getattr(norm, "bias", None) is not None]
    assert len(biases) == (len(keys) if frozen else 0) and not any(bias.requires_grad for bias in biases)
    others = [item for norm in keys for item in norm.parameters() if item is not getattr(norm, "bias", None)]
    assert others and all(item.requires_grad for item in others)


def test_a_shift_of_normed_keys_changes_nothing():
    network = randomized(make("layer", qk_norm=True)).eval()
    x = one_hot(torch.randint(VOCABULARY, (3, LENGTH), generator=torch.Generator().manual_seed(0)))
    before = network(x)
    for layer in network.modules():
        if isinstance(layer, Attention):
            nn.init.normal_(layer.key_norm.norm.bias)
    torch.testing.assert_close(network(x), before, rtol=1e-10, atol=1e-10)
