"""The estimated time is the sum of what a later process has to do, whatever this one did to find it out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnbench.session import Estimate
from bnbench.session.timing import ENOUGH_KINDS, _shares
from bnbench.spec import kind_key, run_id
from tests.conftest import make_spec
from tests.products import long

SLEEP = 8.0
PROGRAM = """
import json, sys, time
from dataclasses import asdict
from bnbench import session
from bnbench.environment import age
{delay}
real = session.estimate

def estimate(plan, resources):
    before = age()
    answer = real(plan, resources)
    facts = {{"age": before, "later": age(), "seconds": answer.seconds}}
    json.dump({{**asdict(answer), **facts}}, open("estimate.json", "w"))
    return answer

session.estimate = estimate
from bnbench.cli import main
main()
"""
TRYING = """
from bnbench.plan import feasibility
tried = feasibility.obstacles
feasibility.obstacles = lambda *parts: (time.sleep({seconds}), tried(*parts))[1]
"""
IMPORTING = """
import importlib
load = importlib.import_module

def load_slowly(name, package=None):
    time.sleep({seconds} if name == "bnbench.plan.feasibility" else 0)
    return load(name, package)

importlib.import_module = load_slowly
"""
COMPOSING = """
from bnbench.session import planning
compose = planning.compose_request
planning.compose_request = lambda *parts: (time.sleep({seconds}), compose(*parts))[1]
"""
PROVING = """
from bnbench.plan import proofs
prove = proofs.prove
proofs.prove = lambda *parts: (time.sleep({seconds}), prove(*parts))[1]
"""
DELAYS = {
    "nothing": "",
    "trying networks": TRYING,
    "importing torch": IMPORTING,
    "composing": COMPOSING,
    "proving": PROVING,
}
SWEEP = ("sweep", "--name", "s", "model=mlp", "model.depth=1", "model.width=8", "steps=2", "seed=0,1", "--dry-run")


def parts(here: Path, slow: str) -> dict[str, float]:
    """The parts of an estimate with a delay at something, and the ages of the process before and behind it."""
    program = PROGRAM.format(delay=DELAYS[slow].format(seconds=SLEEP))
    cache, path = str(here / "cache"), os.pathsep.join(sys.path)
    environment = {**os.environ, "XDG_CACHE_HOME": cache, "PYTHONPATH": path, "BNBENCH_NATIVE": "off"}
    subprocess.run([sys.executable, "-c", program, *SWEEP], cwd=here, env=environment, check=True, timeout=300)
    answer: dict[str, float] = json.loads((here / "estimate.json").read_text())
    return answer


def test_it_is_the_sum():
    estimate = Estimate(planning=1, loading=20, dividing=300, starting=4000, training=50000)
    assert estimate.seconds == 54321 + estimate.ending and 0 < estimate.ending < 20


@long
@pytest.mark.parametrize(
    ("slow", "part"),
    [("importing torch", "loading"), ("trying networks", None), ("composing", "planning")],
)
def test_a_delay_counts_where_the_later_process_has_it_as_well(tmp_path: Path, slow: str, part: str | None):
    told = parts(tmp_path, slow)
    assert told["age"] > SLEEP
    for name in ("planning", "loading"):
        if name == part:
            assert SLEEP <= told[name]
    if part != "planning":
        assert told["planning"] <= told["age"] - SLEEP
    assert told["seconds"] >= told["planning"] + told["loading"] + told["training"]


@long
def test_a_proof_that_is_kept_is_no_part_of_it(tmp_path: Path):
    told = parts(tmp_path, "proving")
    assert told["later"] - told["age"] > SLEEP > told["dividing"]


def test_asked_again_it_is_another_planning_and_the_same_rest(tmp_path: Path):
    first, again = (parts(tmp_path, "nothing") for _ in range(2))
    remembered = ("loading", "dividing", "starting", "training", "engines")
    assert {name: first[name] for name in remembered} == {name: again[name] for name in remembered}
    assert first["loading"] > 0 and first["training"] > 0
    assert again["age"] <= again["planning"] <= again["later"]
    assert first["planning"] < first["age"] - 0.5 * first["loading"]


@pytest.mark.parametrize(("kinds", "is_dealt"), [(1, False), (2 * ENOUGH_KINDS - 1, False), (2 * ENOUGH_KINDS, True)])
def test_each_stack_is_measured_by_one_process_if_there_are_enough_kinds_and_else_by_all(kinds: int, is_dealt: bool):
    made = [make_spec(f"batch_size={8 + kind}", f"lr={lr}") for kind in range(kinds) for lr in (0.1, 0.2)]
    specs = {run_id(spec): spec for spec in made}
    stacks = [(identity,) for identity in specs]
    shares = _shares(specs, stacks, 2)
    if not is_dealt:
        assert shares == [stacks, stacks]
        return
    assert sorted(stack for share in shares for stack in share) == sorted(stacks)
    first, second = ({kind_key(specs[stack[0]]) for stack in share} for share in shares)
    assert not first & second and len(first) == len(second) == kinds // 2
