"""How far runs are that are being trained, as their segments tell."""

import os
from pathlib import Path

import pytest

from bnbench.spec import run_id
from bnbench.store import Segment, Segments, Silences, enter_runs, pulses
from tests.store.sweeps import FACTS, evaluations, final, make_spec

LATER = {**FACTS, "started_at": "2026-01-01T00:01:00.000+00:00"}
BEGAN = 1767225600.0


@pytest.mark.parametrize("follows", [False, True])
def test_the_stack_that_began_last_is_as_far_as_its_last_evaluation(tmp_path: Path, follows: bool) -> None:
    """Whether all rows are read at each look, or those that were appended since the one before."""
    followed = Segments(tmp_path)

    def segments() -> Segments:
        return followed if follows else Segments(tmp_path)

    specs = [make_spec(seed) for seed in range(5)]
    names = [run_id(spec) for spec in specs]
    enter_runs(tmp_path, specs, {}, {})
    assert pulses(segments()) == Silences(segments()).look() == {}
    with Segment(tmp_path, "one") as segment, Segment(tmp_path, "two") as another:
        segment.start(specs[:2], FACTS)
        first = pulses(segments())
        assert first.keys() == set(names[:2])
        assert {(pulse.began, pulse.step, pulse.evaluated) for pulse in first.values()} == {(BEGAN, 0, BEGAN)}
        rows = evaluations(specs[0])
        segment.evaluation(rows[:2])
        assert {pulses(segments())[name].step for name in names[:2]} == {rows[1]["step"]}
        assert pulses(segments())[names[1]].epoch == rows[1]["epoch"] and pulses(segments())[names[1]].evaluated > BEGAN
        segment.finish([final(specs[0])])
        assert pulses(segments()).keys() == Silences(segments()).look().keys() == {names[1]}
        segment.finish([final(specs[1])])
        another.start(specs[2:3], FACTS)
        segment.start(specs[3:], LATER)
        later = pulses(segments())
        assert {name: (pulse.began, pulse.step) for name, pulse in later.items()} == {
            names[2]: (BEGAN, 0), names[3]: (BEGAN + 60, 0), names[4]: (BEGAN + 60, 0),
        }  # fmt: skip
        assert Silences(segments()).look().keys() == later.keys()
        another.finish([final(specs[3])])  # the session itself tells of a run whose worker died
        assert Silences(segments()).look().keys() == {names[2], names[4]}
        path = tmp_path / "segments" / "one.runs.csv"
        os.truncate(path, path.read_bytes().index(names[1].encode()))
        assert Silences(segments()).look().keys() == {names[0], names[2]}
