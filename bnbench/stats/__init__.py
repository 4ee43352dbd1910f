"""Pure functions of arrays: intervals, paired tests, times to a target, aggregates, and the rule for a verdict."""

from bnbench.stats.aggregates import interquartile_mean, probability_of_improvement, relative_interquartile_mean
from bnbench.stats.censored import SurvivalCurve, expected_running_time, kaplan_meier
from bnbench.stats.claim import Claim
from bnbench.stats.decision import Decision, decide, decide_together
from bnbench.stats.divergence import Divergence, Trained
from bnbench.stats.draws import Draws, most_claims
from bnbench.stats.evidence import Estimand
from bnbench.stats.interval import ALPHA, CONFIDENCE, Estimate, Interval, fewest_replicates
from bnbench.stats.mean import mean_interval
from bnbench.stats.median import median_interval, median_with_misses, sign_test
from bnbench.stats.multiplicity import benjamini_hochberg, holm
from bnbench.stats.power import detectable_effect, replicates_needed
from bnbench.stats.profiles import LARGEST_RATIO, performance_profile, profile_score, time_ratios
from bnbench.stats.proportion import success_rate
from bnbench.stats.sign_flip import sign_flip_interval, sign_flip_test
from bnbench.stats.speed_up import RatioKind, ratio_of_medians, speed_up_bounds
from bnbench.stats.verdict import Verdict

__all__ = [
    "ALPHA",
    "CONFIDENCE",
    "LARGEST_RATIO",
    "Claim",
    "Decision",
    "Divergence",
    "Draws",
    "Estimand",
    "Estimate",
    "Interval",
    "RatioKind",
    "SurvivalCurve",
    "Trained",
    "Verdict",
    "benjamini_hochberg",
    "decide",
    "decide_together",
    "detectable_effect",
    "expected_running_time",
    "fewest_replicates",
    "holm",
    "interquartile_mean",
    "kaplan_meier",
    "mean_interval",
    "median_interval",
    "median_with_misses",
    "most_claims",
    "performance_profile",
    "probability_of_improvement",
    "profile_score",
    "ratio_of_medians",
    "relative_interquartile_mean",
    "replicates_needed",
    "sign_flip_interval",
    "sign_flip_test",
    "sign_test",
    "speed_up_bounds",
    "success_rate",
    "time_ratios",
]
