import subprocess
import sys

import pytest
import torch

from bnbench.errors import InvalidRequest
from bnbench.training import gpus, prepare_process, resolve_device


def test_auto_takes_a_gpu_if_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert resolve_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")


def test_without_an_index_a_gpu_is_all_of_them(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert gpus(torch.device("cuda")) == [torch.device("cuda:0"), torch.device("cuda:1")]
    assert gpus(torch.device("cuda:1")) == [torch.device("cuda:1")]
    assert gpus(torch.device("cpu")) == []


@pytest.mark.parametrize(
    ("count", "name", "says"),
    [
        (0, "cuda", "there is no GPU: "),
        (1, "cuda:1", "there is one GPU, cuda:0;"),
        (2, "cuda:2", "there are 2 GPUs, cuda:0 to cuda:1;"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused(monkeypatch, count, name, says):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(InvalidRequest, match=says):
        resolve_device(name)


def test_float32_is_float32_on_every_device():
    prepare_process()
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32


RELEASED = """
import torch
from bnbench.training import prepare_process, release_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

prepare_process()
before = resident()
tensors = [torch.zeros(2**18) for _ in range(200)]
assert resident() - before > 150e6
del tensors
assert resident() - before > 150e6, "freed memory is kept for the next tensors"
release_memory()
assert resident() - before < 20e6
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is another")
def test_freed_memory_is_kept_until_it_is_released():
    subprocess.run([sys.executable, "-c", RELEASED], check=True, timeout=60)
