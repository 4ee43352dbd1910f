import time

import torch

from bnbench.components import components
from bnbench.config import compose_request
from bnbench.engine import prepare_process, train
from bnbench.plan import estimate_seconds
from tests.conftest import load_data


def test_the_estimate_is_of_the_size_of_the_truth():
    request = compose_request(["model=mlp", "norm=none,batch", "batch_size=8,64", "seed=0,1", "epochs=3"], components())
    parts = components()
    prepare_process()
    start = time.perf_counter()
    for spec in request.specs:
        data = load_data(spec)
        list(train(spec, parts.build(spec, data), data))
    truth = time.perf_counter() - start
    estimate = estimate_seconds(request.specs, parts, load_data, torch.device("cpu"))
    assert truth / 5 < estimate < truth * 5  # other tests run at the same time


def test_what_there_is_no_time_to_measure_is_taken_as_the_mean():
    request = compose_request(["model=mlp", "batch_size=8,16,32,64,128", "epochs=1"], components())
    full = estimate_seconds(request.specs, components(), load_data, torch.device("cpu"))
    one_measured = estimate_seconds(request.specs, components(), load_data, torch.device("cpu"), budget=0.0)
    assert 0 < one_measured < 20 * full
