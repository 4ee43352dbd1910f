"""The measures by the name under which a study's file asks for them."""

from __future__ import annotations

from bnbench.study.evaluation_measures import FinalAccuracy, GeneralizationGap, StepsToTarget
from bnbench.study.lr_curve import LargestLearningRate, UsableDecades
from bnbench.study.measure import Measure
from bnbench.study.probe_measures import PercentileDrift, ProbeValue

MEASURES: dict[str, type[Measure]] = {
    "test_accuracy": FinalAccuracy,
    "steps_to_target": StepsToTarget,
    "generalization_gap": GeneralizationGap,
    "usable_decades": UsableDecades,
    "largest_lr": LargestLearningRate,
    "probe": ProbeValue,
    "percentile_drift": PercentileDrift,
}
