"""The figure of a reading: each arm to be found, and told from its neighbours, however many there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bnbench.comparison import Arm, ask, pairs_of
from bnbench.comparison.forests import forests
from bnbench.comparison.views import OUTCOMES
from bnbench.figures import Figure, Panel
from bnbench.stats import Decision, Interval
from bnbench.study import Row
from bnbench.study.questions import load_questions

ARMS = ("none", "sync", "ghost", "renorm", "precise", "group", "layer", "rms", "frn", "dyt", "ws", "weight", "fixup")


def _figure(effects: Mapping[str, float], rivals: tuple[str, ...], reading: str = "accuracy") -> Figure:
    """The figure of a reading in which each arm has its effect against each rival, 0.01 to either side."""
    arms, others = ([Arm(name, (f"norm={name}",)) for name in names] for names in (effects, rivals))
    (one,) = ask(load_questions(["convergence"]), [*arms, *others], pairs_of(arms, others), "cpu")
    rows = []
    for claim in one.study.claims:
        effect = effects[claim.compare[0]]
        decision = Decision(
            "supported", "", effect, Interval(effect, effect), None, 0.0, 1.0, 0.0, 1.0, 22, "mean", None
        )
        rows.append(Row("convergence", claim, decision, effect, effect - 0.01, effect + 0.01, {}, {}, {}))
    rows = [row for row in rows if row.claim.name.startswith(f"{reading}: ")]
    (figure,) = forests([(f"{reading}: How?", rows)], OUTCOMES).values()
    assert isinstance(figure, Figure)
    return figure


def _labels(panel: Panel) -> list[str]:
    return next(found for layer in panel.chart["layer"] if (found := layer["encoding"].get("y", {}).get("sort")))


def _domain(panel: Panel) -> list[float]:
    found: Any = panel.chart["layer"][0]["encoding"]["x"]["scale"]["domain"]
    return list(found)


def test_arms_against_one_stand_in_order_the_best_first():
    effects = {arm: place / 100 for place, arm in enumerate(ARMS)}
    figure = _figure(effects, ("batch",))
    (panel,) = figure.panels
    assert _labels(panel) == list(reversed(ARMS)) and panel.title.startswith("Against batch.")
    fewer_steps = _figure({arm: 1 + place for place, arm in enumerate(ARMS)}, ("batch",), reading="steps")
    assert _labels(fewer_steps.panels[0]) == list(ARMS)


def test_many_pairs_have_a_panel_per_rival():
    figure = _figure(dict.fromkeys(ARMS, 0.0), ("batch", "instance"))
    assert [panel.name for panel in figure.panels] == ["batch", "instance"]
    assert all(len(_labels(panel)) == len(ARMS) for panel in figure.panels)
    assert len(figure.data) == 2 * len(ARMS) and set(figure.data["panel"]) == {"batch", "instance"}


def test_few_pairs_share_a_panel():
    (panel,) = _figure({"none": 0.1, "layer": 0.2}, ("batch", "rms")).panels
    assert _labels(panel) == ["none: against batch", "none: against rms", "layer: against batch", "layer: against rms"]


def test_one_arm_far_out_does_not_squash_the_others():
    """Twelve arms within three points of batch, one 80 below: it is at the end of the axis, with an arrow."""
    effects = {arm: place / 400 for place, arm in enumerate(ARMS)} | {"fixup": -0.8}
    low, high = _domain(_figure(effects, ("batch",)).panels[0])
    assert -0.1 < low < -0.01 and 0.03 < high < 0.1
    assert math.isclose(_figure(effects, ("batch",)).data["effect"].min(), -0.8)


def test_an_axis_has_room_for_no_effect():
    low, _ = _domain(_figure({arm: 0.5 + place / 400 for place, arm in enumerate(ARMS)}, ("batch",)).panels[0])
    assert low < -0.01
