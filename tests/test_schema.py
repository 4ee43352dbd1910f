"""The schema that ships with the package says what the code and conf/ say, and makes the same runs."""

from dataclasses import replace
from functools import cache

import pytest

from bnbench.components import BUILT_IN
from bnbench.config import compose_request
from bnbench.config.build import make_part
from bnbench.config.hydra import composed
from bnbench.schema import SHIPPED, Known, built_in, encode
from bnbench.schema.convert import convert
from bnbench.schema.fields import option_types
from bnbench.schema_writer import current
from bnbench.spec import run_id, stack_key
from bnbench.store.segment import write_specs
from tests.products import long


def test_the_shipped_schema_is_what_the_code_says():
    now = current()
    assert SHIPPED.read_text(encoding="utf-8") == encode(now), "the code says something else by now: run make schema"
    assert built_in() == now


@cache
def part(group, name):
    """From conf/ and the live class."""
    types = option_types(group, BUILT_IN[group][name])
    options = composed(group, name)[0][group]
    return make_part(group, name, {option: convert(types[option], value) for option, value in options.items()})


@pytest.mark.parametrize(
    "model", ["mlp", "torchvision", pytest.param("cnn", marks=long), pytest.param("resnet20", marks=long)]
)
def test_runs_are_those_of_hydra_and_the_signatures(tmp_path, model):
    """Identity: byte by byte the same spec files and run ids as from conf/ and the live classes."""
    request = compose_request(["norm=glob(*)", f"model={model}"], Known())
    assert [spec.norm.name for spec in request.specs] == sorted(BUILT_IN["norm"])
    for spec in request.specs:
        live = replace(spec, norm=part("norm", spec.norm.name), model=part("model", model))
        texts = []
        for folder, one in (("shipped", spec), ("live", live)):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_specs(tmp_path / folder, [one])
            texts.append((tmp_path / folder / "specs" / f"{run_id(one)}.yaml").read_bytes())
        assert texts[0] == texts[1]
        assert (run_id(spec), stack_key(spec)) == (run_id(live), stack_key(live))
