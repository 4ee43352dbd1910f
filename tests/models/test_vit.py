"""The vision transformer: an independent definition in float64, its norms, its options and what it refuses."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from bnbench.errors import Impossible, InvalidRequest
from bnbench.models import build, build_lanes
from bnbench.models.replacement import LastAxisNorm
from bnbench.models.tokens import Patches, sincos_table
from bnbench.norms import NORMS, BatchNorm, InstanceNorm, activates
from bnbench.spec import Choice
from bnbench.stacking import prove
from tests.models.definitions import Block, assert_learns, assert_same, randomized
from tests.products import long

SHAPE, CLASSES = (3, 8, 12), 5
SMALL = {"dim": 16, "depth": 2, "heads": 2, "mlp_ratio": 3, "patch": 4}
PLACEMENTS = ("pre", "post", "peri")


def make(norm="layer", seed=0, shape=SHAPE, **options):
    return build(Choice.of("vit", {**SMALL, **options}), NORMS[norm], shape, CLASSES, seed)


def by_hand(state, x, kind, placement, pool, qk_norm, patch=4):
    """The whole network as a function of its numbers: every patch, token and head is cut out by its indices."""
    parts = Block(state, kind, placement, qk_norm)
    rows, columns = x.shape[2] // patch, x.shape[3] // patch
    cut = [
        x[:, :, patch * row : patch * (row + 1), patch * column : patch * (column + 1)].flatten(1)
        for row in range(rows)
        for column in range(columns)
    ]
    y = parts.linear("embed", torch.stack(cut, 1)) + state["positions.table"]
    if pool == "class":
        y = torch.cat([state["class_token.token"].expand(len(x), 1, -1), y], 1)
    y = parts.blocks(y)
    return parts.linear("head", y.mean(1) if pool == "mean" else y[:, 0])


@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("norm", ["layer", "rms", "batch", "none"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_network_is_its_definition(placement, norm, qk_norm):
    """Outputs and gradients, in float64; class token and learned positions with one of the two."""
    pool, positions = ("class", "learned") if qk_norm else ("mean", "sincos")
    options = {"placement": placement, "qk_norm": qk_norm, "pool": pool, "positions": positions}
    network = randomized(make(norm, **options))
    state = {**dict(network.named_buffers()), **dict(network.named_parameters())}
    x = torch.randn(4, *SHAPE, dtype=torch.float64)
    received, expected = network(x), by_hand(state, x, norm, placement, pool, qk_norm)
    assert_same(network, received, expected, torch.randn(4, CLASSES, dtype=torch.float64))


def test_positions_are_sines_and_cosines_of_column_and_row():
    """SimpleViT's posemb_sincos_2d, at one token and two wave lengths."""
    table = sincos_table(3, 5, 12).double()
    assert table.shape == (15, 12)
    row, column, waves = 2, 3, torch.tensor([1.0, 1e-2, 1e-4], dtype=torch.float64)
    expected = torch.cat([(column * waves).sin(), (column * waves).cos(), (row * waves).sin(), (row * waves).cos()])
    torch.testing.assert_close(table[row * 5 + column], expected, rtol=1e-6, atol=1e-7)


def test_a_patch_is_a_square_of_pixels():
    x = torch.arange(2 * 3 * 4 * 6).view(2, 3, 4, 6)
    tokens = Patches(2)(x)
    assert tokens.shape == (2, 6, 12)
    assert torch.equal(tokens[1, 4], x[1, :, 2:4, 2:4].flatten())


@pytest.mark.parametrize(("placement", "norms"), [("pre", 5), ("post", 4), ("peri", 9)])
def test_places_of_norms(placement, norms):
    """Two sublayers in each of two blocks; queries and keys have two more in a block."""
    places = [layer for layer in make(placement=placement).modules() if isinstance(layer, LastAxisNorm)]
    assert len(places) == norms and all(place.norm.num_features == 16 for place in places)
    more = [layer for layer in make(placement=placement, qk_norm=True).modules() if isinstance(layer, LastAxisNorm)]
    assert [place.norm.num_features for place in more].count(8) == 4 and len(more) == norms + 4


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_shapes(shape):
    assert make(shape=shape)(torch.randn(2, *shape)).shape == (2, CLASSES)


def test_size_of_the_default_network():
    """4 blocks of attention (4 matrices) and MLP (2 of 64 x 256), counted by hand."""
    with torch.device("meta"):
        network = build(Choice.of("vit"), NORMS["layer"], (1, 8, 8), 10, 0)
    attention, mlp = 4 * 64 * 64 + 2 * 64, 2 * 64 * 256 + 256 + 64
    expected = (4 * 64 + 64) + 4 * (attention + mlp + 2 * 128) + 128 + 650
    assert sum(parameter.numel() for parameter in network.parameters()) == expected == 200_522


@pytest.mark.parametrize("norm", [norm for norm in NORMS if norm != "fixup" and not activates(NORMS[norm])])
def test_tokens_are_examples_of_norms_over_channels(norm):
    place = make(norm, pool="class").get_submodule("norm")
    assert place.each_token == (norm in ("layer", "rms", "group", "ws"))


@pytest.mark.parametrize("norm", ["layer", "rms", "group"])
def test_a_norm_over_channels_sees_each_token_alone(norm):
    place = make(norm).get_submodule("norm")
    x = torch.randn(2, 6, 16)
    assert torch.equal(place(x)[:, 2], place(x[:, 2:3])[:, 0])


def test_batch_and_instance_statistics_are_over_tokens():
    x = torch.randn(4, 6, 16, dtype=torch.float64)
    batch = LastAxisNorm(BatchNorm(16)).double()(x)
    expected = F.batch_norm(x.flatten(0, 1), None, None, training=True).view(x.shape)
    torch.testing.assert_close(batch, expected, rtol=1e-10, atol=1e-10)
    instance = LastAxisNorm(InstanceNorm(16))(x)
    torch.testing.assert_close(instance, (x - x.mean(1, True)) / (x.var(1, False, keepdim=True) + 1e-5).sqrt())


@pytest.mark.parametrize(
    ("norm", "placement", "biased"),
    [("layer", "peri", False), ("rms", "peri", True), ("layer", "pre", True), ("layer", "post", True)],
)
def test_bias_before_a_norm_only_where_that_does_not_shift(norm, placement, biased):
    network = make(norm, placement=placement)
    for path in ("attention.layer.out", "mlp.layer.contract"):
        assert (network.get_submodule(f"block1.{path}").bias is not None) == biased
    assert network.get_submodule("block1.attention.layer.key").bias is None


@pytest.mark.parametrize("pool", ["mean", "class"])
def test_biases_that_batch_norm_cancels_are_not_trained(pool):
    """All sums go into norms that subtract the mean of a feature; beside a class token the patches' bias counts."""
    network = make("batch", pool=pool)
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    blocks = {f"block{k}.{part}.bias" for k in (0, 1) for part in ("attention.layer.out", "mlp.layer.contract")}
    assert frozen == blocks | ({"embed.bias"} if pool == "mean" else set())


def test_learned_positions_and_weights_depend_on_the_seed():
    options, norm = {**SMALL, "positions": "learned"}, partial(NORMS["layer"])
    first, second = build_lanes(Choice.of("vit", options), norm, SHAPE, CLASSES, [0, 1])
    alone = make(seed=1, positions="learned")
    for (name, one), other in zip(second.named_parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, other), name
    table, other = (network.get_parameter("positions.table") for network in (first, second))
    assert not torch.equal(table, other)
    assert make(positions="learned", dim=512).get_parameter("positions.table").std().item() == pytest.approx(
        0.02, rel=0.05
    )


ON_ITS_OWN = [("layer", "pre", True), ("batch", "post", True), ("dyt", "peri", False), ("weight", "pre", False)]
REST = [(norm, "peri", True) for norm in ("rms", "group", "instance", "ghost", "grn", "ws", "spectral", "none")]


@pytest.mark.parametrize(
    ("norm", "placement", "learned"), [*ON_ITS_OWN, *(pytest.param(*case, marks=long) for case in REST)]
)
def test_networks_fold_into_one(norm, placement, learned):
    parts = {"positions": "learned", "pool": "class", "qk_norm": True} if learned else {}
    assert prove(lambda seed: make(norm, seed, placement=placement, **parts), SHAPE, 4) is None


def test_lanes_beside_each_other_are_refused():
    """Tokens have their features last: a stack on a GPU takes the lanes one after another in the batch."""
    assert prove(make_seeded, SHAPE, 4, wide=True) is not None


def make_seeded(seed):
    return make("layer", seed)


@pytest.mark.parametrize("norm", ["frn", "evonorm_b0", "evonorm_s0"])
def test_norms_with_an_activation_have_no_place(norm):
    with pytest.raises(Impossible, match=r"the norm holds its own activation .* a transformer has none there"):
        make(norm)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_mean_of_what_has_mean_zero_is_refused(placement):
    """Else the output would be the same for every image."""
    with pytest.raises(Impossible, match=r"norm=instance makes the mean .* choose model\.pool=class"):
        make("instance", placement=placement)
    network, x = make("instance", placement=placement, pool="class"), torch.randn(2, *SHAPE)
    assert (network(x)[0] - network(x)[1]).abs().max() > 0.01


def test_what_must_divide_is_refused_in_one_message():
    with pytest.raises(Impossible) as caught:
        make(patch=3, dim=18, heads=4)
    assert str(caught.value) == (
        "model.patch=3 must divide the image, which is 8x12: choose one of 1, 2, 4; "
        "model.heads=4 must divide model.dim=18: choose one of 1, 2, 3, 6, 9, 18; "
        "model.positions=sincos needs a multiple of 4 from 8 on as model.dim, which is 18: "
        "choose another one, or model.positions=learned"
    )


def test_all_problems_at_once():
    with pytest.raises(InvalidRequest) as caught:
        make(patch=0, dim=0, depth=0, heads=0, mlp_ratio=0, positions="sine", pool="max", placement="per")
    assert len(caught.value.problems) == 8
    assert "model.placement=per: did you mean 'peri'?" in str(caught.value)


def test_the_smallest_network_learns():
    assert_learns(make(), SHAPE, CLASSES, 30)


def test_first_weights():
    """Uniform within sqrt(6 / (fan_in + fan_out)), the patches' as the others."""
    network = make(dim=256, patch=2)
    for path, fans in (("embed", 12 + 256), ("block0.attention.layer.query", 512)):
        weight = network.get_parameter(f"{path}.weight")
        assert weight.std().item() == pytest.approx((2 / fans) ** 0.5, rel=0.03)
        assert weight.abs().max() <= (6 / fans) ** 0.5
