"""Pure functions of arrays: intervals, paired tests, times to a target, aggregates, and the rule for a verdict."""

from bnbench.stats.aggregates import interquartile_mean, probability_of_improvement
from bnbench.stats.bootstrap import bca_interval, studentized_interval
from bnbench.stats.censored import SurvivalCurve, expected_running_time, kaplan_meier
from bnbench.stats.claim import Claim
from bnbench.stats.decision import Decision, Verdict, decide, decide_together
from bnbench.stats.equivalence import equivalence_test, one_sided_t
from bnbench.stats.evidence import Estimand
from bnbench.stats.interval import ALPHA, CONFIDENCE, Estimate, Interval, seeds_needed
from bnbench.stats.mean import mean_interval
from bnbench.stats.median import median_interval, median_with_misses, sign_test
from bnbench.stats.multiplicity import benjamini_hochberg, holm
from bnbench.stats.power import detectable_effect
from bnbench.stats.profiles import performance_profile, profile_score, time_ratios
from bnbench.stats.proportion import success_rate
from bnbench.stats.sign_flip import sign_flip_interval, sign_flip_test
from bnbench.stats.speed_up import RatioKind, paired_speed_up, ratio_of_medians

__all__ = [
    "ALPHA",
    "CONFIDENCE",
    "Claim",
    "Decision",
    "Estimand",
    "Estimate",
    "Interval",
    "RatioKind",
    "SurvivalCurve",
    "Verdict",
    "bca_interval",
    "benjamini_hochberg",
    "decide",
    "decide_together",
    "detectable_effect",
    "equivalence_test",
    "expected_running_time",
    "holm",
    "interquartile_mean",
    "kaplan_meier",
    "mean_interval",
    "median_interval",
    "median_with_misses",
    "one_sided_t",
    "paired_speed_up",
    "performance_profile",
    "probability_of_improvement",
    "profile_score",
    "ratio_of_medians",
    "seeds_needed",
    "sign_flip_interval",
    "sign_flip_test",
    "sign_test",
    "studentized_interval",
    "success_rate",
    "time_ratios",
]
