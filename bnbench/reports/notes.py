"""Notes under tables: how to read their entries, and what is not in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from bnbench.analysis.accuracy import Accuracy
from bnbench.analysis.baseline import Baseline, baseline_text, unmatched_settings
from bnbench.analysis.levels import Level, level_text
from bnbench.analysis.lr_choice import LearningRateChoice
from bnbench.analysis.rows import Rows, deciding, followers
from bnbench.analysis.trials import Trials, uncounted
from bnbench.text import listing, plural

CHANCE_NOTE = "div 3/3: all three seeds diverged, which counts as chance (1 / classes)."
UNSTABLE_NOTE = (
    "unstable, div 1/3: one of three seeds diverged, which rounding may decide at the edge of stability; numbers are of"
    " the n seeds that did not, nothing is compared with them, and such an lr is the best only where no stable one"
    " trains."
)
TOLD = 3
"""Values of a setting, and places of a value, that a note tells at most."""
EDGE_NOTE = "edge: the best lr is the lowest or highest of its grid; a wider grid may hold a better one."


def seeds_note(usual: int, noun: str) -> str:
    """The number of seeds behind the numbers."""
    if usual <= 1:
        return f"{noun} of one seed: no spread can be told."
    return f"{noun}: mean ± standard deviation over {usual} seeds (n is shown where there are fewer)."


def divergence_notes(accuracies: Iterable[Accuracy]) -> list[str]:
    """Notes on what diverged runs count as, where there are some."""
    diverged = [accuracy.unstable for accuracy in accuracies if accuracy.diverged]
    return [*([] if all(diverged) else [CHANCE_NOTE]), *([UNSTABLE_NOTE] if any(diverged) else [])]


def edge_notes(choices: Collection[LearningRateChoice]) -> list[str]:
    """A note on choices at the edge of their grid, where there are some."""
    return [EDGE_NOTE] if any(choice.edge for choice in choices) else []


def untuned_notes(rows: Rows) -> list[str]:
    """A note where all runs have one learning rate."""
    levels = rows.trials.levels["lr"]
    return [f"lr is {level_text(levels[0])} in every run: it was not tuned."] if len(levels) == 1 else []


def incomparable_note(baseline: Baseline) -> str:
    """The reason why there is no comparison."""
    return f"No comparison with {baseline_text(baseline)}: in this view it does not tell one row from another."


def unmatched_notes(rows: Rows, baseline: Baseline, compared: Mapping[int, int]) -> list[str]:
    """The reason why some rows are compared with nothing."""
    names = unmatched_settings(rows, baseline, compared)
    return [f"n/a: {baseline_text(baseline)} has no runs with the row's {listing(names)}."] if names else []


def runs_notes(rows: Rows) -> tuple[str, ...]:
    """The columns that vary along with what is shown, and the runs that are no results."""
    told = [f"{name} ({_spread(rows, name)})" for name in followers(rows)]
    follow = (f"Varies as well, but is fixed by what is shown: {listing(told)}.",) if told else ()
    return (*follow, *uncounted_notes(rows.trials))


def _spread(rows: Rows, name: str) -> str:
    """The values of a column with their places: ``1 with norm=rms, 5 elsewhere``."""
    places = deciding(rows, name)
    *fewer, usual = places
    told = [f"{level_text(level)} with {_shortened(places[level])}" for level in fewer[:TOLD]]
    if len(fewer) > TOLD:
        return f"{', '.join(told)}, ...; {len(places)} values"
    return f"{', '.join(told)}, {level_text(usual)} elsewhere"


def _shortened(places: Sequence[Sequence[tuple[str, Level]]]) -> str:
    """Places as they are typed: ``norm=rms,layer``; where several settings make one, ``norm=rms lr=1 or ...``."""
    texts = [" ".join(f"{name}={level_text(level)}" for name, level in place) for place in places[:TOLD]]
    if len(places[0]) == 1:
        texts = [",".join([texts[0], *(text.partition("=")[2] for text in texts[1:])])]
    more = len(places) - TOLD
    return " or ".join(texts) + (f" and {more} more" if more > 0 else "")


def uncounted_notes(trials: Trials) -> tuple[str, ...]:
    """The runs that are no results, by reason, the most frequent first; nothing if all of them are."""
    reasons = uncounted(trials)
    if not reasons:
        return ()
    ordered = sorted(((-number, reason.replace("_", " ")) for reason, number in reasons.items()))
    parts = [f"{-number:,} {reason}" for number, reason in ordered]
    count = sum(reasons.values())
    verb = "is" if count == 1 else "are"
    return (f"{count:,} of {plural(len(trials.frame), 'run')} {verb} not counted: {', '.join(parts)}.",)
