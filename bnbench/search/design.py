"""The design of a search: its space and, at each point of it, a grid of factors and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bnbench.config import EMPTY, Interval, Point, Request, Space, compose_request, joined, read_spaces, typed_point
from bnbench.config.grammar import LIMIT
from bnbench.errors import InvalidRequest, nearest
from bnbench.schema import Known
from bnbench.schema.convert import shown
from bnbench.search.halving import problems_of
from bnbench.search.methods import METHODS
from bnbench.search.settings import SearchSettings
from bnbench.search.trial import Trial
from bnbench.session import Grid
from bnbench.spec import RunSpec, flatten
from bnbench.text import plural


@dataclass(frozen=True)
class Design:
    """The runs of each trial.

    Attributes:
        grid: as it is typed.
        settings: of the search.
        spaces: what is searched.
        rest: the overrides that are no spaces.
        parts: the components of the plugin.
        arms: with a search each: ``norm=batch``, ``norm=group``; one empty text for a single search.
    """

    grid: Grid
    settings: SearchSettings
    spaces: tuple[Space, ...]
    rest: tuple[str, ...]
    parts: Known
    arms: tuple[str, ...] = ("",)

    def request(self, trial: Trial) -> Request:
        """The runs of one trial; none where there can be none at this point, with a note that says why."""
        composed = self.composed(trial.point)
        if composed.problems:
            reason = "all of its runs are excluded" if EMPTY in composed.problems else composed.problems[0]
            notes = (*composed.notes, f"trial {trial.number} ({' '.join(typed_point(trial.point))}): {reason}")
            return replace(composed, specs=(), problems=(), notes=notes)
        specs = tuple(spec for spec in composed.specs if arm_of(spec, self.settings.per) == trial.arm)
        return replace(composed, specs=specs)

    @property
    def facts(self) -> tuple[str, ...]:
        """The settings as sweep.yaml has them: all by which a trial of a number is another one."""
        is_divided = self.settings.method == "grid" and any(isinstance(space, Interval) for space in self.spaces)
        return tuple(
            dict.fromkeys([*self.settings.facts(), *([f"trials={self.settings.trials}"] if is_divided else [])])
        )

    def composed(self, point: Point) -> Request:
        """The runs of all arms at a point."""
        return compose_request([*self.rest, *typed_point(point)], self.parts, self.grid.zips, self.grid.excludes)

    def together(self, trials: Sequence[Trial], requests: Sequence[Request]) -> Request:
        """The requests of trials as one, as it was typed."""
        points = {space.key: tuple(dict.fromkeys(trial.point[space.key] for trial in trials)) for space in self.spaces}
        typed = {
            "overrides": tuple(self.grid.overrides),
            "zip": tuple(self.grid.zips),
            "exclude": tuple(self.grid.excludes),
            "search": self.facts,
        }
        return replace(joined(requests), factors={**requests[0].factors, **points}, typed=typed)


def designed(grid: Grid, settings: SearchSettings, parts: Known) -> Design:
    """The design of a search.

    Raises:
        InvalidRequest: something is wrong with it; the message says all of it.
        PluginError: a component of the plugin cannot be used.
    """
    problems = [*settings.problems()]
    spaces, rest = read_spaces(grid.overrides, parts, problems)
    if not spaces and not problems:
        problems.append("--search: nothing to search; give a number a space, as in 'lr=tag(log,interval(0.001,1))'")
    design = Design(grid, settings, spaces, tuple(rest), parts)
    corners = [design.composed(point) for point in _corners(spaces)]
    requests = [one for one in corners if EMPTY not in one.problems] or corners  # --exclude may leave out others
    problems += [problem for request in requests for problem in request.problems]
    problems += [problem for request in requests[:1] for problem in _faults(request, settings)]
    specs = [spec for request in requests for spec in request.specs]
    if settings.halving is not None and not problems:
        problems += _faults_of_halving(settings, settings.halving, spaces, specs)
    if problems:
        raise InvalidRequest(problems)
    return replace(design, arms=tuple(dict.fromkeys(arm_of(spec, settings.per) for spec in specs)))


def arm_of(spec: RunSpec, per: str | None) -> str:
    """The arm of a run: the value of the factor that has a search for each; empty without such a factor."""
    return f"{per}={shown(flatten(spec).get(per))}" if per else ""


def _faults_of_halving(
    settings: SearchSettings, halving: int, spaces: Sequence[Space], specs: Sequence[RunSpec]
) -> Iterator[str]:
    """The faults of halving trials whose runs are like these."""
    count = settings.trials
    if settings.method == "grid" and (count := len(METHODS["grid"](spaces, settings.seed, (), count))) < halving:
        yield f"--search grid: the grid has {plural(count, 'point')}, and must have at least {halving} with --halving"
        return
    yield from dict.fromkeys(one for part in settings.parts(count) for one in problems_of(specs, part, halving))


def _corners(spaces: Sequence[Space]) -> Iterator[Point]:
    """Points at which all is met that the values of a space may be: the ends of intervals, and each other value."""
    for place in range(max((len(space.ends) for space in spaces), default=1)):
        yield {space.key: space.ends[min(place, len(space.ends) - 1)] for space in spaces}


def _faults(request: Request, settings: SearchSettings) -> Iterator[str]:
    """The faults of a search whose trials are all like one request."""
    if settings.per is not None and settings.per not in request.factors:
        advice = nearest(settings.per, list(request.factors)) if request.factors else "there is none"
        yield f"--per {settings.per}: no factor of this sweep; {advice}"
    if (count := settings.trials * len(request.specs)) > LIMIT:
        yield f"--trials {settings.trials}: makes {count:,} runs; at most {LIMIT:,} can be planned at once"
