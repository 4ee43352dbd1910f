"""Search spaces as they are typed, and points of them."""

import math
from dataclasses import replace

import pytest

from bnbench.config import Interval, Values, read_spaces, typed_point
from bnbench.errors import InvalidRequest
from bnbench.schema import Known
from bnbench.search.methods import METHODS, grid_points, random_points
from bnbench.search.tree_parzen import BATCH
from bnbench.search.trial import Trial, value_of

LR = Interval("lr", 0.001, 1.0, log=True)
DEPTH = Interval("model.depth", 1, 4, whole=True)
WIDTH = Values("model.width", (16, 64))


@pytest.mark.parametrize(
    ("text", "space"),
    [
        ("lr=interval(0.001,1)", Interval("lr", 0.001, 1.0)),
        ("lr=tag(log,interval(0.001,1))", LR),
        ("batch_size=interval(8,64)", Interval("batch_size", 8, 64, whole=True)),
        ("model.depth=interval(1,4)", DEPTH),
        ("model.width=choice(16,64)", WIDTH),
        ("model.depth=range(1,4)", Values("model.depth", (1, 2, 3))),
        ("grad_clip=choice(0.5,1)", Values("grad_clip", (0.5, 1))),
        ("evaluate.every=choice(1,1,2)", Values("evaluate.every", (1, 2))),
    ],
)
def test_a_space_is_read(text: str, space: object):
    problems: list[str] = []
    assert read_spaces([text, "model=mlp"], Known(), problems) == ((space,), ["model=mlp"]) and not problems


@pytest.mark.parametrize("text", ["lr=0.1,1", "seed=range(3)", "seed=choice(1,2)", "norm=glob(*)", "lr=1", "lr=inter("])
def test_a_factor_is_no_space(text: str):
    problems: list[str] = []
    assert read_spaces([text], Known(), problems) == ((), [text]) and not problems


@pytest.mark.parametrize("method", METHODS)
def test_points_are_inside_and_the_same_again(method: str):
    spaces = (LR, DEPTH, WIDTH)
    points = METHODS[method](spaces, 7, [], 48)
    assert points == METHODS[method](spaces, 7, [], 48)
    for point in points:
        assert 0.001 <= point["lr"] <= 1 and point["model.depth"] in (1, 2, 3, 4) and point["model.width"] in (16, 64)
        assert [type(point[key]) for key in point] == [float, int, int]
        assert typed_point(point)[0] == f"lr={point['lr']!r}"


def test_random_points_are_evenly_drawn_and_do_not_depend_on_their_number():
    points = random_points((LR, DEPTH, WIDTH), 0, [], 2000)
    logs = [math.log10(point["lr"]) for point in points]
    assert sum(logs) / len(logs) == pytest.approx(-1.5, abs=0.1)  # four standard errors are 0.08
    for key, values in (("model.depth", 4), ("model.width", 2)):
        counts = [sum(point[key] == value for point in points) for value in {point[key] for point in points}]
        assert len(counts) == values and all(abs(count - 2000 / values) < 100 for count in counts)
    assert random_points((LR, DEPTH, WIDTH), 0, [], 3) == points[:3]
    assert random_points((LR, DEPTH, WIDTH), 1, [], 3) != points[:3]


def test_a_grid_divides_intervals_evenly():
    points = grid_points((Interval("lr", 0.01, 1.0, log=True), WIDTH), 0, [], 7)
    assert [point["lr"] for point in points] == pytest.approx([0.01, 0.01, 0.1, 0.1, 1.0, 1.0])
    assert [point["model.width"] for point in points] == [16, 64] * 3
    assert [point["model.depth"] for point in grid_points((DEPTH,), 0, [], 20)] == [1, 2, 3, 4]
    with pytest.raises(InvalidRequest, match=r"--trials 3: the grid has 4 points"):
        grid_points((LR, WIDTH), 0, [], 3)


def test_tpe_goes_where_trials_were_good_a_batch_at_a_time():
    trials: list[Trial] = []
    while points := METHODS["tpe"]((LR,), 0, trials, 60):
        assert len(points) == min(BATCH, 60 - len(trials))
        trials += [
            Trial("", number, point, value=1 - abs(math.log10(point["lr"]) + 2) / 3)
            for number, point in enumerate(points, len(trials))
        ]
    near = [abs(math.log10(trial.point["lr"]) + 2) < 0.3 for trial in trials[BATCH:]]
    assert sum(near) > 0.4 * len(near), "drawn at random it would be a fifth"
    begun = [*trials[:BATCH], *(replace(trial, value=None) for trial in trials[BATCH : BATCH + 3])]
    rest = METHODS["tpe"]((LR,), 0, begun, 60)
    assert rest == [trial.point for trial in trials[BATCH + 3 : 2 * BATCH]], "a batch that was begun goes on as it was"


@pytest.mark.parametrize(
    ("statuses", "value"),
    [
        (["completed 0.5", "completed 0.75"], 0.625),
        (["completed 0.5", "diverged 0.9"], 0.25),
        (["diverged "], 0.0),
        (["completed 0.5", "failed "], None),
        (["completed 0.5", "planned "], None),
        ([], None),
    ],
)
def test_the_value_of_a_trial(statuses: list[str], value: float | None):
    rows = [dict(zip(("status", "val_accuracy"), text.split(" "), strict=True)) for text in statuses]
    assert value_of([{**row, "test_accuracy": "1"} for row in rows]) == value
