"""A forest plot per reading: an effect and its interval for each pair of arms, in panels where there are many pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bnbench.figures import Figure
from bnbench.figures.places import distinct, slug
from bnbench.figures.scorecard import MANY, scorecard
from bnbench.stats import Verdict
from bnbench.study import Row
from bnbench.study.views import with_units


def forests(decided: Sequence[tuple[str, Sequence[Row]]], words: Mapping[Verdict, str]) -> dict[str, Figure | str]:
    """The figure of each reading, by its name in files; in place of it the reason where there is nothing to draw.

    Args:
        decided: what each reading is called (``accuracy: How accurate is it?``), with a row per pair.
        words: for each verdict.
    """
    figures: dict[str, Figure | str] = {}
    for head, rows in decided:
        name, figure = slug(head.partition(":")[0]), _forest(rows, words)
        figures[name] = figure if isinstance(figure, str) else replace(figure, name=name, title=head)
    return figures


def _forest(rows: Sequence[Row], words: Mapping[Verdict, str]) -> Figure | str:
    """All pairs in one panel; of many, or all against one arm, a panel per arm that others are compared with."""
    pairs = [row.claim.compare for row in rows]
    rivals = dict.fromkeys(other for _, other in pairs)
    table = with_units(rows).assign(verdict=[words[row.decision.verdict] for row in rows])
    if 1 < len(rivals) and len(pairs) <= MANY:
        return scorecard(
            table.assign(study=[arm for arm, _ in pairs], claim=[f"against {other}" for _, other in pairs])
        )
    table = table.assign(study="", claim=[arm for arm, _ in pairs])
    best_first = table.sort_values("effect", ascending=rows[0].claim.expect == "lower", kind="stable")
    against = pd.Series([other for _, other in pairs], index=table.index)
    parts = {rival: scorecard(best_first[against[best_first.index] == rival]) for rival in rivals}
    return _together({rival: figure for rival, figure in parts.items() if isinstance(figure, Figure)})


def _together(figures: Mapping[str, Figure]) -> Figure:
    """One figure with the panel of each, and with its lines under the name of the panel."""
    names = distinct([slug(rival) for rival in figures], "-{}")
    panels, tables = [], []
    for name, (rival, figure) in zip(names, figures.items(), strict=True):
        (panel,) = figure.panels
        panels.append(replace(panel, name=name, title=f"Against {rival}. {panel.title}"))
        tables.append(figure.data.assign(panel=name))
    first = next(iter(figures.values()))
    return replace(first, panels=tuple(panels), data=pd.concat(tables, ignore_index=True))
