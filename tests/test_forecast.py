"""What is left of sweeps whose course is known."""

from __future__ import annotations

import heapq

import pytest

from bnbench.session.forecast import Forecast, Job, Reached


def course(seconds: list[float], workers: int) -> list[tuple[float, float]]:
    """When each job begins and ends if workers take them in turn."""
    free, times = [1000.0] * workers, []
    for value in seconds:
        begun = heapq.heappop(free)
        heapq.heappush(free, begun + value)
        times.append((begun, begun + value))
    return times


def forecasts(
    jobs: list[Job], seconds: list[float], workers: int, evaluations: int, moments: list[float]
) -> list[tuple[float | None, float]]:
    """At some shares of a sweep's time, what it is said to take still, and what it takes."""
    forecast, times = Forecast(jobs, workers), course(seconds, workers)
    over, told = max(end for _, end in times), []
    ends = sorted((end, run) for job, (_, end) in zip(jobs, times, strict=True) for run in job.runs)
    for second in range(1000, int(over)):
        while ends and ends[0][0] <= second:
            end, run = ends.pop(0)
            forecast.end(run, end)
        reached = {}
        for job, (begun, end) in zip(jobs, times, strict=True):
            if begun <= second < end:
                share = int((second - begun) / (end - begun) * evaluations) / evaluations
                reached[job.runs[-1]] = Reached(begun, share, begun + share * (end - begun))
        told.append((forecast.left(reached, second), over - second))
    return [told[int(moment * (over - 1000))] for moment in moments]


MOMENTS = [0.3, 0.5, 0.7, 0.9, 0.97]


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("evaluations", [1, 10])
@pytest.mark.parametrize(
    "slowness",
    [
        pytest.param({"a": 5.0, "b": 5.0}, id="as large as thought"),
        pytest.param({"a": 4.0, "b": 8.0}, id="one kind slower than thought"),
    ],
)
def test_stacks_of_many_runs_and_short_ones(workers: int, evaluations: int, slowness: dict[str, float]):
    """500 runs, of which the first stacks hold most: by their number nothing could be said."""
    lanes = [30, 20, 10, 5] * 7 + [1] * 45
    jobs = [
        Job(tuple(f"{index}-{lane}" for lane in range(runs)), "ab"[index % 2], float(runs))
        for index, runs in enumerate(lanes)
    ]
    seconds = [job.size * slowness[str(job.kind)] for job in jobs]
    for said, true in forecasts(jobs, seconds, workers, evaluations, MOMENTS):
        assert said is not None and abs(said - true) <= max(0.25 * true, 30.0)


def test_jobs_too_short_to_be_seen_count_by_the_time_of_the_workers():
    jobs = [Job((str(index),), "a", 1.0) for index in range(4000)]
    for said, true in forecasts(jobs, [0.3] * 4000, 2, 1, MOMENTS):
        assert said is not None and abs(said - true) <= 0.1 * true + 2


def test_nothing_is_said_before_anything_was_done():
    forecast = Forecast([Job(("a", "b"), "kind", 3.0), Job(("c",), "kind", 1.0)], 1)
    assert forecast.left({}, 0.0) is None
    assert forecast.left({"b": Reached(10.0, 0.0, 10.0)}, 12.0) is None
    assert forecast.left({"b": Reached(10.0, 0.5, 13.0)}, 14.0) == pytest.approx(2.0 + 2.0)
    forecast.end("a", 16.0)
    forecast.end("b", 16.0)
    assert forecast.left({}, 16.0) == pytest.approx(2.0)
    forecast.end("c", 18.0)
    assert forecast.left({}, 18.0) == 0.0
