"""The most important results in plain sentences, each true whatever the runs did: one run, none, or all diverged."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

import pandas as pd

from bnbench.analysis import Convergence, LearningRateCurves, SmallBatch
from bnbench.analysis.convergence import TargetTimes
from bnbench.analysis.factors import head
from bnbench.analysis.levels import level_text
from bnbench.analysis.rows import Rows, heads, labels
from bnbench.analysis.small_batch import Difference
from bnbench.reports.wording import count, percent, target
from bnbench.text import general, listing, plural

FEW = 3
"""Rows, datasets and groups that a sentence names at most."""
MOST_BLOCKS = 6
"""Groups of rows that a sentence names at most, each in few words."""
BLOCK = ("dataset", "model", "batch_size")
"""Settings at which numbers of steps can be compared; so are those of the data."""


def _names(rows: Rows, without: Collection[str] = ()) -> dict[int, str]:
    """Rows as people name them: ``batch_size=4 norm=group groups=4``; less some columns."""
    titles = heads(rows, without)
    if not titles:
        return {int(row): "the only row" for row in rows.keys.index.tolist()}
    return {
        row: " ".join(f"{title}={word}" for title, word in zip(titles, words, strict=True))
        for row, words in labels(rows, without).items()
    }


def _blocks(rows: Rows) -> dict[int, tuple[int, ...]]:
    """The codes of each row in what numbers of steps depend on."""
    names = [name for name in rows.keys if name in BLOCK or head(str(name)) in ("dataset", "data")]
    lines = zip(rows.keys.index.tolist(), rows.keys[names].to_numpy().tolist(), strict=True)
    return {row: tuple(codes) for row, codes in lines}


def _few(names: Sequence[str]) -> str:
    more = [f"{len(names) - FEW} more"] if len(names) > FEW else []
    return listing([*names[:FEW], *more])


def convergence_sentences(numbers: Convergence) -> Iterator[str]:
    """The row with the highest accuracy on each dataset, and those that are the first to reach the highest target."""
    places = {times.dataset: times for times in sorted(numbers.targets, key=lambda times: times.target)}
    for times in [*places.values()][:FEW]:
        yield from _highest(numbers, times, place=f"On {level_text(times.dataset)}, " if len(places) > 1 else "")
    for times in [*places.values()][:FEW]:
        yield _fastest(numbers, times, place=f" on {level_text(times.dataset)}" if len(places) > 1 else "")


def _highest(numbers: Convergence, times: TargetTimes, place: str) -> Iterator[str]:
    """The stable row with the highest mean, and how far it is above the baseline's or else the next of its block."""
    names, blocks, chances = _names(numbers.rows), _blocks(numbers.rows), numbers.rows.keys["chance"]
    means = {row.row: row.val for row in times.rows if row.val is not None and row.val.n and not row.unstable}
    ranked = sorted(means, key=lambda row: -means[row].mean)
    if not ranked or means[ranked[0]].mean <= chances[ranked[0]]:
        return
    first, accuracy = ranked[0], means[ranked[0]]
    baseline = numbers.compared.get(first, first)
    beside = [baseline] if baseline != first and baseline in means else []
    beside += [row for row in ranked[1:] if blocks[row] == blocks[first]] + ranked[1:]
    spread = "" if accuracy.sd is None else f" ± {percent(accuracy.sd)}"
    text = f"{percent(accuracy.mean)}{spread}% ({plural(accuracy.n, 'seed')})"
    more = f", {_points(accuracy.mean - means[beside[0]].mean)} above {names[beside[0]]}" if beside else ""
    start = f"{place}the" if place else "The"
    yield f"{start} highest mean validation accuracy is that of {names[first]}: {text}{more}."


def _points(difference: float) -> str:
    return f"{percent(difference)} points" if difference >= 5e-4 else "less than 0.1 points"


def _fastest(numbers: Convergence, times: TargetTimes, place: str) -> str:
    """The stable rows that need the fewest steps, in each group of rows whose steps can be compared."""
    names, block_of = _names(numbers.rows), _blocks(numbers.rows)
    goal = f"{target(times.target)} validation accuracy{place}"
    blocks: dict[tuple[int, ...], dict[int, float]] = {}
    for row in times.rows:
        if row.times is not None and not row.unstable and math.isfinite(row.times.median["step"]):
            blocks.setdefault(block_of[row.row], {})[row.row] = row.times.median["step"]
    if not blocks:
        return f"No row reached {goal} with most of its seeds."
    firsts = [[row for row, steps in some.items() if steps == min(some.values())] for some in blocks.values()]
    fewest = [count(min(some.values())) for some in blocks.values()]
    if len(blocks) == 1:
        return f"The fastest to {goal}: {_few([names[row] for row in firsts[0]])} ({fewest[0]} steps in the median)."
    members = {block: [row.row for row in times.rows if block_of[row.row] == block] for block in blocks}
    parts = [
        f"{_within(numbers.rows, rows, members[block])} ({steps})"
        for block, rows, steps in zip(blocks, firsts, fewest, strict=True)
    ]
    more = [f"and {plural(len(parts) - MOST_BLOCKS, 'more place')}"] if len(parts) > MOST_BLOCKS else []
    return f"The fastest to {goal}, with their median steps: {'; '.join([*parts[:MOST_BLOCKS], *more])}."


def _within(rows: Rows, firsts: Sequence[int], members: Sequence[int]) -> str:
    """The first rows among those of a block: ``at batch_size=2 norm=none and norm=group``."""
    here, others = _names(rows, without=_rest(rows)), _names(rows, without=BLOCK)
    is_named = bool(heads(rows, without=_rest(rows)))
    if not is_named or len({here[row] for row in members}) > 1:  # data, or models, of one name and several options
        return _few([_names(rows)[row] for row in firsts])
    if len(firsts) == len(members):
        return f"at {here[firsts[0]]}" + (f" all {len(members)} rows" if len(members) > 1 else "")
    return f"at {here[firsts[0]]} {_few([others[row] for row in firsts])}"


def _rest(rows: Rows) -> tuple[str, ...]:
    """All that names a row but what its block is, and the dataset, which is told before."""
    return tuple(title for title in heads(rows) if title not in BLOCK[1:])


def learning_rate_sentences(numbers: LearningRateCurves) -> Iterator[str]:
    """The rows with the widest range of usable learning rates."""
    widths = {row: width for row in numbers.curves if (width := numbers.usable(row)) is not None}
    if not widths:
        yield "No row has a usable range of learning rates that its seeds agree on."
        return
    most = max(width.decades for width in widths.values())
    widest = [row for row, width in widths.items() if width.decades >= most - 1e-9]
    names, width = _names(numbers.rows), widths[widest[0]]
    least = "at least " if any(widths[row].open_ended for row in widest) else ""
    if len(widest) == len(widths) > 1:
        yield f"All {len(widths)} rows with a usable range of learning rates have one of {least}{most:.1f} decades."
        return
    rates = f"{general(width.low)} to {general(width.high)}, " if len(widest) == 1 else ""
    them = _few([names[row] for row in widest])
    yield f"The widest usable range of learning rates: {them} ({rates}{least}{most:.1f} decades)."


def small_batch_sentences(numbers: SmallBatch) -> Iterator[str]:
    """The rows that lose most and least at small batches."""
    drops = {row: drop for row, drop in numbers.drops.items() if isinstance(drop, Difference)}
    if not drops:
        return
    names = _names(numbers.rows)
    small, large = (level_text(numbers.batches[end]) for end in numbers.ends)
    ranked = sorted(drops, key=lambda row: -drops[row].mean)
    first, last, way = ranked[0], ranked[-1], f"from batch size {large} to {small}"
    if drops[first].mean < 5e-4:
        yield f"No row loses 0.1 points of test accuracy or more {way}."
        return
    least = f", and {names[last]} least: {_loss(drops[last])}" if last != first else ""
    yield f"Of test accuracy, {names[first]} loses most {way}: {_loss(drops[first])}{least}."


def _loss(drop: Difference) -> str:
    spread = "" if drop.sd is None else f" ± {percent(drop.sd)}"
    return f"{percent(drop.mean)}{spread} points"


def ending_sentence(runs: pd.DataFrame) -> Iterator[str]:
    """How the runs ended, and with which norms they diverged."""
    if runs.empty or "status" not in runs:
        return
    statuses = runs["status"].astype(str).str.replace("_", " ")
    counts = {str(status): number for status, number in statuses.value_counts().items()}
    total = plural(len(runs), "run")
    if len(counts) == 1:
        yield f"{'The only run' if len(runs) == 1 else f'All {total}'} {_ended(next(iter(counts)), len(runs))}."
        return
    parts = [f"{number:,} {_ended(status, number)}" for status, number in counts.items()]
    yield f"Of {total}, {listing(parts)}{_diverged(runs)}."


def _ended(status: str, number: int) -> str:
    """A status as a verb."""
    be = "is" if number == 1 else "are"
    verbs = {"planned": f"{be} not trained yet", "running": f"{be} being trained", "out of memory": "ran out of memory"}
    verbs |= {"impossible": f"{be} impossible", "interrupted": "was interrupted" if number == 1 else "were interrupted"}
    verbs["stopped"] = "stopped at a rung of a search"
    return verbs.get(status, status)


def _diverged(runs: pd.DataFrame) -> str:
    """The norms of the runs that diverged, where there are several."""
    if "norm" not in runs or runs["norm"].nunique() < 2:
        return ""
    norms = runs.loc[runs["status"] == "diverged", "norm"].astype(str).value_counts()
    parts = [f"{number:,} with norm={norm}" for norm, number in norms.items()]
    return f"; diverged: {_few(parts)}" if parts else ""
