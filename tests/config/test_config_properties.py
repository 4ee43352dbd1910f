"""Laws of the grid, on random requests."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from bnbench.components import components
from bnbench.config import compose_request
from bnbench.spec import flatten, run_id

VALUES = {
    "norm": ["batch", "group", "layer", "none"],
    "model": ["cnn", "mlp"],
    "lr": ["0.1", "0.2", "0.5", "1"],
    "seed": ["0", "1", "2", "3"],
    "batch_size": ["2", "8", "32"],
    "optim.weight_decay": ["0", "1e-4"],
    "drop_last": ["true", "false"],
    "schedule": ["constant", "cosine"],
    "split.train": ["null", "100"],
}
OPTIONS = {"norm.groups": ["2", "4"], "norm.momentum": ["0.1", "0.5"], "optim.beta1": ["0.5", "0.9"]}

factors = st.fixed_dictionaries(
    {}, optional={key: st.lists(st.sampled_from(values), min_size=1, unique=True) for key, values in VALUES.items()}
)
checked = settings(max_examples=60, deadline=None)


def specs(chosen, zips=(), excludes=()):
    request = compose_request(texts(chosen), components(), zips, excludes)
    assert request.problems == ()
    return request.specs


def texts(chosen):
    return [f"{key}={','.join(values)}" for key, values in chosen.items()]


@checked
@given(factors)
def test_the_grid_is_the_product_and_its_runs_are_distinct(chosen):
    found = specs(chosen)
    assert len(found) == math.prod(map(len, chosen.values()))
    assert len(set(found)) == len({run_id(spec) for spec in found}) == len(found)


@checked
@given(factors, st.sampled_from(sorted(OPTIONS)), st.randoms(use_true_random=False))
def test_the_order_of_overrides_does_not_change_the_runs(chosen, option, random):
    chosen = {**chosen, "norm": ["batch", "group"], "optim": ["sgd", "adam"], option: OPTIONS[option]}
    shuffled = random.sample(list(chosen.items()), len(chosen))
    assert set(specs(dict(shuffled))) == set(specs(chosen))
    assert len(specs(chosen)) == math.prod(len(values) for key, values in chosen.items() if key != option) * 3 // 2


@checked
@given(factors, st.integers(1, 3))
def test_a_zip_is_the_diagonal_of_the_product(chosen, length):
    rest = {key: values for key, values in chosen.items() if key not in ("lr", "seed")}
    zipped = {key: VALUES[key][:length] for key in ("lr", "seed")}
    found = specs(rest, [" ".join(texts(zipped))])
    assert len(found) == length * math.prod(map(len, rest.values()))
    pairs = [(float(lr), int(seed)) for lr, seed in zip(*zipped.values(), strict=True)]
    assert set(found) == {spec for spec in specs({**rest, **zipped}) if (spec.lr, spec.seed) in pairs}


@checked
@given(factors, factors)
def test_an_exclusion_divides_the_runs(chosen, condition):
    chosen = {**chosen, "seed": ["0", "9"]}
    condition = {key: values for key, values in condition.items() if key != "seed"}
    everything = specs(chosen)
    kept = specs(chosen, excludes=[" ".join(texts({**condition, "seed": ["0"]}))])
    assert [spec for spec in everything if spec in set(kept)] == list(kept)
    # what two exclusions remove together is what either removes
    both = [f"seed=0 {' '.join(texts(condition))}", "seed=9"]
    assert set(compose_request(texts(chosen), components(), (), both).specs) == {
        spec for spec in kept if spec.seed == 0
    }
    for spec in set(everything) - set(kept):
        row = flatten(spec)
        assert row["seed"] == 0
        assert all(any(same(row[key], text) for text in options) for key, options in condition.items())


def same(value, text):
    words = {"true": True, "false": False, "null": None}
    if text in words or value is None:
        return text in words and value is words[text]
    return value == text if isinstance(value, str) else value == float(text)


@checked
@given(st.text(max_size=30))
def test_any_text_is_a_run_or_a_problem(text):
    request = compose_request([text], components(), [text], [text])
    assert request.problems
