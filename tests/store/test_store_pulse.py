"""How far runs are that are being trained, as their segments tell."""

from pathlib import Path

from bnbench.spec import run_id
from bnbench.store import Segment, enter_runs, pulses
from tests.store.sweeps import FACTS, evaluations, final, make_spec

LATER = {**FACTS, "started_at": "2026-01-01T00:01:00.000+00:00"}
BEGAN = 1767225600.0


def test_the_stack_that_began_last_is_as_far_as_its_last_evaluation(tmp_path: Path) -> None:
    specs = [make_spec(seed) for seed in range(5)]
    names = [run_id(spec) for spec in specs]
    enter_runs(tmp_path, specs, {}, {})
    assert pulses(tmp_path) == {}
    with Segment(tmp_path, "one") as segment, Segment(tmp_path, "two") as another:
        segment.start(specs[:2], FACTS)
        first = pulses(tmp_path)
        assert first.keys() == set(names[:2])
        assert {(pulse.began, pulse.step, pulse.evaluated) for pulse in first.values()} == {(BEGAN, 0, BEGAN)}
        rows = evaluations(specs[0])
        segment.evaluation(rows[:2])
        assert {pulses(tmp_path)[name].step for name in names[:2]} == {rows[1]["step"]}
        assert pulses(tmp_path)[names[1]].epoch == rows[1]["epoch"] and pulses(tmp_path)[names[1]].evaluated > BEGAN
        segment.finish([final(specs[0])])
        assert pulses(tmp_path).keys() == {names[1]}
        segment.finish([final(specs[1])])
        another.start(specs[2:3], FACTS)
        segment.start(specs[3:], LATER)
        later = pulses(tmp_path)
        assert {name: (pulse.began, pulse.step) for name, pulse in later.items()} == {
            names[2]: (BEGAN, 0), names[3]: (BEGAN + 60, 0), names[4]: (BEGAN + 60, 0),
        }  # fmt: skip
