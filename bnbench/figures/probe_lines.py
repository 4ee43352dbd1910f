"""Figures of what probes measured inside runs: gradients by layer, drift of activations, the loss along a step."""

from __future__ import annotations

import pandas as pd

from bnbench.analysis import RowsAtBest
from bnbench.analysis.probe_readings import drifts, gradient_norms, landscapes
from bnbench.figures.assembly import Sheet, assembled, seeds
from bnbench.figures.charts import Spec, chart, decades, faint, layer, legend, only, quantity, records, series, steps
from bnbench.figures.figure import Figure
from bnbench.figures.places import Place, places_by_part, places_of

PAUSES = {"first": "before training", "last": "at the end"}


def gradient_norm(runs: RowsAtBest, probes: pd.DataFrame) -> Figure | str:
    """Norm of each layer's gradient, before training and at its end; the reason where there is nothing to draw.

    Args:
        runs: rows at their learning rates.
        probes: as in probes.csv.
    """
    frame = gradient_norms(runs.runs, probes)
    frame = frame[frame["low"] > 0].assign(part=frame["pause"])
    if frame.empty:
        return "the probe gradient_flow measured nothing"
    sheet = Sheet(
        "gradient-norms",
        "Gradient norm by layer",
        "Norm of the gradient of the loss by the weights of each layer, from the input on (logarithmic): mean and, as a"
        f" band, the lowest and highest of the seeds; {seeds(frame['n'])}.",
        "gradient norm by layer",
        {"pause": "pause", "place": "place", "layer": "layer", **_over_seeds("gradient_norm")},
    )
    titles = {pause: title for pause, title in PAUSES.items() if (frame["part"] == pause).any()}

    def draw(place: Place, part: pd.DataFrame, others: pd.DataFrame) -> Spec:
        x = quantity("x", "layer with weights, from the input", "d", scale={"nice": False}, axis={"tickMinStep": 1})
        y = decades("y", "gradient norm", part, others)
        return banded(place, part, others, "place", {"x": x, "y": y})

    return assembled(sheet, frame, places_by_part(runs.rows, frame, titles), draw)


def drift(runs: RowsAtBest, probes: pd.DataFrame) -> Figure | str:
    """Drift of the inputs of activation functions by step; the reason where there is nothing to draw.

    Args:
        runs: rows at their learning rates.
        probes: as in probes.csv.
    """
    frame = drifts(runs.runs, probes)
    if frame.empty:
        return "the probe covariate_shift_distribution measured nothing"
    sheet = Sheet(
        "covariate-shift",
        "Drift of activations",
        "Distance of the 15th, 50th and 85th percentile of the inputs of activation functions from where they were"
        " before training, in standard deviations of the unit there, averaged over units: mean and, as a band, the"
        f" lowest and highest of the seeds; {seeds(frame['n'])}.",
        "drift of activations by training step",
        {"step": "step", **_over_seeds("drift_sd")},
    )

    def draw(place: Place, part: pd.DataFrame, others: pd.DataFrame) -> Spec:
        y = quantity("y", "drift (standard deviations)", scale={"zero": True})
        return banded(place, part, others, "step", {"x": steps("x"), "y": y})

    return assembled(sheet, frame, places_of(runs.rows, set(frame["row"])), draw)


def landscape(runs: RowsAtBest, probes: pd.DataFrame) -> Figure | str:
    """How much the loss varies along its gradient, by step; the reason where there is nothing to draw.

    Args:
        runs: rows at their learning rates.
        probes: as in probes.csv.
    """
    frame = landscapes(runs.runs, probes)
    frame = frame.assign(low=frame["lowest"], high=frame["highest"], mean=frame["loss"])
    if frame.empty:
        return "the probe landscape measured nothing"
    sheet = Sheet(
        "landscape",
        "Loss along its gradient",
        "Loss of a training batch and, as a band, its lowest and highest value at half to four learning rates along the"
        f" gradient (logarithmic); means over {seeds(frame['n'])}.",
        "loss along its gradient by training step",
        {"step": "step", "loss": "loss", "lowest": "loss_lowest", "highest": "loss_highest", "n": "seeds"},
    )

    def draw(place: Place, part: pd.DataFrame, others: pd.DataFrame) -> Spec:
        at = {"x": steps("x"), "y": decades("y", "loss", part, others)}
        return banded(place, part, others, "step", at, edges=True)

    return assembled(sheet, frame[frame["low"] > 0], places_of(runs.rows, set(frame["row"])), draw)


def _over_seeds(name: str) -> dict[str, str]:
    return {"mean": f"{name}_mean", "low": f"{name}_lowest", "high": f"{name}_highest", "n": "seeds"}


def banded(
    place: Place, part: pd.DataFrame, others: pd.DataFrame, across: str, at: dict[str, Spec], edges: bool = False
) -> Spec:
    """Lines of ``mean`` with bands from ``low`` to ``high``.

    Args:
        place: the panel.
        part: the lines of its members.
        others: those of the rows behind.
        across: the column of the axis below.
        at: both axes.
        edges: whether bands have lines around them, so that they are told apart where they overlap.
    """
    style = series(place.members)
    band = {"x": at["x"], "y": {**at["y"], "field": "low"}, "y2": {"field": "high"}, **only(style, "color")}
    lines = records(part, x=across, y="mean", s="s")
    around = [records(part, x=across, y=end, s="s") for end in ("low", "high")] if edges else []
    return chart(
        [
            faint(records(others, x=across, y="mean", s="s"), at["x"], at["y"]),
            layer("area", records(part, x=across, low="low", high="high", s="s"), band, opacity=0.1 if edges else 0.18),
            *(layer("line", edge, {**at, **only(style, "color")}, strokeWidth=0.8, opacity=0.8) for edge in around),
            layer("line", lines, {**at, **only(style, "color", "strokeDash")}),
            layer("point", lines, {**at, **only(style, "color", "shape")}),
            *legend(place.members),
        ]
    )
